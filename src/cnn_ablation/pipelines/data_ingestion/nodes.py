"""Nodes of data ingestion."""

from typing import Any

import numpy as np

from cnn_ablation.data import splits
from cnn_ablation.data.image_sets import ImageSet
from cnn_ablation.report.figures import Samples
from cnn_ablation.study.parameters import DataParameters


def split_images(raw: ImageSet, data: DataParameters) -> tuple[splits.Arrays, dict[str, Any]]:
    """Split the images into training, validation and test images.

    Returns:
        The splits, and their summary: the name of the data set, the settings, and all that
        `splits.summarize_splits` returns.
    """
    images = splits.split_images(raw.arrays, data)
    summary = splits.summarize_splits(images, list(raw.class_names))
    return images, {"name": raw.name, "settings": data.model_dump(), **summary}


def plot_samples(images: dict[str, np.ndarray], data_summary: dict[str, Any]) -> Samples:
    """Draw training images, a row per class."""
    return Samples(
        images=images["train_images"],
        labels=images["train_labels"],
        class_names=data_summary["class_names"],
    )
