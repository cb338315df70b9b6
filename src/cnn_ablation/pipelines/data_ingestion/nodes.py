"""Nodes of data ingestion."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnn_ablation import fashion_mnist, splits
from cnn_ablation.parameters import DataParameters


def split_images(raw: splits.Arrays, data: DataParameters) -> splits.Arrays:
    """The splits train, validation and test, by the protocol that the parameters name."""
    return splits.split_images(raw, data)


def summarize_splits(images: splits.Arrays) -> dict[str, Any]:
    """Class counts, statistics for normalization, shape and classes of the splits."""
    return splits.summarize_splits(images, list(fashion_mnist.CLASS_NAMES))


def plot_samples(images: dict[str, np.ndarray], data_summary: dict[str, Any]) -> Figure:
    """A figure of training images, a row per class."""
    from cnn_ablation import figures

    return figures.samples(images["train_images"], images["train_labels"], data_summary["class_names"])
