"""The residual layer: what is left of the image after x̂(T), losslessly or within a bound.

``band``        one band of the image ⇄ one stream: what the planes need, in which order they come
``gaussian``    the paper's residual code: one Gaussian for each component of a tile
``engine``      a plane ⇄ its symbols, and what they would cost; picks one of the two engines:
``reference``   in NumPy, the specification in Python; ``adaptation``: what a plane's own errors teach
``core``        in C (``_core.c``, ``_walk.h``, ``_adapt.h``), the same to the last bit
``network``     the weights of a model, checked
``context``     which samples the network sees; ``copies``: the questions about flat colours
``lengths``     code lengths as integers

From a pixel to its bits: ``band`` puts its tile's samples into the band's plane; the engine takes the plane's
samples step by step, shows each one's neighbours and x̂ to the network, looks up the table that the network
names (``saidcodec.entropy.bank``) and codes the sample under it.
"""
