"""What the encoder decides.  Decoding imports none of it, and none of it is part of the format.

``auto``      which models are tried, and which of their files is kept
``writing``   an image with one model → a file
``forms``     what modes are coded as: indices, their ranks, bits
``plan``      for each tile: SAID layer or none, how many glimpses, samples stored as they are
``search``    the glimpse loop: where to look, and whether it pays by N log σ
``proposal``  the encoder's own networks: where to look, and what a patch means
``regions``   where objects of even colour may be
``hills``     where objects of real pictures may be
``crop``      from a box to the patch that it shows
``price``     exact bits of a tile under one description or another
``refine``    glimpses of small images, added and taken away by those bits
``sources``   what a band may have been made of: graphics, levels, luma and chroma of a known map
``estimate``  what a band will take, in one transform of its colours or another
``preimage``  which known map made a picture, and from which luma and chroma

From a pixel to its bits: ``plan`` asks ``search`` for descriptions of a tile, ``price`` says what each takes
together with the residual that it leaves, and the cheapest goes to ``saidcodec.said`` and
``saidcodec.residual`` to be written.  A band whose ``sources`` take fewer bits is written as one of
them; another is written in the transform that suits it, by ``estimate``.
"""
