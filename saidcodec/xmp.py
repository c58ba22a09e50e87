"""Boxes as image regions in XMP: the property Regions of the Metadata Working Group's schema mwg-rs."""

from __future__ import annotations

import re

import numpy as np

from saidcodec.errors import ImageError

REGIONS = b"http://www.metadataworkinggroup.com/schemas/regions/"
NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "mwg-rs": REGIONS.decode(),
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
}
ABOUT = re.compile(rb"""\babout\s*=\s*("[^"<]*"|'[^'<]*')""")
END = re.compile(rb"</(?:[A-Za-z_][\w.-]*:)?RDF\s*>")
EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF>'
    b'</x:xmpmeta><?xpacket end="r"?>'
)


def with_regions(xmp: bytes, boxes: np.ndarray, width: int, height: int) -> bytes:
    """XMP, which may be empty, with the boxes int [n, 4] of an image of ``width`` × ``height`` pixels.

    Raises ImageError where the XMP has regions of its own, or where there is no place in it for any.
    """
    if REGIONS in xmp:
        raise ImageError("The image's XMP has regions of its own; boxes cannot be written beside them.")
    xmp = xmp or EMPTY
    ends = [*END.finditer(xmp)]
    if len(ends) != 1:
        raise ImageError("The image's XMP has no place for boxes: it is damaged.")
    about = ABOUT.search(xmp)  # all descriptions in a packet are about the same thing
    name = about[1] if about else b'""'
    end = ends[0].start()
    return xmp[:end] + description(name.decode("utf-8", "replace"), boxes, width, height) + xmp[end:]


def description(about: str, boxes: np.ndarray, width: int, height: int) -> bytes:
    """The rdf:Description of the regions; their names are the numbers of the glimpses."""
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    items = "".join(
        f'<rdf:li><rdf:Description mwg-rs:Name="glimpse {number}">'
        f"<mwg-rs:Area {area(box, width, height)}/></rdf:Description></rdf:li>"
        for number, box in enumerate(boxes.tolist(), 1)
    )
    return (
        f"<rdf:Description {names} rdf:about={about}>"
        '<mwg-rs:Regions rdf:parseType="Resource">'
        f'<mwg-rs:AppliedToDimensions stDim:w="{width}" stDim:h="{height}" stDim:unit="pixel"/>'
        f"<mwg-rs:RegionList><rdf:Bag>{items}</rdf:Bag></mwg-rs:RegionList>"
        "</mwg-rs:Regions></rdf:Description>"
    ).encode()


def area(box: list[int], width: int, height: int) -> str:
    """Middle and size of a box as shares of the image's sides."""
    x0, y0, x1, y1 = box
    values = {
        "x": (x0 + x1) / 2 / width,
        "y": (y0 + y1) / 2 / height,
        "w": (x1 - x0) / width,
        "h": (y1 - y0) / height,
    }
    return " ".join(f'stArea:{key}="{value:.6f}"' for key, value in values.items()) + (
        ' stArea:unit="normalized"'
    )
