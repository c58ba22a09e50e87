"""Training in torch; encoding and decoding import none of it.

``commands``   those of ``saidcodec train``, a module each; ``sources``, ``datasets``, ``photos``: what to learn from
``said``       the paper's loop, losses and training; ``networks``, ``painting``: its networks and its boxes
``watch``      what a SAID model in training does
``residual``   training the residual network; ``residual_network``, ``windows``: the network and its contexts;
               ``mixture``, ``build_tables``: the formulas behind the bank; ``reconstruct``: x̂(T) for it;
               ``shrink``: a smaller network out of a larger one
``joint``      both layers together
``quantise``   layers that come to rest on integers; ``export``: from checkpoints to a model's tensors
"""
