"""EXIF and a TIFF file's own tags."""

import io
import struct
import warnings

import numpy as np
import pytest
from pictures import picture_of, pixels_of
from PIL import Image

from saidcodec import images
from saidcodec.errors import SaidWarning
from saidcodec.format.header import Metadata
from saidcodec.images.tags import parsed_exif


def test_a_tiff_file_says_of_itself_only_what_is_true() -> None:
    """EXIF that claims another size or compression must not end up as the file's own tags."""
    tags = Image.Exif()
    tags[256], tags[257], tags[259], tags[0x010F] = 4000, 3000, 6, "A camera"
    file = io.BytesIO()
    pixels = pixels_of("RGB")
    metadata = Metadata(exif=tags.tobytes().removeprefix(images.EXIF_PREFIX))
    images.save(picture_of(pixels, metadata), file, "TIFF")
    image = Image.open(io.BytesIO(file.getvalue()))
    assert image.getexif()[0x010F] == "A camera"
    np.testing.assert_array_equal(np.array(image), pixels)


def tiff(tags: dict[int, tuple[int, int, bytes]], big: bool) -> bytes:
    """A grey TIFF of one pixel, or a BigTIFF; ``tags``: number to type, count and value."""
    offset, count, entry = ("<Q", "<Q", "<HHQ8s") if big else ("<I", "<H", "<HHI4s")
    short, long = 3, 4
    known = {
        256: (short, 1, b"\1"), 257: (short, 1, b"\1"), 258: (short, 1, b"\x08"), 259: (short, 1, b"\1"),
        262: (short, 1, b"\1"), 273: (long, 1, b""), 277: (short, 1, b"\1"), 278: (short, 1, b"\1"),
        279: (long, 1, b"\1"), 271: (2, 4, b"Cam\0"),
    }  # fmt: skip
    all_tags = {**known, **tags}
    head = b"II+\0\x08\0\0\0" if big else b"II*\0"
    head += struct.pack(offset, len(head) + struct.calcsize(offset))
    size = struct.calcsize(entry)
    end = len(head) + struct.calcsize(count) + size * len(all_tags) + struct.calcsize(offset)
    all_tags[273] = (long, 1, struct.pack("<I", end + 8))
    body, outside = b"", b""
    for tag in sorted(all_tags):
        kind, number, value = all_tags[tag]
        if len(value) > struct.calcsize(offset):
            outside, value = value, struct.pack(offset, end)
        body += struct.pack(entry, tag, kind, number, value)
    return (
        head
        + struct.pack(count, len(all_tags))
        + body
        + struct.pack(offset, 0)
        + outside.ljust(8, b"\0")
        + b"\x99"
    )


@pytest.mark.parametrize("big", [False, True])
def test_tiff_files_of_both_sizes(big: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels, presentation, metadata, _ = images.from_file(tiff({}, big), "it")
    assert (pixels.tolist(), presentation.mode) == ([[0x99]], "L")
    tags = parsed_exif(metadata.exif)
    assert tags is not None
    assert tags[271] == "Cam"


@pytest.mark.parametrize("big", [False, True])
def test_a_tag_that_exif_cannot_hold_is_named(big: bool) -> None:
    data = tiff({65000: (16, 1, struct.pack("<Q", 1 << 40))}, big)
    with pytest.warns(SaidWarning, match="cannot be kept: 65000"):
        pixels, _, metadata, _ = images.from_file(data, "it")
    assert pixels.tolist() == [[0x99]]
    tags = parsed_exif(metadata.exif)
    assert tags is not None
    assert (tags[271], 65000 in tags) == ("Cam", False)
