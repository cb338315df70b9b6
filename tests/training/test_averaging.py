"""Averages of weights: what they are, and that they leave the training alone."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn, update_bn

from cnn_ablation.data.splits import Arrays
from cnn_ablation.parts.averaging import Averaging, EpochAverage, ExponentialAverage
from cnn_ablation.parts.optimizers import SGD
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.training.averaging import WeightAverage
from cnn_ablation.training.loop import train
from cnn_ablation.training.prediction import predict
from cnn_ablation.training.results import TrainedTrial
from cnn_ablation.training.training_data import Normalize, TrainingData
from tests.conftest import JOURNAL_MODEL, needs_cuda
from tests.training.test_loop import configured, on_device, run, same_weights, untimed

SMALL = {"conv_channels": [8], "fc_units": [16]}
STEPS = 7
"""Steps of an epoch: 400 images in batches of 64."""


@pytest.fixture(scope="module")
def data(raw_images: Arrays) -> TrainingData:
    return on_device(raw_images, "cpu")


def averaged(data: TrainingData, averaging: Any, **settings: Any) -> TrainedTrial:
    return run(data, model=SMALL, training={"averaging": averaging}, **settings)


class Recorded(SGD):
    """An optimizer that records the weights after each step."""

    kind: Literal["recorded"] = "recorded"  # type: ignore[assignment]
    weights: list[Any]

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        parameters = list(parameters)
        optimizer = super().build(parameters)
        step = optimizer.step

        def recorded_step() -> None:
            step()
            self.weights.append([parameter.detach().clone() for parameter in parameters])

        optimizer.step = recorded_step  # type: ignore[assignment, method-assign]
        return optimizer


def recorded(
    data: TrainingData, averaging: str, model: dict[str, Any], batch_size: int, layers: str
) -> tuple[TrainedTrial, list[list[Tensor]]]:
    """A training of two epochs with momentum, and its weights after each step."""
    optimizer = Recorded.model_construct(weights=[])
    configuration = configured(model, {"averaging": averaging, "batch_size": batch_size})
    training = TrainingParameters.model_construct(
        **{**dict(configuration.training), "optimizer": optimizer}
    )
    trial = Configuration.model_construct(model=configuration.model, training=training)
    return train(trial, 0, data, 10, layers=layers), optimizer.weights


@pytest.mark.parametrize("averaging", ["epoch_average", "ema"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_trained_weights_have_the_bits_of_a_training_without_averaging(
    data: TrainingData, averaging: str, precision: str
) -> None:
    plain, other = (averaged(data, kind, precision=precision, moments=3) for kind in ("none", averaging))
    assert not same_weights(plain, other)
    for before, after in zip(plain.measurements.history, other.measurements.history, strict=True):
        assert {name: before[name] for name in ("train_loss", "train_accuracy")} == {
            name: after[name] for name in ("train_loss", "train_accuracy")
        }


@pytest.mark.parametrize("averaging", ["epoch_average", {"kind": "ema", "decay": 0.9, "steps": 2}])
def test_an_average_has_the_same_bits_again(data: TrainingData, averaging: Any) -> None:
    assert same_weights(averaged(data, averaging), averaged(data, averaging))


@pytest.mark.parametrize("layers", ["fast", "torch"])
def test_the_epoch_average_is_the_mean_over_the_last_epoch_with_its_own_statistics(
    data: TrainingData, layers: str
) -> None:
    model = {**SMALL, "dropout_rate": 0.0}
    trained, weights = recorded(data, "epoch_average", model, 100, layers)
    plain, same = recorded(data, "none", model, 100, layers)
    assert len(weights) == len(same) == 8
    assert all(
        torch.equal(a, b)
        for one, two in zip(weights, same, strict=True)
        for a, b in zip(one, two, strict=True)
    )

    network = configured(model).model.build((1, 28, 28), 10)
    names = [name for name, _ in network.named_parameters()]
    for name, values in zip(names, zip(*weights[4:], strict=True), strict=True):
        mean = torch.stack(values).mean(0)
        np.testing.assert_allclose(trained.weights[name], mean, atol=1e-6)
        np.testing.assert_allclose(plain.weights[name], values[-1])

    network.load_state_dict({name: torch.from_numpy(value) for name, value in trained.weights.items()})
    normalize = Normalize(data.mean, data.std)
    logits = predict(network, data.validation_images, normalize)
    np.testing.assert_allclose(trained.validation_logits, logits, atol=1e-4)
    # With one batch of all images, the statistics do not depend on the order.
    trained, _ = recorded(data, "epoch_average", model, 400, layers)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in trained.weights.items()})
    update_bn([normalize(data.train_images)], network)
    for name, buffer in network.named_buffers():
        # PyTorch sums a channels-last batch less precisely.
        np.testing.assert_allclose(trained.weights[name], buffer, rtol=0.01, atol=0.001)


def test_the_epoch_average_is_evaluated_once_at_the_end(data: TrainingData) -> None:
    plain, trained = (averaged(data, kind, moments=4) for kind in ("none", "epoch_average"))
    assert len(plain.measurements.moments) == 4
    last = trained.measurements.history[-1]
    assert trained.measurements.moments == [{name: last[name] for name in ("val_loss", "val_accuracy")}]
    assert len(trained.validation_hits) == 1
    # There is no average before the last epoch.
    assert untimed(plain.measurements)["history"][0] == untimed(trained.measurements)["history"][0]
    assert plain.measurements.fit["train_loss"] != trained.measurements.fit["train_loss"]


def test_the_current_exponential_average_is_evaluated_at_each_moment(data: TrainingData) -> None:
    plain, trained = (averaged(data, kind, moments=4) for kind in ("none", "ema"))
    assert len(trained.measurements.moments) == len(trained.validation_hits) == 4
    assert not {row["val_loss"] for row in plain.measurements.moments} & {
        row["val_loss"] for row in trained.measurements.moments
    }
    assert untimed(trained.measurements) == untimed(averaged(data, "ema", moments=4).measurements)
    fewer = averaged(data, "ema", moments=2)
    assert fewer.measurements.moments == trained.measurements.moments[1::2]
    network = configured(SMALL).model.build((1, 28, 28), 10)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in trained.weights.items()})
    logits = predict(network, data.validation_images, Normalize(data.mean, data.std))
    np.testing.assert_allclose(trained.validation_logits, logits, atol=1e-4)


def test_an_average_that_keeps_nothing_is_the_last_weights(data: TrainingData) -> None:
    plain, trained = (
        averaged(data, kind, moments=3) for kind in ("none", {"kind": "ema", "decay": 0.0})
    )
    assert same_weights(plain, trained)
    assert untimed(plain.measurements) == untimed(trained.measurements)


def small_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 2))


def warm(decay: float) -> Callable[[Any, Any, Any], None]:
    def update(averages: Any, weights: Any, count: Any) -> None:
        get_ema_multi_avg_fn(min(decay, (1 + int(count)) / (10 + int(count))))(averages, weights, count)

    return update


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (EpochAverage(), {"multi_avg_fn": get_swa_multi_avg_fn()}),
        (
            ExponentialAverage(decay=0.15),
            {"multi_avg_fn": get_ema_multi_avg_fn(0.15), "use_buffers": True},
        ),
        (ExponentialAverage(decay=0.5), {"multi_avg_fn": warm(0.5), "use_buffers": True}),
    ],
    ids=["epoch_average", "ema", "ema that warms up"],
)
def test_updates_are_those_of_pytorchs_averaged_model(ours: Averaging, theirs: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = small_network()
    average, model = WeightAverage(ours, network), AveragedModel(network, **theirs)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(12):
        optimizer.zero_grad()
        network(torch.randn(8, 1, 5, 5)).square().mean().backward()
        optimizer.step()
        trained = {name: value.clone() for name, value in network.state_dict().items()}
        average.update()
        model.update_parameters(network)
        with average.in_place():
            for name, value in network.state_dict().items():
                if value.is_floating_point():
                    expected = model.module.state_dict()[name]
                    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-7)
        assert all(torch.equal(value, trained[name]) for name, value in network.state_dict().items())
    average.settle()
    torch.testing.assert_close(network[3].weight, model.get_parameter("module.3.weight"))


def test_steps_that_an_average_includes() -> None:
    def included(averaging: Averaging) -> list[int]:
        return [step for step in range(1, 13) if averaging.includes(step, 12, 3)]

    assert included(EpochAverage()) == [9, 10, 11, 12]
    assert included(ExponentialAverage()) == list(range(1, 13))
    assert included(ExponentialAverage(steps=5)) == [5, 10]


@needs_cuda
@pytest.mark.parametrize("averaging", ["epoch_average", "ema"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_averages_on_cuda_do_not_depend_on_graphs(
    raw_images: Arrays, averaging: str, precision: str
) -> None:
    data = on_device(raw_images, "cuda")
    settings = {
        "averaging": averaging,
        "epochs": 5,
        "optimizer": {"kind": "adam", "learning_rate": 2**-10},
    }
    configuration = Configuration(model=JOURNAL_MODEL, training=configured(training=settings).training)
    graphed, again, eager = (
        train(configuration, 0, data, 10, moments=3, precision=precision, graphs=graphs)
        for graphs in (True, True, False)
    )
    assert same_weights(graphed, again)
    assert graphed.measurements.history[-1]["val_accuracy"] > 50
    for name, value in graphed.weights.items():
        np.testing.assert_allclose(value, eager.weights[name], atol=0.02)
