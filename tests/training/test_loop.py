"""Training is deterministic, paired by seed, and tracks all metrics."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

import numba
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.data.splits import Arrays, split_images
from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.architectures import Architecture
from cnn_ablation.parts.layers import SeededDropout
from cnn_ablation.parts.optimizers import SGD, Adam, AdamW, Optimizer
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.training import random_streams
from cnn_ablation.training.devices import check_layers, resolve_device
from cnn_ablation.training.loop import train
from cnn_ablation.training.results import HISTORY, Measurements, TrainedTrial
from cnn_ablation.training.steps import WARM_UP_IMAGES
from cnn_ablation.training.training_data import TrainingData
from tests.conftest import ALL_IMAGES, JOURNAL_MODEL, QUICK_TRAINING, needs_cuda

DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]


def on_device(raw_images: Arrays, device: str) -> TrainingData:
    splits = split_images(raw_images, ALL_IMAGES)
    return TrainingData.from_arrays(splits, [0.286], [0.353], torch.device(device))


@pytest.fixture(scope="module")
def data(raw_images: Arrays) -> TrainingData:
    return on_device(raw_images, "cpu")


def run(
    data: TrainingData,
    seed: int = 0,
    model: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    moments: int = 1,
    precision: str = "fp32",
    layers: str = "fast",
) -> TrainedTrial:
    configuration = configured(model, training)
    return train(configuration, seed, data, 10, moments=moments, precision=precision, layers=layers)


def configured(
    model: dict[str, Any] | None = None, training: dict[str, Any] | None = None
) -> Configuration:
    return Configuration.model_validate(
        {
            "model": {**JOURNAL_MODEL.model_dump(), **(model or {})},
            "training": {**QUICK_TRAINING.model_dump(), **(training or {})},
        }
    )


def same_weights(first: TrainedTrial, second: TrainedTrial) -> bool:
    return all((value == second.weights[name]).all() for name, value in first.weights.items())


def untimed(measurements: Measurements) -> dict[str, Any]:
    """All measurements but times."""
    times = ("seconds", "compute_seconds", "seconds_per_image")
    measured = asdict(measurements)
    for row in (*measured["history"], measured["fit"]):
        for name in times:
            row.pop(name, None)
    return measured


def test_a_trial_gives_the_same_bits_whatever_ran_before(data: TrainingData) -> None:
    first = run(data)
    run(data, seed=5, model={"dropout_rate": 0.1})
    torch.manual_seed(123)
    again = run(data)
    assert same_weights(first, again)
    assert (first.validation_logits == again.validation_logits).all()
    assert not same_weights(first, run(data, seed=1))


def test_conditions_with_the_same_seed_see_the_same_batches(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch, identified by its labels, does not depend on the dropout masks."""
    seen: list[list[int]] = []
    cross_entropy = torch.nn.functional.cross_entropy

    def spy(logits: torch.Tensor, labels: torch.Tensor, **settings: Any) -> torch.Tensor:
        if logits.requires_grad and len(labels) > WARM_UP_IMAGES:
            seen.append(labels.tolist())
        return cross_entropy(logits, labels, **settings)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", spy)
    orders = []
    for model in ({}, {"dropout_rate": 0.0}, {"use_batch_norm": False, "conv_channels": [8]}):
        seen.clear()
        run(data, seed=4, model=model)
        orders.append(list(seen))
    assert orders[0] == orders[1] == orders[2]
    assert len(orders[0]) == 2 * math.ceil(400 / 64)
    assert orders[0][:7] != orders[0][7:], "each epoch has its own order"


def test_random_streams_are_independent() -> None:
    draws = {
        (seed, stream): torch.rand(5, generator=random_streams.generator(seed, stream)).tolist()
        for seed in (0, 1)
        for stream in ("initial weights", "order of batches", "dropout")
    }
    assert len({tuple(values) for values in draws.values()}) == 6


def test_history_has_the_metrics_of_the_published_journal(data: TrainingData) -> None:
    rows: list[dict[str, float]] = []
    trained = train(configured(), 0, data, 10, on_epoch=rows.append)
    assert rows == trained.measurements.history
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(tuple(row) == HISTORY for row in rows)
    logits = torch.from_numpy(trained.validation_logits)
    hits = logits.argmax(1) == data.validation_labels
    assert rows[-1]["val_accuracy"] == pytest.approx(100 * hits.float().mean().item())
    loss = torch.nn.functional.cross_entropy(logits, data.validation_labels)
    assert rows[-1]["val_loss"] == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_learns_with_its_defaults(data: TrainingData, optimizer: str) -> None:
    history = run(data, training={"optimizer": optimizer, "epochs": 4}).measurements.history
    assert history[-1]["train_loss"] < 0.75 * history[0]["train_loss"]
    assert history[-1]["val_accuracy"] > 50


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Adam(weight_decay=0.1), partial(torch.optim.Adam, weight_decay=0.1)),
        (AdamW(weight_decay=0.1), partial(torch.optim.AdamW, weight_decay=0.1)),
        (
            SGD(learning_rate=0.001, momentum=0.8, weight_decay=0.1),
            partial(torch.optim.SGD, momentum=0.8, weight_decay=0.1),
        ),
    ],
)
def test_optimizers_step_like_those_of_pytorch(
    ours: Optimizer, theirs: Callable[..., torch.optim.Optimizer]
) -> None:
    one = torch.nn.Linear(5, 3)
    other = copy.deepcopy(one)
    for network, optimizer in (
        (one, ours.build(one.parameters())),
        (other, theirs(other.parameters(), lr=0.001, fused=True)),
    ):
        for step in range(1, 4):
            optimizer.zero_grad()
            network(torch.full((2, 5), float(step))).square().mean().backward()
            optimizer.step()
    assert all(map(torch.equal, one.parameters(), other.parameters()))


def test_optimizer_settings_reach_the_optimizer(data: TrainingData) -> None:
    sgd = {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.0}
    plain = run(data, training={"optimizer": sgd})
    for change in ({"momentum": 0.9}, {"weight_decay": 0.1}, {"learning_rate": 0.02}):
        assert not same_weights(plain, run(data, training={"optimizer": {**sgd, **change}}))


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "rmsprop"},
        {"schedule": "cosine"},
        {"schedule": "step"},
        {"schedule": "one_cycle"},
        {"schedule": {"kind": "constant", "warmup": 0.5}},
        {"label_smoothing": 0.1},
        {"augmentation": ["horizontal_flip"]},
        {"augmentation": ["translate", "rotation"]},
        {"augmentation": ["cutout", "random_erasing"]},
        {"initialization": "he_normal"},
        {"initialization": "he_uniform"},
        {"initialization": "xavier_normal"},
        {"initialization": "xavier_uniform"},
        {"initialization": "orthogonal"},
    ],
)
def test_every_part_changes_the_training_and_gives_the_same_bits_again(
    data: TrainingData, change: dict[str, Any]
) -> None:
    plain, first, again = (run(data, training=training) for training in ({}, change, change))
    assert not same_weights(plain, first)
    assert same_weights(first, again)


def test_a_part_that_draws_leaves_the_draws_of_the_others_alone(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Conditions with and without the part stay paired: same batches, same dropout masks."""
    masks: list[torch.Tensor] = []
    forward = SeededDropout.forward

    def spy(self: SeededDropout, activations: torch.Tensor) -> torch.Tensor:
        dropped = forward(self, activations)
        if self.training and self.generator is not None:
            masks.append(forward(self, torch.ones_like(activations)) == 0)
        return dropped

    monkeypatch.setattr(SeededDropout, "forward", spy)
    seen = []
    for augmentation in ([], ["horizontal_flip", {"kind": "random_erasing", "value": "random"}]):
        masks.clear()
        run(data, training={"augmentation": augmentation, "epochs": 1})
        seen.append([mask.clone() for mask in masks])
    assert len(seen[0]) == len(seen[1]) > 0
    assert all(map(torch.equal, *seen))


def test_the_time_of_an_epoch_excludes_compilation(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network runs once before the clock starts."""
    started: list[float] = []
    clock = time.perf_counter

    def tick() -> float:
        started.append(clock())
        return started[-1]

    monkeypatch.setattr("time.perf_counter", tick)
    first_forward: list[bool] = []
    forward = SeededDropout.forward

    def spy(self: SeededDropout, activations: torch.Tensor) -> torch.Tensor:
        first_forward.append(bool(started))
        return forward(self, activations)

    monkeypatch.setattr(SeededDropout, "forward", spy)
    run(data)
    assert first_forward[0] is False
    assert first_forward[-1] is True


def test_pytorchs_layers_give_the_same_results_up_to_rounding(data: TrainingData) -> None:
    fast, slow = (run(data, layers=layers) for layers in ("fast", "torch"))
    assert not same_weights(fast, slow)
    for name, weight in fast.weights.items():
        np.testing.assert_allclose(weight, slow.weights[name], atol=0.02)


class Plain(Architecture):
    """A network that the fast layers do not know, with PyTorch's own dropout."""

    kind: Literal["plain"] = "plain"

    def build(self, image_shape: ImageShape, num_classes: int) -> torch.nn.Module:
        channels, height, width = image_shape
        return torch.nn.Sequential(
            torch.nn.Conv2d(channels, 4, 3, padding=1),
            torch.nn.PReLU(),
            torch.nn.Flatten(),
            torch.nn.Dropout(0.5),
            torch.nn.LayerNorm(4 * height * width),
            torch.nn.Linear(4 * height * width, num_classes),
        )


def test_an_unknown_architecture_trains_on_pytorchs_layers_with_the_same_bits_again(
    data: TrainingData,
) -> None:
    plain = Configuration.model_construct(model=Plain(), training=QUICK_TRAINING)
    first = train(plain, 0, data, 10)
    torch.manual_seed(99)
    again = train(plain, 0, data, 10)
    assert same_weights(first, again)
    assert (first.validation_logits == again.validation_logits).all()
    assert first.measurements.history[-1]["train_loss"] < first.measurements.history[0]["train_loss"]
    assert not same_weights(first, train(plain, 1, data, 10))


def test_training_leaves_the_process_wide_generator_as_it_was(data: TrainingData) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(data, training={"epochs": 1})
    assert torch.equal(torch.rand(3), expected)


def test_the_last_batch_may_be_smaller(data: TrainingData) -> None:
    history = run(data, training={"batch_size": 399, "epochs": 1}).measurements.history
    assert np.isfinite(history[0]["train_loss"])


def test_an_unavailable_device_is_an_error_that_names_the_available_ones() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(ParameterError) as failure:
        resolve_device("cuda")
    assert failure.value.key == "execution.device"
    assert "allowed here: auto" in str(failure.value)


def test_fast_layers_need_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    check_layers("fast", torch.device("cpu"))
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    check_layers("torch", torch.device("cpu"))
    check_layers("fast", torch.device("cuda"))
    with pytest.raises(ParameterError, match=r"^execution\.layers: .* NUMBA_DISABLE_JIT .*; allowed: "):
        check_layers("fast", torch.device("cpu"))


class _HostReads(TorchDispatchMode):
    """Count operations that make the host wait for a GPU: reading values and copying to the host."""

    count = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        waiting = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
        copies = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
        if waiting & set(operation.tags):
            self.count += 1
        elif operation in copies:
            self.count += len({tensor.device for tensor in (*args[:2], result)}) > 1
        return result


def test_labels_are_smoothed_in_the_loss_of_the_training_alone(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoothed: list[float] = []
    recorded: list[float] = []
    cross_entropy = torch.nn.functional.cross_entropy

    def spy(logits: torch.Tensor, labels: torch.Tensor, **settings: Any) -> torch.Tensor:
        loss = cross_entropy(logits, labels, **settings)
        if logits.requires_grad and len(labels) > WARM_UP_IMAGES:
            targets = 0.7 * torch.nn.functional.one_hot(labels, 10) + 0.03
            expected = -(targets * logits.detach().log_softmax(1)).sum(1).mean()
            smoothed.append(loss.item() - expected.item())
        elif not logits.requires_grad:
            recorded.append(loss.item() - cross_entropy(logits, labels).item())
        return loss

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", spy)
    run(data, training={"label_smoothing": 0.3})
    assert len(smoothed) == 14
    assert smoothed == pytest.approx([0] * 14, abs=1e-5)
    # Two epochs of training, two evaluations, the last moment and the fit.
    assert recorded == [0] * 6


def test_a_plateau_of_the_training_loss_reduces_the_learning_rate(data: TrainingData) -> None:
    # No epoch improves enough, so that each but the first reduces the rate; a millionth changes little.
    plateau = {"kind": "reduce_on_plateau", "patience": 0, "factor": 1e-6, "threshold": 0.99}
    settings: dict[str, Any] = {"epochs": 4, "optimizer": {"kind": "sgd", "momentum": 0.0}}
    plain = run(data, training=settings)
    reduced = run(data, training={**settings, "schedule": plateau})
    short = run(data, training={**settings, "epochs": 2})
    for first, second in zip(
        plain.measurements.history[:2], reduced.measurements.history[:2], strict=True
    ):
        assert first["train_loss"] == second["train_loss"]
    assert not same_weights(plain, reduced)
    for name in ("conv.0.conv.weight", "output.weight"):
        np.testing.assert_allclose(reduced.weights[name], short.weights[name], atol=1e-5)


def test_an_augmentation_that_does_not_fit_the_images_is_an_error(data: TrainingData) -> None:
    with pytest.raises(ParameterError, match="allowed: at most 28"):
        run(data, training={"augmentation": [{"kind": "cutout", "size": 29}]})


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "training",
    [
        {},
        {"augmentation": ["translate", "rotation", "cutout", "random_erasing"]},
        {"averaging": "ema"},
    ],
)
def test_no_step_waits_for_the_device(raw_images: Arrays, device: str, training: dict[str, Any]) -> None:
    """The number of reads does not grow with the number of steps."""
    data = on_device(raw_images, device)
    counts = []
    for batch_size in (200, 20):
        with _HostReads() as reads:
            run(data, training={"batch_size": batch_size, **training}, moments=2)
        counts.append(reads.count)
    assert counts[0] == counts[1] > 0


def test_all_inputs_of_a_gpus_layers_are_on_the_gpu() -> None:
    """Meta tensors have a device but no contents, so this needs no GPU."""
    with FakeTensorMode(), torch.device("cuda"):
        net = JOURNAL_MODEL.build((1, 28, 28), 10)
        logits = net(torch.zeros(5, 1, 28, 28))
    assert (logits.device.type, logits.shape) == ("cuda", (5, 10))


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_trial_on_cuda_learns_and_is_reproducible(raw_images: Arrays, precision: str) -> None:
    data = on_device(raw_images, "cuda")
    first, again = (run(data, training={"epochs": 4}, precision=precision) for _ in range(2))
    assert first.measurements.history[-1]["val_accuracy"] > 50
    assert same_weights(first, again)
