"""Ablation studies of convolutional networks whose conclusions can be trusted."""

__version__ = "0.1.0"
