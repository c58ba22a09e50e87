"""saidcodec: a learned, lossless image codec that keeps what an image is made of readable.

data = saidcodec.encode(image)        # a Pillow image or a uint8 array
pixels = saidcodec.decode(data)       # exactly the same pixels
saidcodec.encode_many(images)         # a list of files, on all cores; decode_many likewise
saidcodec.encode_frames(images)       # one file of several frames; saidcodec.Frames(data) reads them
saidcodec.inspect(data)               # where the bits went, and the object boxes
saidcodec.features(data)              # boxes and latents as arrays
saidcodec.register()                  # let Pillow open and save .said files
saidcodec.pack(images, "all.saids")   # an archive of small images
saidcodec.Archive("all.saids")[17]    # one of them
"""

from typing import TYPE_CHECKING

from saidcodec.lazy import attributes

if TYPE_CHECKING:
    from saidcodec.archive.reader import Archive
    from saidcodec.archive.writer import pack
    from saidcodec.codec import decode, encode
    from saidcodec.errors import SaidError, SaidWarning
    from saidcodec.frames import Frames
    from saidcodec.inspection import Features, features, inspect, preview
    from saidcodec.many import decode_many, encode_many
    from saidcodec.models import Model
    from saidcodec.plugins.pillow import register
    from saidcodec.reader import Reader
    from saidcodec.sequences import encode_frames

__version__ = "0.11.1"
__all__ = [
    "Archive",
    "Features",
    "Frames",
    "Model",
    "Reader",
    "SaidError",
    "SaidWarning",
    "decode",
    "decode_many",
    "encode",
    "encode_frames",
    "encode_many",
    "features",
    "inspect",
    "pack",
    "preview",
    "register",
]

_HOMES = {
    "Archive": "saidcodec.archive.reader",
    "Features": "saidcodec.inspection",
    "Frames": "saidcodec.frames",
    "Model": "saidcodec.models",
    "Reader": "saidcodec.reader",
    "SaidError": "saidcodec.errors",
    "SaidWarning": "saidcodec.errors",
    "decode": "saidcodec.codec",
    "decode_many": "saidcodec.many",
    "encode": "saidcodec.codec",
    "encode_frames": "saidcodec.sequences",
    "encode_many": "saidcodec.many",
    "features": "saidcodec.inspection",
    "inspect": "saidcodec.inspection",
    "pack": "saidcodec.archive.writer",
    "preview": "saidcodec.inspection",
    "register": "saidcodec.plugins.pillow",
}


__getattr__ = attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    """The public names, also those that are not imported yet."""
    return sorted({*globals(), *__all__})
