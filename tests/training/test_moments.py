"""Evaluations in the last epoch, and of the training images after it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cnn_ablation.data.splits import Arrays
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.training import loop, prediction
from cnn_ablation.training import steps as training_steps
from cnn_ablation.training.loop import train
from cnn_ablation.training.prediction import predict
from cnn_ablation.training.results import TrainedTrial, summarize
from cnn_ablation.training.training_data import Normalize, TrainingData
from tests.conftest import JOURNAL_MODEL, QUICK_TRAINING
from tests.training.test_loop import Plain, configured, on_device, run, untimed

STEPS = 7
"""Steps of an epoch: 400 images in batches of 64."""


@pytest.fixture(scope="module")
def data(raw_images: Arrays) -> TrainingData:
    return on_device(raw_images, "cpu")


def without_moments(trained: TrainedTrial) -> dict[str, Any]:
    return {name: value for name, value in untimed(trained.measurements).items() if name != "moments"}


@pytest.mark.parametrize(
    ("configuration", "precision"),
    [
        (configured(training={"augmentation": ["horizontal_flip"]}), "fp32"),
        (configured(), "bf16"),
        # Its dropout draws from the process-wide generator.
        (Configuration.model_construct(model=Plain(), training=QUICK_TRAINING), "fp32"),
    ],
    ids=["fp32", "bf16", "unknown architecture"],
)
def test_moments_change_nothing_else(
    data: TrainingData, configuration: Configuration, precision: str
) -> None:
    one, *others = (
        train(configuration, 0, data, 10, moments=moments, precision=precision)
        for moments in (1, 3, STEPS)
    )
    for other in others:
        assert without_moments(one) == without_moments(other)
        assert (one.validation_logits == other.validation_logits).all()
        assert all((value == other.weights[name]).all() for name, value in one.weights.items())


def test_moments_are_evenly_spread_over_the_last_epoch(data: TrainingData) -> None:
    each = run(data, moments=STEPS)
    assert len(each.measurements.moments) == len(each.validation_hits) == STEPS
    assert len({row["val_loss"] for row in each.measurements.moments}) == STEPS
    for moments, steps in {1: [7], 2: [4, 7], 3: [3, 5, 7]}.items():
        some = run(data, moments=moments)
        places = [step - 1 for step in steps]
        assert some.measurements.moments == [each.measurements.moments[place] for place in places]
        assert (some.validation_hits == each.validation_hits[places]).all()


def test_moments_end_with_the_epoch(data: TrainingData) -> None:
    trained = run(data, moments=3)
    moments, last = trained.measurements.moments, trained.measurements.history[-1]
    assert moments[-1] == {name: last[name] for name in ("val_loss", "val_accuracy")}
    labels = data.validation_labels.numpy()
    assert (trained.validation_hits[-1] == (trained.validation_logits.argmax(1) == labels)).all()
    assert trained.validation_hits.dtype == bool
    accuracies = [row["val_accuracy"] for row in moments]
    assert accuracies == (100 * trained.validation_hits.mean(axis=1)).tolist()
    metrics = summarize(trained.measurements)
    assert metrics["mean_val_accuracy"] == pytest.approx(np.mean(accuracies))
    alone = summarize(run(data).measurements)
    assert alone["mean_val_accuracy"] == alone["final_val_accuracy"] == metrics["final_val_accuracy"]


def test_the_fit_is_that_of_the_final_weights_in_evaluation_mode(data: TrainingData) -> None:
    trained = run(data, layers="torch")
    network = JOURNAL_MODEL.build((1, 28, 28), 10)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in trained.weights.items()})
    logits = predict(network, data.train_images, Normalize(data.mean, data.std))
    hits = (logits.argmax(1) == data.train_labels).numpy()
    fit = trained.measurements.fit
    assert fit["train_accuracy"] == 100 * hits.mean()
    assert fit["train_accuracy"] > trained.measurements.history[-1]["train_accuracy"] + 5
    loss = torch.nn.functional.cross_entropy(logits, data.train_labels).item()
    assert fit["train_loss"] == pytest.approx(loss, rel=1e-5)
    assert fit["seconds_per_image"] > 0


def test_times_of_an_epoch_exclude_its_moments(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which only evaluations take time, each epoch has the time of one evaluation."""
    now = 0.0
    evaluate = prediction.predict

    def predict_slowly(*arguments: Any) -> torch.Tensor:
        nonlocal now
        now += 100
        return evaluate(*arguments)

    monkeypatch.setattr(training_steps, "predict", predict_slowly)
    clock = SimpleNamespace(perf_counter=lambda: now, thread_time=lambda: now)
    monkeypatch.setattr(loop, "time", clock)
    history = run(data, training={"epochs": 3}, moments=4).measurements.history
    assert [row["seconds"] for row in history] == [100, 100, 100]
    assert [row["compute_seconds"] for row in history] == [100, 100, 100]


def test_activations_of_the_published_journals_network(data: TrainingData) -> None:
    # A convolutional layer puts out a map after convolution and after batch norm, and a quarter of it
    # after pooling and after ReLU. The hidden layer puts out 128 values after Linear, ReLU and dropout.
    first = 2 * 32 * 28 * 28 + 2 * 32 * 14 * 14  # 62,720
    second = 2 * 64 * 14 * 14 + 2 * 64 * 7 * 7  # 31,360
    by_hand = first + second + 3 * 128 + 10
    assert by_hand == 94_474
    measured = run(data, training={"epochs": 1}).measurements
    assert measured.activations == by_hand
    assert summarize(measured)["activation_kib"] == pytest.approx(4 * 94_474 / 1024)
