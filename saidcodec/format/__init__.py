"""The file around the coded layers: from pixels to planes and tiles, and from sections to bytes.

``header``     what a file's head says, and the enums of its numbers
``container``  header, metadata and sections ⇄ bytes; limits and checksums
``tiling``     how an image is cut into tiles and bands
``planes``     pixels ⇄ the planes that are coded
``colour``     RGB ⇄ Y, Co, Cg
``maps``       luma and chroma of known maps → RGB, and what a band has to say of them
``levels``     values of channels with gaps ⇄ their ranks

From a pixel to its bits: ``planes`` turns it into Y, Co and Cg; ``tiling`` says to which tile and band it
belongs; ``saidcodec.said`` and ``saidcodec.residual`` code it; ``container`` makes a file of their sections.
"""
