"""The boxes of many images, in the forms that programs for object detection read; no pixel is decoded."""

from __future__ import annotations

import csv as csv_module
import io
import json as json_module
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from saidcodec import arguments, inspection, xmp
from saidcodec.arguments import Region, Source
from saidcodec.codec import AnyModel
from saidcodec.errors import ImageError, SaidWarning
from saidcodec.format.header import Metadata
from saidcodec.format.tiling import Place
from saidcodec.inspection import Features

KIND = 1  # of all boxes: they say where something is, not what it is
CSV_HEAD = ("file", "width", "height", "tile", "x0", "y0", "x1", "y1")


@dataclass(frozen=True)
class BoxedImage:
    """An image called ``name`` of ``width`` × ``height`` pixels, and its objects in file order.

    ``tiles`` int [n]: the tile of each, the first of those that it lies in; ``boxes`` int [n, 4]: x0, y0, x1,
    y1 in image pixels.
    """

    name: str
    width: int
    height: int
    tiles: np.ndarray
    boxes: np.ndarray

    @classmethod
    def of(cls, name: str, width: int, height: int, found: Features) -> BoxedImage:
        """The boxed image of a file's features."""
        first = [parts[0] for parts in found.objects.glimpses]
        return cls(name, width, height, found.tiles[first], found.objects.boxes)

    def rectangles(self) -> Iterator[tuple[int, int, int, int]]:
        """x0, y0, width and height of every box."""
        for x0, y0, x1, y1 in self.boxes.tolist():
            yield x0, y0, x1 - x0, y1 - y0

    def within(self, place: Place) -> BoxedImage:
        """The same of a part of the image; boxes are cut off at its border, and left out beyond it."""
        rows, columns = place
        low, high = [columns.start, rows.start] * 2, [columns.stop, rows.stop] * 2
        boxes = np.clip(self.boxes, low, high) - low
        inside = (boxes[:, 2:] > boxes[:, :2]).all(1)
        width, height = columns.stop - columns.start, rows.stop - rows.start
        return replace(self, width=width, height=height, tiles=self.tiles[inside], boxes=boxes[inside])


def read(data: Source, name: str, *, model: AnyModel | None = None) -> BoxedImage:
    """The boxes of one .said file; only its head is read.  Raises what ``inspection.features`` raises."""
    header, found = inspection.header_and_features(data, model=model)
    return BoxedImage.of(name, header.width, header.height, found)


def read_archive(path: str, *, model: AnyModel | None = None) -> Iterator[BoxedImage]:
    """The boxes of every image of an archive, by its name there.  Raises what ``Archive`` raises."""
    from saidcodec.archive.reader import Archive

    with Archive(path, model=model) as archive:
        for number, found in enumerate(archive.features()):
            entry = archive.entry(number)
            name = entry.name or f"{number:05}"
            yield BoxedImage.of(name, entry.width, entry.height, found)


def in_metadata(
    metadata: Metadata, data: Source, region: Region | None = None, *, model: AnyModel | None = None
) -> Metadata:
    """The metadata of a file, or of a region of it, with its boxes as image regions in the XMP.

    A file without boxes, and XMP that cannot take them, leave it as it is, with a SaidWarning.  Raises what
    ``codec.decode`` raises of the file's head.
    """
    header, found = inspection.header_and_features(data, model=model)
    whole = BoxedImage.of("", header.width, header.height, found)
    image = whole.within(arguments.place_of(region, header.width, header.height))
    if not len(image.boxes):
        warnings.warn("There are no boxes to write as metadata.", SaidWarning, stacklevel=2)
        return metadata
    try:
        return metadata._replace(xmp=xmp.with_regions(metadata.xmp, image.boxes, image.width, image.height))
    except ImageError as error:
        warnings.warn(str(error), SaidWarning, stacklevel=2)
        return metadata


def coco(images: Iterable[BoxedImage]) -> Iterator[str]:
    """One JSON object in the form of the COCO data set (cocodataset.org, "Data format")."""
    pictures: list[dict[str, int | str]] = []
    annotations: list[dict[str, int | list[int]]] = []
    for number, image in enumerate(images, 1):
        size = {"width": image.width, "height": image.height}
        pictures.append({"id": number, "file_name": image.name, **size})
        for x, y, width, height in image.rectangles():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": KIND,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": KIND, "name": "object"}]
    yield json_module.dumps({"images": pictures, "annotations": annotations, "categories": categories})


def csv(images: Iterable[BoxedImage]) -> Iterator[str]:
    """A line of names, then a line for each box."""
    yield ",".join(CSV_HEAD)
    for image in images:
        for tile, box in zip(image.tiles.tolist(), image.boxes.tolist(), strict=True):
            line = io.StringIO()
            writer = csv_module.writer(line, lineterminator="")
            writer.writerow([image.name, image.width, image.height, tile, *box])
            yield line.getvalue()


def json(images: Iterable[BoxedImage]) -> Iterator[str]:
    """A JSON list with an object, on a line of its own, for each image."""
    before = "["
    for image in images:
        boxes = [
            {"tile": tile, "box": box}
            for tile, box in zip(image.tiles.tolist(), image.boxes.tolist(), strict=True)
        ]
        line = {"file": image.name, "width": image.width, "height": image.height, "boxes": boxes}
        yield before + json_module.dumps(line)
        before = ","
    yield "[]" if before == "[" else "]"


FORMS: dict[str, Callable[[Iterable[BoxedImage]], Iterator[str]]] = {"coco": coco, "csv": csv, "json": json}


def yolo(image: BoxedImage) -> str:
    """The lines of one image's text file: class, then middle and size of a box as shares of the image's."""
    return "".join(
        f"0 {(x + width / 2) / image.width:.6f} {(y + height / 2) / image.height:.6f} "
        f"{width / image.width:.6f} {height / image.height:.6f}\n"
        for x, y, width, height in image.rectangles()
    )
