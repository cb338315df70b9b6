"""Ablation studies of convolutional networks, with repeated seeds and a verdict for every claim."""

__version__ = "0.1.0"
