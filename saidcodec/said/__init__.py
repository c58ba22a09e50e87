"""The SAID layer: base, boxes, patches, latents, and the glimpse search."""

from saidcodec.said.code import account, read, write
from saidcodec.said.description import Description
from saidcodec.said.painter import render, render_all, render_steps
from saidcodec.said.search import describe

__all__ = ["Description", "account", "describe", "read", "render", "render_all", "render_steps", "write"]
