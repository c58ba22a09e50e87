"""What happens to a step's samples: written, read, or only measured (spec section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from saidcodec.entropy.bank import REACH, SYMBOLS, bank
from saidcodec.entropy.rans import Decoder, Encoder, Table
from saidcodec.errors import CorruptError
from saidcodec.format.colour import HIGH, LOW
from saidcodec.residual.walk import Batch, Samples
from saidcodec.residual.wavefront import Wavefront


def grouped(table: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """Order that brings equal numbers together, and the numbers in use with their counts."""
    order = table.astype(np.uint16).argsort(kind="stable")
    counts = np.bincount(table)
    used = np.flatnonzero(counts)
    return order, used.tolist(), counts[used].tolist()


class Writer:
    """Adds every sample to an entropy encoder; the wavefront holds the samples.

    ``errors`` gives the largest error allowed for each component; samples are coded in steps of
    2 * error + 1 and the wavefront goes on with what the decoder will see.
    """

    def __init__(self, wavefront: Wavefront, encoder: Encoder, errors: tuple[int, ...]):
        self.wavefront, self.encoder, self.errors = wavefront, encoder, errors
        self.progressive = any(errors)
        self.tables = bank().tables
        self.copies = bank().copies

    def code(self, batch: Batch, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        truth = self.wavefront.values(batch.chosen, batch.component)
        error = self.errors[batch.component]
        if error:
            distance = (truth - centre + error) // (2 * error + 1)
            sample = np.clip(centre + (2 * error + 1) * distance, LOW[batch.component], HIGH)
        else:
            distance, sample = truth - centre, truth
        self._add(batch, sign * distance + REACH, table, self.tables, batch.active)
        return sample

    def copy(self, batch: Batch, table: np.ndarray, asked: np.ndarray, offer: np.ndarray) -> np.ndarray:
        same = asked & repeats(self.wavefront, batch, offer, self.errors)
        self._add(batch, same.astype(np.int32), table, self.copies, asked)
        return same

    def finish(self, batch: Batch) -> None:
        """Hand over what was added; a step's questions and components follow each other in the stream."""
        for parts in zip(*batch.coded):
            for part in parts:
                self.encoder.add_groups(*part)

    def _add(
        self,
        batch: Batch,
        symbol: np.ndarray,
        table: np.ndarray,
        tables: Sequence[Table],
        active: np.ndarray | None,
    ) -> None:
        """Sort each step's symbols by table."""
        parts = []
        for span in batch.chosen:
            own, numbers = symbol[span.start : span.stop], table[span.start : span.stop]
            if active is not None:
                here = active[span.start : span.stop]
                own, numbers = own[here], numbers[here]
            order, used, counts = grouped(numbers)
            parts.append((own[order], [tables[index] for index in used], counts))
        batch.coded.append(parts)


class Reader:
    """Takes every step's samples from an entropy decoder; CorruptError on an impossible one."""

    def __init__(self, wavefront: Wavefront, decoder: Decoder, errors: tuple[int, ...]):
        self.wavefront, self.decoder, self.errors = wavefront, decoder, errors
        self.progressive = True
        self.tables = bank().tables
        self.copies = bank().copies

    def code(self, batch: Batch, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        active = batch.active
        symbol = self._take(table, self.tables, active, REACH)
        error = self.errors[batch.component]
        sample = centre + sign * (symbol - REACH) * (2 * error + 1)
        if error:
            return np.clip(sample, LOW[batch.component], HIGH)
        outside = (sample < LOW[batch.component]) | (sample > HIGH)
        if (outside if active is None else outside & active).any():
            raise CorruptError("The residual section decodes to an impossible sample.")
        return sample

    def copy(self, batch: Batch, table: np.ndarray, asked: np.ndarray, offer: np.ndarray) -> np.ndarray:
        return self._take(table, self.copies, asked, 0).astype(bool)

    def finish(self, batch: Batch) -> None:
        """Nothing waits."""

    def _take(
        self, table: np.ndarray, tables: Sequence[Table], active: np.ndarray | None, idle: int
    ) -> np.ndarray:
        """Symbols of the active samples, ``idle`` for the others; int32 [n]."""
        order, used, counts = grouped(table if active is None else table[active])
        symbol = np.empty(len(order), np.int32)
        if used:
            symbol[order] = self.decoder.take_groups([tables[index] for index in used], counts)
        if active is None:
            return symbol
        whole = np.full(len(active), idle, np.int32)
        whole[active] = symbol
        return whole


def repeats(front: Samples, batch: Batch, offer: np.ndarray, errors: Sequence[int]) -> np.ndarray:
    """Which pixels of a batch lie within the errors of their offers, int [n, components]; bool [n]."""
    return (np.abs(front.pixels(batch.chosen) - offer) <= np.array(errors)).all(1)


class Meter:
    """Adds up code lengths by tile, in bits; ``bits`` float64 [tiles].  Writes nothing."""

    progressive = False

    def __init__(self, samples: Samples):
        self.samples = samples
        self.bits = np.zeros(samples.tiles)
        self.lengths, self.questions = code_lengths()

    def code(self, batch: Batch, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        truth = self.samples.values(batch.chosen, batch.component)
        bits = self.lengths.take(table * SYMBOLS + sign * (truth - centre) + REACH)
        self._note(batch, bits, batch.active)
        return truth

    def copy(self, batch: Batch, table: np.ndarray, asked: np.ndarray, offer: np.ndarray) -> np.ndarray:
        same = asked & repeats(self.samples, batch, offer, (0,) * self.samples.components)
        self._note(batch, self.questions.take(2 * table + same), asked)
        return same

    def finish(self, batch: Batch) -> None:
        """Add the batch to the tiles' bits."""
        for bits in batch.coded:
            self.bits += bits.reshape(-1, self.samples.tiles).sum(0)

    def _note(self, batch: Batch, bits: np.ndarray, active: np.ndarray | None) -> None:
        batch.coded.append(bits if active is None else bits * active)


@lru_cache(maxsize=1)
def code_lengths() -> tuple[np.ndarray, np.ndarray]:
    """Bits of every symbol of the bank's mixture tables and of its copy tables, flat float32 each."""
    tables = bank()
    mixture, copies = (
        np.concatenate([table.bits for table in group]).astype(np.float32)
        for group in (tables.tables, tables.copies)
    )
    return mixture, copies
