"""Measuring.  Encoding and decoding import none of it.

``rate``       sizes and speeds beside other codecs
``detection``  boxes against the true ones
``page``       puts tables of measurements into pages of text
"""
