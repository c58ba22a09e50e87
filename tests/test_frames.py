"""Files of several frames: what is coded of each, reading them in any order, and damage."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plain_decoder
import pytest
from factory import random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import frame_of
from PIL import Image

import saidcodec
from saidcodec import codec, images
from saidcodec.errors import CorruptError, ImageError, RegionError, SaidError, SaidWarning, TruncatedError
from saidcodec.format import container
from saidcodec.format.frames import Frame, FrameKind, FrameTable, pack_frames
from saidcodec.format.header import Metadata
from saidcodec.format.palette import Palette
from saidcodec.format.presentation import Presentation
from saidcodec.frames import decode_all
from saidcodec.picture import Picture
from saidcodec.sequences import encode_all, in_ticks, unused_colour

MODEL = random_model()
BANKS = plain_decoder.load_banks(Path(saidcodec.entropy.__file__).with_name("tables.npz"))
RNG = np.random.default_rng(4)
BASE = RNG.integers(0, 250, (20, 30, 3)).astype(np.uint8)


def encode(image: np.ndarray | Picture, **options: Any) -> bytes:
    return codec.encode(image, model=MODEL, glimpses=0, residual="gaussian", **options)


def encoded(*frames: np.ndarray, **options: Any) -> bytes:
    return saidcodec.encode_frames(frames, model=MODEL, glimpses=0, residual="gaussian", **options)


def changed(*places: tuple[int, int], of: np.ndarray = BASE) -> np.ndarray:
    pixels = of.copy()
    for y, x in places:
        pixels[y, x] ^= 5
    return pixels


def kinds(data: bytes) -> list[FrameKind]:
    return [frame.kind for frame in container.split(data)[0].frames]


def test_each_frame_is_coded_in_the_shortest_way() -> None:
    filled = BASE.copy()
    filled[3:6, 4:10] = 255
    frames = [
        BASE,
        BASE,  # the same
        filled,  # a rectangle
        changed((0, 0), (19, 29)),  # two far corners
        RNG.integers(0, 250, BASE.shape).astype(np.uint8),  # all of it
        BASE[:9],  # another size
        BASE[:9, :, 0],  # another mode
    ]
    data = encoded(*frames)
    same, whole, part, masked = FrameKind
    assert kinds(data)[:4] == [whole, same, part, masked]
    assert kinds(data)[5:] == [whole, whole]
    table, files = container.split(data)
    assert (table.frames[2].x, table.frames[2].y) == (4, 3)
    assert container.unpack(files[2]).header.width == 6
    assert len(files[3]) < 0.8 * len(files[0])
    with saidcodec.Frames(data, model=MODEL) as found:
        assert len(found) == 7
        for one, other in zip(found, frames):
            np.testing.assert_array_equal(one, other)


@given(st.lists(st.sampled_from([*range(7)]), min_size=1, max_size=12), st.data())
@settings(deadline=None, max_examples=30)
def test_frames_come_in_any_order(order: list[int], data: st.DataObject) -> None:
    frames = [BASE, BASE, changed((3, 4)), changed((0, 0), (19, 29)), BASE[:9], changed((1, 1), of=BASE[:9])]
    frames.append(frames[-1])
    with saidcodec.Frames(SEVERAL, model=MODEL) as found:
        for number in order:
            one = found[number]
            np.testing.assert_array_equal(one, frames[number])
            one[...] = 0  # it is the caller's own


SEVERAL = encoded(
    BASE, BASE, changed((3, 4)), changed((0, 0), (19, 29)), BASE[:9], changed((1, 1), of=BASE[:9]),
    changed((1, 1), of=BASE[:9]), durations=[40, 40, 40, 1000 / 30, 50, 60, 70.5], plays=3,
)  # fmt: skip


def test_decoding_gives_the_first_frame_unless_another_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "it.said"
    path.write_bytes(SEVERAL)
    for source in (SEVERAL, path, io.BytesIO(SEVERAL)):
        np.testing.assert_array_equal(codec.decode(source, model=MODEL), BASE)
        np.testing.assert_array_equal(codec.decode(source, frame=2, model=MODEL), changed((3, 4)))
    region = codec.decode(path, frame=2, region=(4, 3, 5, 2), model=MODEL)
    np.testing.assert_array_equal(region, changed((3, 4))[3:5, 4:9])
    np.testing.assert_array_equal(codec.decode(path, region=(4, 3, 5, 2), model=MODEL), BASE[3:5, 4:9])
    with pytest.raises(RegionError, match=r"it\.said: There is no frame 7 in the file, which has 7, from 0"):
        codec.decode(path, frame=7, model=MODEL)
    with pytest.raises(RegionError, match="not inside"):
        codec.decode(path, frame=4, region=(0, 0, 5, 10), model=MODEL)
    with pytest.raises(ValueError, match="frame must be"):
        codec.decode(path, frame=-1, model=MODEL)
    with pytest.warns(SaidWarning, match="first"):
        np.testing.assert_array_equal(saidcodec.Reader(path, model=MODEL)[:], BASE)


def test_a_file_of_one_image_has_one_frame() -> None:
    data = encode(BASE)
    assert encoded(BASE) == data
    with saidcodec.Frames(data, model=MODEL) as frames:
        assert (len(frames), frames.plays, frames.durations) == (1, 1, [0])
        np.testing.assert_array_equal(frames[-1], BASE)
    np.testing.assert_array_equal(codec.decode(data, frame=0, model=MODEL), BASE)


def test_times_are_exact() -> None:
    with saidcodec.Frames(SEVERAL, model=MODEL) as frames:
        assert frames.plays == 3
        assert frames.durations == [40, 40, 40, pytest.approx(1000 / 30, rel=1e-12), 50, 60, 70.5]
    assert in_ticks([]) == (1000, [])


def test_times_that_have_no_common_unit_are_rounded() -> None:
    with pytest.warns(SaidWarning, match="rounded to milliseconds"):
        data = encoded(BASE, BASE, BASE, durations=[1000 / 65521, 1000 / 65519, 10])
    with saidcodec.Frames(data, model=MODEL) as frames:
        assert frames.durations == [0, 0, 10]


def test_near_lossless_frames_stay_within_the_bound() -> None:
    frames = [BASE, changed((3, 4)), changed((0, 0), (19, 29))]
    data = encoded(*frames, max_error=4)
    assert FrameKind.MASKED not in kinds(data)
    with saidcodec.Frames(data, model=MODEL) as found:
        for one, other in zip(found, frames):
            assert abs(one.astype(int) - other).max() <= 4


def test_metadata_of_frames() -> None:
    first, other = Metadata(comment=b"first"), Metadata(comment=b"other")
    shown = [frame_of(BASE, "RGB", metadata) for metadata in (first, other, Metadata(), first)]
    data = encode_all(shown, 0, encode, exact=True)
    with saidcodec.Frames(data, model=MODEL) as frames:
        assert [frames.metadata(number) for number in range(4)] == [first, other, Metadata(), first]
        shown_second = frames.frame(1)
        assert (shown_second.presentation.mode, shown_second.metadata) == ("RGB", other)
    assert kinds(data)[3] == FrameKind.SAME
    given_ = encoded(BASE, changed((1, 1)), metadata=other)
    with saidcodec.Frames(given_, model=MODEL) as frames:
        assert [frames.metadata(number) for number in range(2)] == [other, other]


def test_colours_that_are_not_used() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert unused_colour(grey, Presentation("L")) is None
    assert unused_colour(grey[:8], Presentation("L")) == b"\x80\0\0\0"
    assert unused_colour(np.repeat(grey[..., None], 3, 2), Presentation("RGB")) == b"\0\0\xff\0"
    for entries, unused in ((128, None), (129, b"\x80\0\0\0")):
        assert unused_colour(grey[:8], Presentation("P", Palette(bytes(3 * entries)))) == unused
    assert unused_colour(grey > 9, Presentation("1")) is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"durations": [1]}, ValueError),
        ({"durations": [1, 2, 3]}, ValueError),
        ({"durations": -1}, ValueError),
        ({"durations": "1"}, ValueError),
        ({"plays": -1}, ValueError),
        ({"plays": 0.5}, TypeError),
        ({"colour": 1}, TypeError),
    ],
)
def test_arguments_of_another_kind(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        encoded(BASE, BASE, **options)


def test_there_must_be_a_frame() -> None:
    with pytest.raises(ImageError, match="no frame"):
        encoded()
    with pytest.raises(ImageError, match=r"Frame 1: .* is no image"):
        encoded(BASE, BASE[:0])


def test_frames_that_are_not_there() -> None:
    with saidcodec.Frames(SEVERAL, model=MODEL) as frames:
        for number in (7, -8):
            with pytest.raises(IndexError):
                frames[number]
        with pytest.raises(TypeError):
            frames["0"]


@pytest.mark.parametrize(
    "frame",
    [
        Frame(FrameKind.PART, x=26),
        Frame(FrameKind.PART, y=18),
        Frame(FrameKind.PART, x=(1 << 35) - 1),
        Frame(FrameKind.MASKED, x=26),
    ],
)
def test_rectangles_outside_are_refused(frame: Frame) -> None:
    part = encode(BASE[:3, :5])
    data = pack_frames(
        FrameTable(0, 1, (Frame(FrameKind.WHOLE, 0, len(encode(BASE))), replace(frame, length=len(part)))),
        [encode(BASE), part],
    )
    with (
        saidcodec.Frames(data, model=MODEL) as frames,
        pytest.raises(CorruptError, match=r"^Frame 1: It is not a part"),
    ):
        frames[1]


@pytest.mark.parametrize(
    "inner", [encode(BASE[:3, :5, 0]), SEVERAL, b"", b"no file at all", encode(BASE)[:-1]]
)
def test_what_is_no_part_is_refused(inner: bytes) -> None:
    """Of another mode, of several frames itself, none at all, or cut off."""
    whole = encode(BASE)
    table = FrameTable(0, 1, (Frame(FrameKind.WHOLE, 0, len(whole)), Frame(FrameKind.PART, 0, len(inner))))
    with saidcodec.Frames(pack_frames(table, [whole, inner]), model=MODEL) as frames:
        np.testing.assert_array_equal(frames[0], BASE)
        with pytest.raises(SaidError, match=r"^Frame 1: "):
            frames[1]
        np.testing.assert_array_equal(frames[0], BASE)  # what is whole stays readable


def test_files_that_are_cut_off() -> None:
    for length in range(len(SEVERAL)):
        with pytest.raises(SaidError):
            codec.decode(SEVERAL[:length], model=MODEL)
    with pytest.raises(TruncatedError):
        saidcodec.Frames(SEVERAL[:-1], model=MODEL)
    np.testing.assert_array_equal(
        codec.decode(SEVERAL[:-1], region=(0, 0, 30, 20), model=MODEL), BASE
    )  # the bands that are there


@given(st.integers(0, len(SEVERAL) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=60)
def test_no_changed_byte_goes_unnoticed(place: int, change: int) -> None:
    damaged = bytearray(SEVERAL)
    damaged[place] ^= change
    with pytest.raises(SaidError), saidcodec.Frames(bytes(damaged), model=MODEL) as frames:
        list(frames)


def test_inspect_tells_of_every_frame() -> None:
    account = saidcodec.inspect(SEVERAL, model=MODEL)
    assert account["bits"]["total"] == 8 * len(SEVERAL)
    assert sum(account["bits"].values()) == pytest.approx(2 * account["bits"]["total"])
    assert (account["width"], account["height"], account["plays"]) == (30, 20, 3)
    told = account["frames"]
    assert [one["kind"] for one in told] == ["whole", "same", "part", "masked", "whole", "part", "same"]
    assert told[4] == {
        "kind": "whole", "bytes": told[4]["bytes"], "duration": 50, "width": 30, "height": 9, "mode": "RGB",
        "x": 0, "y": 0,
    }  # fmt: skip
    assert len(saidcodec.inspect(SEVERAL[:-1], model=MODEL)["frames"]) == 5
    assert "frames" not in saidcodec.inspect(encode(BASE), model=MODEL)


def test_the_largest_error_is_that_of_all_frames() -> None:
    flat, noise = np.zeros((20, 30), np.uint8), np.random.default_rng(1).integers(0, 256, (20, 30), np.uint8)
    for frames in ([flat, noise], [noise, flat]):
        data = saidcodec.encode_frames(frames, model=MODEL, max_error=4)
        assert saidcodec.inspect(data, model=MODEL)["max_error"] == 4
    data = saidcodec.encode_frames([flat, noise], model=MODEL)
    assert saidcodec.inspect(data, model=MODEL)["max_error"] == 0


def test_progress_is_told_after_every_frame() -> None:
    images = [Image.fromarray(BASE), Image.fromarray(changed((1, 1))), Image.fromarray(BASE[::-1].copy())]
    file = io.BytesIO()
    images[0].save(file, "PNG", save_all=True, append_images=images[1:])
    shares = list[float]()
    data = codec.encode(
        Image.open(file), model=MODEL, glimpses=0, residual="gaussian", progress=shares.append
    )
    assert shares == pytest.approx([1 / 3, 2 / 3, 1])
    shares.clear()
    decode_all(data, model=MODEL, progress=shares.append)
    assert shares == pytest.approx([1 / 3, 2 / 3, 1])


def test_frames_come_back_in_their_own_modes() -> None:
    bits = np.random.default_rng(2).random((20, 20)) > 0.5
    moved = bits.copy()
    moved[::9, ::7] ^= True
    indexed = Image.fromarray(BASE).quantize(9)
    keyed = Image.fromarray(BASE[..., 0])
    keyed.info["transparency"] = int(BASE[0, 0, 0])
    inks, other = (Image.fromarray(one).convert("CMYK") for one in (BASE, changed((3, 4), (9, 9))))
    part = indexed.copy()
    part.paste(5, (3, 4, 9, 11))
    for frames in ([bits, moved], [indexed, part, part], [keyed, keyed], [inks, other], [indexed, keyed]):
        pictures = [images.from_any(frame) for frame in frames]
        data = saidcodec.encode_frames(frames, model=MODEL)
        with saidcodec.Frames(data, model=MODEL) as found:
            for number, one in enumerate(pictures):
                shown = found.frame(number)
                assert shown.presentation == one.presentation
                np.testing.assert_array_equal(shown.pixels, one.pixels)
        _, _, plain = plain_decoder.decode_frames(data, MODEL.tensors, BANKS)
        for one, (_, pixels, _) in zip(pictures, plain, strict=True):
            np.testing.assert_array_equal(pixels, one.colours())
        near = saidcodec.encode_frames(frames, model=MODEL, max_error=2)
        with saidcodec.Frames(near, model=MODEL) as found:
            assert abs(found[1].astype(int) - pictures[1].smooth().pixels).max() <= 2


def test_a_palette_is_written_once() -> None:
    frames = [Image.fromarray(BASE).quantize(200)]
    for place in range(3):
        frames.append(frames[-1].copy())
        frames[-1].paste(7 + place, (place, place, place + 4, place + 3))
    data = saidcodec.encode_frames(frames, model=MODEL)
    table, files = container.split(data)
    assert [frame.kind for frame in table.frames] == [FrameKind.WHOLE] + [FrameKind.PART] * 3
    assert max(map(len, files[1:])) < 40
    frame = saidcodec.inspect(data, model=MODEL)["frames"][1]
    assert (frame["mode"], frame["width"]) == ("P", 4)
    with pytest.raises(CorruptError, match="palette"):  # a part is no image of its own
        container.unpack(files[1])
    colours = Image.fromarray(BASE)
    for first in (colours, frames[0]):  # nor is it of another frame, or a whole one
        whole = codec.encode(first, model=MODEL)
        kind = FrameKind.PART if first is colours else FrameKind.WHOLE
        other = pack_frames(
            FrameTable(1, 1, (Frame(FrameKind.WHOLE, length=len(whole)), Frame(kind, length=len(files[1])))),
            [whole, bytes(files[1])],
        )
        with pytest.raises(CorruptError, match=r"Frame 1: .*palette"):
            decode_all(other, model=MODEL)


def test_frames_of_other_types_are_whole() -> None:
    deep = np.full((6, 7), 65, np.uint16)
    data = saidcodec.encode_frames([deep, deep.astype(np.uint8), deep], model=MODEL)
    with saidcodec.Frames(data, model=MODEL) as found:
        assert [one.dtype for one in found] == [np.uint16, np.uint8, np.uint16]
