"""Evaluation that averages the logits of each image and of its mirror image."""

from typing import Any

import numpy as np
import pytest
import torch

from cnn_ablation.data.splits import Arrays
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.training.loop import train
from cnn_ablation.training.results import TrainedTrial
from cnn_ablation.training.training_data import TrainingData
from tests.conftest import QUICK_TRAINING
from tests.training.test_loop import on_device, same_weights

MODELS: list[dict[str, Any]] = [
    {"kind": "convnet", "conv_channels": [8], "fc_units": [16]},
    {"kind": "resnet", "depth": 8, "width": 0.25},
]


def run(data: TrainingData, model: dict[str, Any], averaging: str = "none") -> TrainedTrial:
    training = {**QUICK_TRAINING.model_dump(), "averaging": averaging}
    return train(Configuration.model_validate({"model": model, "training": training}), 0, data, 10)


@pytest.fixture(scope="module")
def data(raw_images: Arrays) -> TrainingData:
    return on_device(raw_images, "cpu")


def mirrored(data: TrainingData) -> TrainingData:
    """The same data, but with the mirror images of the validation images."""
    return TrainingData(**{**vars(data), "validation_images": data.validation_images.flip(3)})


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("averaging", ["none", "ema"])
def test_logits_are_the_mean_of_both_images_and_the_training_is_the_same(
    data: TrainingData, model: dict[str, Any], averaging: str
) -> None:
    plain, mirror = (run(each, model, averaging) for each in (data, mirrored(data)))
    both = run(data, model | {"test_time_flip": True}, averaging)
    assert same_weights(plain, both)
    assert not np.array_equal(plain.validation_logits, mirror.validation_logits)
    expected = (plain.validation_logits + mirror.validation_logits) / 2
    np.testing.assert_allclose(both.validation_logits, expected, rtol=1e-5, atol=1e-5)
    accuracy = 100 * (both.validation_logits.argmax(1) == data.validation_labels.numpy()).mean()
    assert both.measurements.history[-1]["val_accuracy"] == pytest.approx(accuracy)


def test_a_mirror_image_is_classified_like_the_image(data: TrainingData) -> None:
    model = MODELS[0] | {"test_time_flip": True}
    first, second = (run(each, model).validation_logits for each in (data, mirrored(data)))
    torch.testing.assert_close(torch.from_numpy(first), torch.from_numpy(second))
