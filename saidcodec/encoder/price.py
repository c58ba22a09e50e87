"""What a tile takes in all, under one description or another: exact bits, for the encoder's choices.

They are those of lossless files: what a bound on errors saves depends on the order of decoding.  A tile is
measured within its band, since contexts cross tiles, but as if no other tile had a reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saidcodec.format.header import Header
from saidcodec.format.planes import NO_RECONSTRUCTION, middle_of
from saidcodec.format.tiling import Place
from saidcodec.models import Model
from saidcodec.residual import band, engine, gaussian
from saidcodec.residual.engine import LENGTH_BITS, Plane
from saidcodec.residual.network import FARTHEST, ResidualNetwork
from saidcodec.said import Description, account, planes_of
from saidcodec.said.description import box_pixels, iou
from saidcodec.said.latent import latent_bits
from saidcodec.said.painter import blend, painted, patch_side, patches
from saidcodec.said.section import box_bits, tables_of

BOX_WORTH = "encoder.box.worth"  # tensor float32 [1], bits
AT_ONCE = 512  # samples that are measured before the next look at a limit
SAME = 0.35  # intersection over union from which two boxes show the same thing

Rendered = tuple["Description | None", "np.ndarray | None"]  # a description and its x̂(T), uint8 RGB


class Meter:
    """Bits of the residual of one tile under one x̂ after another; only what sees a change is measured again.

    They are exact as long as the style is the one that the writer will choose, which may depend on x̂.
    """

    def __init__(self, network: ResidualNetwork, plane: Plane, place: Place):
        """``plane``: the tile's band with its styles; any x̂ of it is left aside."""
        height, width = plane.coded.shape
        self.network, self.place = network, place
        self.reconstruction = np.full((height, width, 3), NO_RECONSTRUCTION, np.int16)
        coded = np.zeros((height, width), np.uint8)
        coded[place] = 1
        self.plane = replace(plane, coded=coded, reconstruction=self.reconstruction)
        self.lengths = np.zeros((height, width), np.uint32)
        self.numbers = np.arange(height * width, dtype=np.int32).reshape(height, width)[place]
        rows, columns = place
        # The tile and what its samples may look at.
        self.surroundings = np.ix_(
            np.arange(rows.start - FARTHEST, rows.stop + FARTHEST).clip(0, height - 1),
            np.arange(columns.start - FARTHEST, columns.stop + FARTHEST).clip(0, width - 1),
        )
        self.measured = False
        self.order: np.ndarray | None = None  # of ``numbers``, by falling lengths; None until it is needed

    def bits(self, reconstruction: np.ndarray | None) -> float:
        """Bits of all samples under x̂ int16 [h, w, 3], or none."""
        different = self.show(reconstruction)
        which = different if self.measured else np.ones_like(different)
        if which.any():
            self.lengths[self.place][which] = self.measure(self.numbers[which])
            self.order = None
        self.measured = True
        return float(self.lengths[self.place].sum(dtype=np.int64)) / (1 << LENGTH_BITS)

    def bits_below(self, reconstruction: np.ndarray | None, limit: float) -> float | None:
        """Bits of all samples under another x̂, or none, where they are fewer than ``limit``; else None.

        What takes the most bits now is measured first, since it soon says that there are too many.  After
        ``bits``.
        """
        whole = np.full_like(self.reconstruction, NO_RECONSTRUCTION)
        if reconstruction is not None:
            whole[self.place] = reconstruction
        plane = replace(self.plane, reconstruction=whole)
        if self.order is None:
            self.order = self.numbers.reshape(-1)[self.lengths[self.place].reshape(-1).argsort()[::-1]]
        found = 0.0
        for first in range(0, len(self.order), AT_ONCE):
            if found >= limit:
                return None
            bits = band.measure(self.network, plane, self.order[first : first + AT_ONCE])
            found += float(bits.sum()) / (1 << LENGTH_BITS)
        return found if found < limit else None

    def show(self, reconstruction: np.ndarray | None) -> np.ndarray:
        """Take x̂ int16 [h, w, 3], or none, from now on; which samples see a difference, bool [h, w]."""
        here = self.reconstruction[self.place]
        changed = np.zeros(self.plane.coded.shape, bool)
        new = NO_RECONSTRUCTION if reconstruction is None else reconstruction
        changed[self.place] = (here != new).any(-1)
        here[...] = new
        near = changed[self.surroundings]
        height, width = here.shape[:2]
        found = changed[self.place].copy()  # of its own place a sample sees the flag
        for dx, dy in self.network.around:
            y, x = FARTHEST + dy, FARTHEST + dx
            found |= near[y : y + height, x : x + width]
        return found

    def measure(self, numbers: np.ndarray) -> np.ndarray:
        """Bits of samples of the band, int32 [n], in 2**-16 bit."""
        return band.measure(self.network, self.plane, numbers)

    def changes(self, places: Sequence[Place], inside: Sequence[np.ndarray]) -> np.ndarray:
        """How many bits more the tile would take, if x̂ were another at one of the places: int16 [h, w, 3] of
        each; float64 [n].  After ``bits``."""
        down, across = (side.start for side in self.place)
        edges = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in places]
        rectangles = np.array(edges, np.int32).reshape(-1, 4) + np.array([down, across] * 2, np.int32)
        pixels = np.concatenate([np.zeros((0, 3), np.int16), *(one.reshape(-1, 3) for one in inside)])
        more = engine.current().compare(self.network, self.plane, self.lengths, rectangles, pixels)
        return more / (1 << LENGTH_BITS)


class Pricer:
    """Counts all bits of one tile, int16 [h, w, components], under one description after another.

    ``meter`` None stands for the paper's Gaussian.
    """

    def __init__(self, header: Header, model: Model, planes: np.ndarray, meter: Meter | None):
        self.header, self.model, self.planes, self.meter = header, model, planes, meter
        self.known: dict[bytes, np.ndarray] = {}

    def residual(self, reconstruction: np.ndarray | None) -> float:
        """Bits of the residual under x̂ uint8 RGB [h, w, 3], or none."""
        means = None if reconstruction is None else planes_of(reconstruction, self.header)
        if self.meter:
            return self.meter.bits(means)
        means = middle_of(self.planes.shape) if means is None else means
        return gaussian.residual_bits(self.planes, means)

    def price_below(self, description: Description | None, limit: float) -> float | None:
        """The price of a description, or of none, where it is less than ``limit``; else None."""
        assert self.meter
        if description is None:
            return self.meter.bits_below(None, limit)
        ((_, shown),) = self.rendered([description])
        assert shown is not None
        own = self.own(description)
        found = self.meter.bits_below(planes_of(shown, self.header), limit - own)
        return None if found is None else found + own

    def own(self, description: Description) -> float:
        """A description's own bits, less what its boxes are worth."""
        spent = account(description, self.header.grey, self.model).bits(len(description.boxes))
        return spent - box_worth(self.model) * distinct(description.boxes)

    def added(
        self,
        description: Description,
        canvas: np.ndarray,
        boxes: np.ndarray,
        latents: np.ndarray,
        paints: np.ndarray,
    ) -> np.ndarray:
        """By how many bits one more glimpse, int [n, 4] and [n, 10], changes the price of a description that
        shows x̂ int32 RGB [h, w, 3] and was measured last; float64 [n].  ``paints``: their patches."""
        assert self.meter
        tables, known = tables_of(self.model), len(description.boxes)
        places = [box_pixels(box, *self.planes.shape[1::-1]) for box in boxes]
        more = self.meter.changes(places, variants(canvas, places, paints, self.header))
        more += box_bits(boxes, tables) + latent_bits(latents, tables.latent_bits)
        more += tables.count.bits[known + 1] - tables.count.bits[known]
        more -= box_worth(self.model) * (iou(boxes, description.boxes) <= SAME).all(1)
        return more

    def patches(self, latents: np.ndarray) -> np.ndarray:
        """What ``painter.patches`` gives, which are painted once only; uint8 [n, side, side, 4]."""
        keys = [latent.tobytes() for latent in latents.astype(np.int32)]
        new = {key: latent for key, latent in zip(keys, latents, strict=True) if key not in self.known}
        if new:
            self.known.update(zip(new, patches(np.array([*new.values()]), self.model), strict=True))
        side = patch_side(self.model)
        return np.array([self.known[key] for key in keys]).reshape(-1, side, side, 4)

    def rendered(self, descriptions: Sequence[Description]) -> list[Rendered]:
        """The descriptions with their x̂(T)."""
        found: list[Rendered] = []
        size = self.planes.shape[1::-1]
        for one, own in zip(descriptions, self.patches_of(descriptions), strict=True):
            *_, last = painted(one, own, *size)
            found.append((one, last))
        return found

    def patches_of(self, descriptions: Sequence[Description]) -> list[np.ndarray]:
        """The patches of each description."""
        all_patches = self.patches(np.concatenate([one.latents for one in descriptions]))
        ends = np.cumsum([len(one.latents) for one in descriptions])
        return np.split(all_patches, ends[:-1])

    def cheapest(self, options: Sequence[Rendered]) -> tuple[int, float]:
        """Which option has the least price, and that: its bits in all, less what its boxes are worth."""
        prices = []
        for description, reconstruction in options:
            price = self.residual(reconstruction)
            if description is not None:
                price += self.own(description)
            prices.append(price)
        i = int(np.argmin(prices))
        return i, prices[i]

    def price(self, description: Description) -> float:
        """The price of one description."""
        return self.cheapest(self.rendered([description]))[1]


def variants(
    canvas: np.ndarray, places: Sequence[Place], paints: np.ndarray, header: Header
) -> list[np.ndarray]:
    """What each patch makes of x̂ int32 RGB [h, w, 3] at its place, as the residual layer sees it; int16
    [h, w, 3] each."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for i, place in enumerate(places):
        sizes.setdefault(tuple(side.stop - side.start for side in place), []).append(i)
    found = [canvas] * len(places)
    for members in sizes.values():
        under = np.stack([canvas[places[i]] for i in members])
        planes = planes_of(blend(under, paints[members]), header)
        for i, one in zip(members, planes, strict=True):
            found[i] = one
    return found


def styled(network: ResidualNetwork, plane: Plane, places: Sequence[Place]) -> Plane:
    """A band's plane with the styles that suit the tiles at ``places``."""
    styles = np.zeros(plane.coded.shape, np.uint8)
    for place, style in zip(places, band.choose_styles(network, plane, places), strict=True):
        styles[place] = style
    return replace(plane, styles=styles)


def distinct(boxes: np.ndarray) -> int:
    """How many of the boxes, int [n, 4], are not another look at what an earlier one shows."""
    again = np.tril(iou(boxes, boxes) > SAME, -1).any(1)
    return int((~again).sum())


def box_worth(model: Model) -> float:
    """Bits that a box may cost beyond what it saves, as boxes of scenes are wanted for themselves."""
    return float(model.tensors.get(BOX_WORTH, np.zeros(1))[0])


def tile_bits(network: ResidualNetwork, plane: Plane, places: Sequence[Place]) -> np.ndarray:
    """Exact bits of some tiles of a band's plane, whose styles are still to choose; float64 [tiles]."""
    plane = styled(network, plane, places)
    numbers = np.arange(plane.coded.size, dtype=np.int32).reshape(plane.coded.shape)
    spent = [band.measure(network, plane, numbers[place].reshape(-1)).sum() for place in places]
    return np.array(spent) / (1 << LENGTH_BITS)
