"""Boxes become image regions in XMP, beside what the XMP says already."""

from xml.etree import ElementTree

import numpy as np
import pytest

from saidcodec import xmp
from saidcodec.errors import ImageError

BOXES = np.array([[0, 10, 40, 20], [30, 0, 100, 50]])
OTHER = (
    "<?xpacket begin='' id='it'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>"
    "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    "<r:Description r:about='uuid:ü&amp;1' xmlns:dc='http://purl.org/dc/elements/1.1/'>"
    "<dc:source>a camera</dc:source></r:Description></r:RDF></x:xmpmeta>\n  <?xpacket end='w'?>"
).encode()
NAMES = {name.replace("-", ""): uri for name, uri in xmp.NAMESPACES.items()}


@pytest.mark.parametrize("before", [b"", OTHER])
def test_regions_are_shares_of_the_image(before: bytes) -> None:
    tree = ElementTree.fromstring(xmp.with_regions(before, BOXES, 100, 50))
    (regions,) = tree.iterfind(".//mwgrs:Regions", NAMES)
    dimensions = regions.find("mwgrs:AppliedToDimensions", NAMES)
    assert dimensions is not None
    assert [dimensions.get(f"{{{NAMES['stDim']}}}{key}") for key in ("w", "h", "unit")] == [
        "100",
        "50",
        "pixel",
    ]
    areas = list(regions.iterfind("mwgrs:RegionList/rdf:Bag/rdf:li/rdf:Description/mwgrs:Area", NAMES))
    found = [[float(area.get(f"{{{NAMES['stArea']}}}{key}", "")) for key in "xywh"] for area in areas]
    assert found == [[0.2, 0.3, 0.4, 0.2], [0.65, 0.5, 0.7, 1.0]]
    assert {area.get(f"{{{NAMES['stArea']}}}unit") for area in areas} == {"normalized"}


def test_what_the_xmp_says_already_stays() -> None:
    found = xmp.with_regions(OTHER, BOXES, 100, 50)
    assert found.startswith(OTHER[: OTHER.index(b"</r:RDF>")])
    assert found.endswith(OTHER[OTHER.index(b"</r:RDF>") :])
    tree = ElementTree.fromstring(found)
    about = {one.get(f"{{{NAMES['rdf']}}}about") for one in tree.iterfind("rdf:RDF/rdf:Description", NAMES)}
    assert about == {"uuid:ü&1"}


def test_xmp_that_has_regions_already() -> None:
    with pytest.raises(ImageError, match="regions of its own"):
        xmp.with_regions(xmp.with_regions(b"", BOXES, 100, 50), BOXES, 100, 50)


@pytest.mark.parametrize("bad", [b"<x/>", OTHER + OTHER, b"\xff\xfe<"])
def test_xmp_without_a_place_for_them(bad: bytes) -> None:
    with pytest.raises(ImageError, match="no place for boxes"):
        xmp.with_regions(bad, BOXES, 100, 50)
