"""What the residual network sees for one sample (bitstream_spec.md, section 6).

The window holds earlier samples only.  Every offset satisfies ``dx < -2 * dy``, so that all
samples with the same ``x + 2 * y`` are independent of one another: that is the wavefront.
"""

# (dx, dy) relative to the sample; the left neighbour (-1, 0) is the reference, not an input.
WINDOW = (
    (-2, 0), (-3, 0),
    (-3, -1), (-2, -1), (-1, -1), (0, -1), (1, -1),
    (-3, -2), (-2, -2), (-1, -2), (0, -2), (1, -2), (2, -2), (3, -2),
    (-2, -3), (-1, -3), (0, -3), (1, -3), (2, -3),
)  # fmt: skip

SKEW = 2  # a sample (x, y) is decoded at step x + SKEW * y
