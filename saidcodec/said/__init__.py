"""The SAID layer as a decoder knows it: what a file says about each tile, and the picture that this paints.

From bytes to x̂(T): ``section`` reads the SAID section into one ``Description`` (``description``) for each
tile, a base and glimpses.  ``base`` and ``resampling`` make x̂(0) of the base; ``latent`` turns a glimpse's
latents into bytes; ``painter`` runs the decoder network on them and pastes the patches, which gives x̂(1) to
x̂(T).

Where glimpses come from is the encoder's affair (``saidcodec.encoder``).
"""

from saidcodec.said.description import Description
from saidcodec.said.painter import planes_of, render, render_band, render_steps
from saidcodec.said.section import account, read_section, write_section

__all__ = [
    "Description",
    "account",
    "planes_of",
    "read_section",
    "render",
    "render_band",
    "render_steps",
    "write_section",
]
