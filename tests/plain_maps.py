"""Section 8.4 of bitstream_spec.md for plain_decoder.py, from the text alone: what mapped bands show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# map: s, A, z, K, r, p, q, b
LINEAR = {
    1: (16, 65536, 0, 32768, 91881, -22554, -46802, 116130),
    4: (16, 76309, 16, 32768, 104597, -25675, -53279, 132201),
    5: (16, 76309, 16, 32768, 117489, -13975, -34925, 138438),
    6: (16, 65536, 0, 32768, 103206, -12276, -30679, 121609),
    7: (20, 1220542, 16, 524288, 1673527, -409993, -852492, 2116026),
    9: (14, 16384, 0, 8192, 22987, -5636, -11698, 29049),
}


def tables(number):
    """(s, y, rv, gu, gv, bu) of a map."""
    i = np.arange(256, dtype=np.int64)
    c = i - 128
    if number in LINEAR:
        s, a, z, k, *factors = LINEAR[number]
        return s, a * (i - z) + k, *(factor * c for factor in factors)
    if number == 2:
        u, v = 145352 * (i - 156), 119374 * (i - 137)
        return 16, 89024 * i, v, -12714 * (u >> 16), -33358 * (v >> 16), u
    if number == 3:
        red, blue = (26149 * i >> 8) - 14234, (33050 * i >> 8) - 17685
        return 6, 19077 * i >> 8, red, -(6419 * i >> 8), 8708 - (13320 * i >> 8), blue
    if number == 8:
        return 20, (i << 20) + 2**19, 1470208 * c, (-360960 * c >> 16) << 16, -748800 * c, 1858048 * c
    if number == 10:
        return 6, (257 * 16320 * i >> 16) + 32, 90 * c, -22 * c, -46 * c, 113 * c
    return 6, (257 * 18997 * i >> 16) - 1160, 102 * c, -25 * c, -52 * c, 128 * c


def colours(number, luma, u, v):
    s, y, rv, gu, gv, bu = tables(number)
    sums = y[luma] + rv[v], y[luma] + gu[u] + gv[v], y[luma] + bu[u]
    return np.stack([np.clip(total >> s, 0, 255) for total in sums], -1)


@dataclass
class Axis:
    n: int
    halved: bool
    phase: int
    siting: int
    ring: bool

    def __post_init__(self):
        i = np.arange(self.n)
        self.t, low, high = i, 0, self.n
        near = far = i
        if self.halved:
            self.t = i + self.phase
            near = self.t >> 1
            last = self.n - 1 + self.phase
            high = (last >> 1) + 1
            if self.ring and self.siting == 3:
                low, high = -1, high + 1
            if self.ring and self.siting == 2 and last % 2:
                high += 1
            far = near + {1: 0, 2: self.t & 1, 3: 2 * (self.t & 1) - 1}[self.siting]
        self.cells = high - low
        self.near, self.far = (np.clip(c, low, high - 1) - low for c in (near, far))


def full(g, rows, columns, rounding):
    """Chroma of every pixel from the cells ``g``."""
    a, b = (g[rows.near][:, side] for side in (columns.near, columns.far))
    d, e = (g[rows.far][:, side] for side in (columns.near, columns.far))
    both, other = rows.halved and columns.halved, b if columns.halved else d
    if rows.siting < 2:
        return a
    if rows.siting == 2:
        return a + b + d + e + 2 >> 2 if both else a + other + 1 >> 1
    k = 8 if both else 2
    if rounding:
        q = (columns.t if rounding < 3 else rows.t[:, None]) & 1 ^ (rounding in (2, 4))
        k = 8 - q if both else 1 + q
    return 9 * a + 3 * b + 3 * d + e + k >> 4 if both else 3 * a + other + k >> 2
