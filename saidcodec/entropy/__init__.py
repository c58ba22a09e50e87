"""From symbols to bits and back.

``rans``        symbols under tables ⇄ the words of a stream
``bank``        the frozen tables of the residual and of the base, in ``tables.npz``

From a pixel to its bits: ``saidcodec.residual`` names a table of the bank for each sample, and ``rans`` codes
the sample's symbol under it.
"""
