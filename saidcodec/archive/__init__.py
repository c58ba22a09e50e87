"""Archives of small images, .saids files (archive_spec.md): many images that share one header, a model and
what is learnt of them.

``layout``: bytes ⇄ groups and the index.  ``group``: a group's descriptions and pixels.  ``reader``: what
users open.  ``names``: what an image may be called.  ``encoding``, ``writer``: what makes archives, and alone
knows the encoder.  ``folder``: folders of images ⇄ archives.
"""
