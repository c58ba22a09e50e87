"""The residual layer: what is left of the image after x̂(T), losslessly or within a bound.

``band``        one band ⇄ one residual stream: which samples are coded, styles, alpha, then the plane
``mixed``       the same where the band says how it is coded: plain, levels, a known map, graphics
``gaussian``    the paper's residual code, tile by tile
``engine``      what both engines do, and which one runs; a ``Plane`` goes in, symbols and words come out
``reference``   the engine in NumPy: the specification in Python
``core``        the engine in C: ``_core.c``, ``_walk.h`` and ``_adapt.h``
``network``     a model's residual network, checked
``context``     which decoded samples the network sees
``copies``      the questions of models of flat colours
``adaptation``  what learns along in the reference; ``_adapt.h`` is the same in C
``lengths``     code lengths in integers, by which adaptation decides and the encoder chooses
``graphics``    a coder of flat bands that needs no network: ``_graphics.c``, or ``graphics_reference``
``native``      finds the C libraries

From a pixel to its bits: ``band.write`` makes a ``Plane`` of a band; the engine's ``symbols`` names for every
sample one table of the bank and the symbol; its ``push`` puts the symbols on the band's stream.
"""
