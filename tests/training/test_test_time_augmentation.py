"""Test-time augmentation: what it averages, and that it leaves the training alone."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnn_ablation.data.splits import Arrays
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.training.loop import train
from cnn_ablation.training.results import TrainedTrial
from cnn_ablation.training.training_data import TrainingData
from tests.conftest import QUICK_TRAINING, needs_cuda
from tests.training.test_loop import on_device, same_weights

MODELS: list[dict[str, Any]] = [
    {"kind": "convnet", "conv_channels": [8], "fc_units": [16]},
    {"kind": "resnet", "depth": 8, "width": 0.25},
]
FLIP = "horizontal_flip"
ALL = "horizontal_flip_and_translate"


@pytest.fixture(scope="module")
def data(raw_images: Arrays) -> TrainingData:
    return on_device(raw_images, "cpu")


def run(
    data: TrainingData, model: dict[str, Any], augmentation: str = "none", averaging: str = "none"
) -> TrainedTrial:
    training = {**QUICK_TRAINING.model_dump(), "averaging": averaging}
    settings = {"model": {**model, "test_time_augmentation": augmentation}, "training": training}
    return train(Configuration.model_validate(settings), 0, data, 10, moments=3)


def shifted(images: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    height, width = images.shape[2:]
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="reflect").to(images.dtype)
    return padded[:, :, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("averaging", ["none", "ema", "epoch_average"])
def test_logits_are_weighted_means_and_the_training_is_the_same(
    data: TrainingData, model: dict[str, Any], averaging: str
) -> None:
    def logits_of(images: torch.Tensor) -> np.ndarray:
        changed = TrainingData(**{**vars(data), "validation_images": images})
        return run(changed, model, averaging=averaging).validation_logits

    def both(images: torch.Tensor) -> np.ndarray:
        logits: np.ndarray = (logits_of(images) + logits_of(images.flip(3))) / 2
        return logits

    images = data.validation_images
    moved = [both(shifted(images, step, step)) for step in (1, -1)]
    expected = {FLIP: both(images), ALL: both(images) / 2 + sum(moved) / 4}
    plain = run(data, model, averaging=averaging)
    for augmentation, logits in expected.items():
        augmented = run(data, model, augmentation, averaging)
        assert same_weights(plain, augmented)
        np.testing.assert_allclose(augmented.validation_logits, logits, rtol=1e-4, atol=1e-4)
        hits = logits.argmax(1) == data.validation_labels.numpy()
        assert augmented.measurements.history[-1]["val_accuracy"] == pytest.approx(100 * hits.mean())


def test_only_the_trained_network_is_evaluated_with_it(data: TrainingData) -> None:
    plain, augmented = (run(data, MODELS[0], augmentation) for augmentation in ("none", ALL))
    first, last = (
        [each.measurements.history[epoch]["val_loss"] for each in (plain, augmented)]
        for epoch in (0, -1)
    )
    assert first[0] == first[1]
    assert last[0] != last[1]
    (moment,) = augmented.measurements.moments
    assert moment["val_loss"] == last[1]
    assert plain.measurements.fit["train_loss"] != augmented.measurements.fit["train_loss"]
    assert plain.measurements.activations == augmented.measurements.activations


@needs_cuda
def test_it_is_the_same_with_cuda_graphs(raw_images: Arrays) -> None:
    data = on_device(raw_images, "cuda")
    configuration = Configuration.model_validate(
        {
            "model": {**MODELS[0], "test_time_augmentation": ALL},
            "training": {**QUICK_TRAINING.model_dump(), "averaging": "ema"},
        }
    )
    first, second = (train(configuration, 0, data, 10, graphs=graphs) for graphs in (True, False))
    assert np.array_equal(first.validation_logits, second.validation_logits)
