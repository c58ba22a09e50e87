"""The encoder's half of the known maps: which map made a picture, and from which luma and chroma.

Nothing here is part of the format: any luma, chroma and exceptions whose ``Mapped.pixels`` are the picture
will do.

``colours``   preimages of single colours, and which map a picture has
``mapping``   a picture as luma and chroma of its map, and exceptions
``sitings``   which layouts the chroma may have had
``chroma``    the samples of halved chroma: ``estimate`` by least squares, repaired by ``sums`` where colours
              are not clamped and by ``clamped`` where they are
"""

from saidcodec.encoder.preimage.colours import recognised
from saidcodec.encoder.preimage.mapping import mapped

__all__ = ["mapped", "recognised"]
