"""Damaged and malicious .said files: one typed error each, at once, and never wrong pixels."""

import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
from factory import random_model
from hypothesis import given, settings
from hypothesis import strategies as st

import saidcodec
from saidcodec.errors import LimitError, ModelError, SaidError
from saidcodec.format import container
from saidcodec.format.header import MODES, SIGNATURE, Metadata, ResidualCoder
from saidcodec.format.levels import levels_of
from saidcodec.format.maps import Layout, Mapped, Siting
from saidcodec.format.tiling import Tiling
from saidcodec.residual import mixed
from saidcodec.residual.band import Outline, method_of
from saidcodec.said import write_section

MODEL = random_model()
PIXELS = np.random.default_rng(3).integers(0, 3, (5, 6, 3)).astype(np.uint8)
FILES = {
    residual: saidcodec.encode(PIXELS, model=MODEL, residual=residual, glimpses=1)
    for residual in ("context", "gaussian", "none")
}


def mixed_file(pixels: np.ndarray, source: mixed.Source) -> bytes:
    """The file of RGB pixels of the size of PIXELS, whose one band is coded as what it was made of."""
    head = replace(container.unpack(FILES["context"]).header, coder=ResidualCoder.MIXED)
    outline = Outline.plain(Tiling.of(head).bands()[0])
    stream = mixed.write(head, method_of(head, MODEL), outline, pixels, source)
    said = write_section([0], [None], head.grey, MODEL)
    data = container.pack(head, Metadata(), said, [stream], zlib.crc32(pixels.tobytes()))
    assert np.array_equal(saidcodec.decode(data, model=MODEL), pixels)
    return data


def mapped() -> Mapped:
    """Luma, chroma of half the resolution, and an exception."""
    rng = np.random.default_rng(4)
    layout = Layout(Siting.CENTRED, (True, True))
    luma = rng.integers(100, 110, PIXELS.shape[:2]).astype(np.uint8)
    chroma = rng.integers(120, 130, (*layout.grid(*luma.shape), 2)).astype(np.uint8)
    return Mapped(1, layout, luma, chroma, np.array([7]), np.array([[1, 2, 3]], np.uint8))


LEVELS = levels_of(5 * PIXELS)
assert LEVELS is not None
FILES |= {
    "levels": mixed_file(5 * PIXELS, LEVELS),
    "mapped": mixed_file(mapped().pixels(), mapped()),
    "graphics": mixed_file(PIXELS, mixed.Graphics()),
}


def read_all(data: bytes) -> None:
    saidcodec.decode(data, model=MODEL)
    saidcodec.preview(data, model=MODEL)
    saidcodec.inspect(data, model=MODEL)


@pytest.mark.parametrize("residual", FILES)
def test_every_flipped_bit_is_found(residual: str) -> None:
    """But for bits that mean nothing: those with which zlib fills its last byte, and a map's number where
    two maps make the same pixels."""
    data = FILES[residual]
    pixels, missed = saidcodec.decode(data, model=MODEL), 0
    for place in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        try:
            decoded = saidcodec.decode(bytes(damaged), model=MODEL)
        except SaidError:
            continue
        assert np.array_equal(decoded, pixels)
        missed += 1
    assert missed <= {"levels": 7, "mapped": 8}.get(residual, 0)


@pytest.mark.parametrize("residual", FILES)
def test_every_truncation_is_found(residual: str) -> None:
    data = FILES[residual]
    for length in range(len(data)):
        with pytest.raises(SaidError) as raised:
            saidcodec.decode(data[:length], model=MODEL)
        assert length == 0 or "truncated" in str(raised.value)


def resealed(residual: str, said: bytes | None = None, band: bytes | None = None) -> bytes:
    """A file with other sections and right checksums of its head: what only a malicious writer makes."""
    file = container.unpack(FILES[residual])
    bands = (file.streams or ()) if band is None else (band,)
    return container.pack(
        file.header, file.metadata, file.said if said is None else said, bands, file.checksum
    )


@pytest.mark.parametrize("residual", FILES)
@given(said=st.binary(max_size=120))
@settings(max_examples=60, deadline=None)
def test_any_said_section_is_read_or_refused(residual: str, said: bytes) -> None:
    try:
        read_all(resealed(residual, said=said))
    except SaidError:
        return
    assert said == container.unpack(FILES[residual]).said or residual == "none"


@pytest.mark.parametrize("residual", [residual for residual in FILES if residual != "none"])
@given(band=st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_residual_section_is_read_or_refused(residual: str, band: bytes) -> None:
    try:
        read_all(resealed(residual, band=band))
    except SaidError:
        return
    assert (band,) == container.unpack(FILES[residual]).streams


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from(MODES), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_any_other_header_is_read_or_refused(
    width: int, height: int, mode: str, grey: bool, data: st.DataObject
) -> None:
    residual = data.draw(st.sampled_from(list(FILES)))
    file = container.unpack(FILES[residual])
    header = replace(
        file.header,
        width=width,
        height=height,
        mode=mode,
        replicated=grey and mode.startswith("RGB"),
        side=data.draw(st.sampled_from([16, 64, 256, 16 << 15])),
        max_error=data.draw(st.sampled_from([0, 1, 255])),
    )
    bands = (
        list(file.streams or ())[:1] + [b""] * (Tiling.of(header).count_bands() - 1) if header.coder else []
    )
    try:
        read_all(container.pack(header, file.metadata, file.said, bands, file.checksum))
    except SaidError:
        return
    assert (width, height, residual) == (6, 5, residual) or residual == "none"


def test_a_model_that_is_not_installed_is_named() -> None:
    with pytest.raises(ModelError, match=rf"{MODEL.id}.*--model"):
        saidcodec.decode(FILES["context"])


def test_another_model_than_the_files_is_refused() -> None:
    with pytest.raises(ModelError, match=f"needs the model {MODEL.id}, but"):
        saidcodec.decode(FILES["context"], model=random_model(1))


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_huge_claims_allocate_nothing() -> None:
    """2^31 × 2^31 pixels in thirty bytes, in a process that may not have much memory."""
    sides = struct.pack("5B", 0xFF, 0xFF, 0xFF, 0xFF, 0x07)
    data = SIGNATURE + b"\x06\x22" + sides + sides + bytes(20)
    with pytest.raises(LimitError):
        saidcodec.decode(data)
    code = (
        f"import resource, saidcodec\n"
        f"saidcodec.encode, saidcodec.inspect\n"
        f"before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"for read in (saidcodec.decode, saidcodec.inspect, saidcodec.preview):\n"
        f"    try: read({data!r})\n"
        f"    except saidcodec.SaidError: pass\n"
        f"print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 4096, "kibibytes"


def test_metadata_alone_survives_a_cut() -> None:
    data = saidcodec.encode(PIXELS, model=MODEL, metadata=Metadata(exif=b"MM\0*"))
    file = container.unpack(data[: len(data) - 6], residual=False)
    assert file.metadata.exif == b"MM\0*"
