"""The command group ``saidcodec train``: trains either layer's networks and writes model files.

A module for each command; ``options`` holds what they share.
"""

from __future__ import annotations

import click

from saidcodec.training.commands.joint import train_joint
from saidcodec.training.commands.residual import train_residual
from saidcodec.training.commands.said import train_said
from saidcodec.training.commands.tables import train_tables


@click.group()
def train() -> None:
    """Train models on your own images (needs the "train" extra)."""


for command in (train_said, train_residual, train_joint, train_tables):
    train.add_command(command)
