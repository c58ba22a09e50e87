"""Damaged and malicious .said files: one typed error each, at once, and never wrong pixels."""

import subprocess
import sys

import numpy as np
import pytest
from factory import random_model
from hypothesis import given, settings
from hypothesis import strategies as st

import saidcodec
from saidcodec import codec
from saidcodec.encoder import writing
from saidcodec.entropy.rans import words_of
from saidcodec.errors import LimitError, ModelError, SaidError
from saidcodec.format import container
from saidcodec.format.colour import Transform
from saidcodec.format.cursor import varint
from saidcodec.format.header import MODES, SIGNATURE, Metadata, ResidualCoder
from saidcodec.format.levels import levels_of
from saidcodec.format.maps import Layout, Mapped, Siting
from saidcodec.format.tiling import Tiling
from saidcodec.residual import mixed
from saidcodec.residual.band import Outline, method_of

MODEL = random_model()
PIXELS = np.random.default_rng(3).integers(0, 3, (5, 6, 3)).astype(np.uint8)
FILES = {
    residual: saidcodec.encode(PIXELS, model=MODEL, residual=residual, glimpses=1)
    for residual in ("context", "gaussian", "none")
}


def mixed_file(pixels: np.ndarray, source: mixed.Source) -> bytes:
    """The file of RGB pixels of the size of PIXELS, whose one band is coded as what it was made of."""
    head = container.unpack(FILES["context"]).header._replace(coder=ResidualCoder.MIXED, model=MODEL.id)
    outline = Outline.plain(Tiling.of(head).bands()[0])
    stream = mixed.write(head, method_of(head, MODEL), outline, pixels, source)
    data = writing.join(head, MODEL, Metadata(), [0], [None], [stream])
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
    "differences": mixed_file(PIXELS, mixed.Differences(Transform.GRB)),
    "graphics": mixed_file(PIXELS, mixed.Graphics()),
    "gradients": mixed_file(PIXELS, mixed.Graphics(gradients=True)),
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


def with_stream(residual: str, stream: bytes) -> bytes:
    """A file with another stream of its only band."""
    file = container.unpack(FILES[residual])
    return container.pack(file.header, file.head, [stream])


@pytest.mark.parametrize("residual", FILES)
@given(stream=st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_stream_is_read_or_refused(residual: str, stream: bytes) -> None:
    try:
        read_all(with_stream(residual, stream))
    except SaidError:
        return
    assert (stream,) == container.unpack(FILES[residual]).streams


@pytest.mark.parametrize("residual", FILES)
@given(stream=st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_residual_is_read_or_refused(residual: str, stream: bytes) -> None:
    """With the right kinds of tiles and checksum of its head: what only a malicious writer makes."""
    file = container.unpack(FILES[residual])
    said = codec.read_said(file, MODEL)
    try:
        words_of(stream, whole=True)
        data = writing.join(
            said.header, MODEL, file.metadata, said.kinds.tolist(), said.descriptions, [stream]
        )
        read_all(data)
    except SaidError:
        return
    assert data == FILES[residual]


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from(MODES), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_any_other_header_is_read_or_refused(
    width: int, height: int, mode: str, grey: bool, data: st.DataObject
) -> None:
    residual = data.draw(st.sampled_from(list(FILES)))
    file = container.unpack(FILES[residual])
    header = file.header._replace(
        width=width,
        height=height,
        mode=mode,
        replicated=grey and mode.startswith("RGB"),
        side=data.draw(st.sampled_from([16, 64, 256, 16 << 15])),
        max_error=data.draw(st.sampled_from([0, 1, 255])),
    )
    streams = list(file.streams) + [b"\0"] * (Tiling.of(header).count_bands() - 1)
    try:
        read_all(container.pack(header, container.head_of(header, file.metadata), streams))
    except SaidError:
        return
    assert (width, height, residual) == (6, 5, residual) or residual == "none"


def test_a_model_that_is_not_installed_is_named() -> None:
    with pytest.raises(ModelError, match=rf"begins with {MODEL.id[:4]}.*--model"):
        saidcodec.decode(FILES["context"])


def test_another_model_than_the_files_is_refused() -> None:
    with pytest.raises(ModelError, match=f"begins with {MODEL.id[:4]}, but"):
        saidcodec.decode(FILES["context"], model=random_model(1))


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_huge_claims_allocate_nothing() -> None:
    """2^31 × 2^31 pixels in thirty bytes, in a process that may not have much memory."""
    data = SIGNATURE + b"\x12" + varint(2 * ((1 << 31) - 1)) + bytes(20)
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
    file = container.unpack(data[: len(data) - 6], whole=False)
    assert file.metadata.exif == b"MM\0*"
