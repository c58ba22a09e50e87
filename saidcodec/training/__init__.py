"""Training in torch; encoding and decoding import none of it.

``commands``   the commands of ``saidcodec train``, a module for each
``stages``     a whole model out of a folder; ``adapt``: a model brought closer to a folder;
               ``folder``: what is in it; ``card``: the page about the result; ``defaults``
``sources``    what the commands of single layers learn from; ``datasets``, ``photos``: how it is made
``said``       the paper's loop, losses and training; ``networks``, ``painting``: its networks and its boxes
``watch``      what a SAID model in training does
``residual``   training the residual network; ``residual_network``, ``windows``: the network and its contexts;
               ``mixture``, ``build_tables``: the formulas behind the bank; ``reconstruct``: x̂(T) for it;
               ``shrink``: a smaller network out of a larger one
``joint``      both layers together; ``looks`` has the boxes for that
``team``       processes that train one network together
``quantise``   layers that come to rest on integers; ``export``: from checkpoints to a model's tensors
"""
