"""The residual layer: what is left of the image after x̂(T), losslessly.

From a pixel to its bits: ``band`` arranges the tiles of a band and writes what precedes their samples;
``context`` says which decoded samples the network sees, ``network`` holds its weights, ``copies`` asks the
questions of flat colours; ``walk`` takes all samples through the network in the order of ``wavefront``, and
``coders`` writes, reads or measures them.  ``gaussian`` is the paper's residual code instead.
"""
