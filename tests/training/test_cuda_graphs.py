"""Replaying steps as CUDA graphs gives the same results as running them."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from cnn_ablation.data.splits import Arrays, split_images
from cnn_ablation.parts.architectures import Architecture, ResNet
from cnn_ablation.parts.layers import SeededDropout
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.training import cuda_graphs
from cnn_ablation.training.cuda_graphs import WARM_UP_CALLS, Graphed, generators_in
from cnn_ablation.training.loop import train
from cnn_ablation.training.results import TrainedTrial
from cnn_ablation.training.training_data import TrainingData
from tests.conftest import ALL_IMAGES, JOURNAL_MODEL, needs_cuda
from tests.training.test_loop import untimed

EXACT_RATE = 2**-10
"""A learning rate that is exact in float32, in which an optimizer reads it inside of a graph."""


def on_device(raw_images: Arrays, device: str) -> TrainingData:
    splits = split_images(raw_images, ALL_IMAGES)
    return TrainingData.from_arrays(splits, [0.286], [0.353], torch.device(device))


def configured(model: Architecture = JOURNAL_MODEL, **training: Any) -> Configuration:
    return Configuration.model_validate(
        {
            "model": model,
            "training": {
                "epochs": 5,
                "batch_size": 64,
                "optimizer": {"kind": "adam", "learning_rate": EXACT_RATE},
                **training,
            },
        }
    )


def same_weights(first: TrainedTrial, second: TrainedTrial) -> bool:
    return all((value == second.weights[name]).all() for name, value in first.weights.items())


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[list[torch.Generator]]:
    """Replace graphs by calls that, like graphs, always read and write the same memory.

    Returns:
        A list to which each recorded graph appends its generators.
    """
    recorded: list[list[torch.Generator]] = []

    def record(
        function: Callable[[], Tensor], generators: Iterable[torch.Generator]
    ) -> tuple[Tensor, Callable[[], None]]:
        recorded.append(list(generators))
        output = torch.empty(0)

        def replay() -> None:
            result = function()
            output.data = output.data.to(result.dtype).resize_(result.shape).copy_(result)

        return output, replay

    monkeypatch.setattr(cuda_graphs, "record", record)
    return recorded


def test_each_shape_of_inputs_is_recorded_once_after_the_warm_up(replays: list[Any]) -> None:
    double = Graphed(lambda values: 2 * values)
    for call in range(2 * WARM_UP_CALLS):
        for length in (2, 3):
            values = torch.full((length,), float(call))
            assert torch.equal(double(values), 2 * values)
        assert len(replays) == (2 if call >= WARM_UP_CALLS else 0)


@pytest.mark.parametrize(
    ("precision", "training"),
    [
        ("fp32", {"augmentation": ["horizontal_flip"]}),
        ("fp32", {"augmentation": ["translate", "rotation", "cutout", "random_erasing"]}),
        ("fp32", {"optimizer": {"kind": "sgd", "learning_rate": EXACT_RATE}}),
        ("fp32", {"averaging": "ema", "label_smoothing": 0.1}),
        ("fp32", {"averaging": "epoch_average"}),
        ("bf16", {}),
    ],
)
def test_a_replayed_trial_gives_the_same_bits(
    raw_images: Arrays, replays: list[list[torch.Generator]], precision: str, training: dict[str, Any]
) -> None:
    data = on_device(raw_images, "cpu")
    plain, replayed = (
        train(configured(**training), 0, data, 10, moments=3, precision=precision, graphs=graphs)
        for graphs in (False, True)
    )
    assert same_weights(plain, replayed)
    assert (plain.validation_logits == replayed.validation_logits).all()
    assert untimed(plain.measurements) == untimed(replayed.measurements)
    assert (plain.validation_hits == replayed.validation_hits).all()
    # Steps and evaluation, of whole batches and of the last one, which is smaller.
    draws = 1 + len(training.get("augmentation", []))
    assert [len(generators) for generators in replays] == [draws, draws, 0, 0]


def test_a_schedule_affects_replayed_steps(raw_images: Arrays, replays: list[Any]) -> None:
    data = on_device(raw_images, "cpu")
    constant, cosine, plateau = (
        train(configured(schedule=schedule), 0, data, 10, graphs=True)
        for schedule in (
            "constant",
            "cosine",
            {"kind": "reduce_on_plateau", "patience": 0, "threshold": 0.9},
        )
    )
    assert not same_weights(constant, cosine)
    assert not same_weights(constant, plateau)
    assert cosine.measurements.history[-1]["train_loss"] < cosine.measurements.history[0]["train_loss"]


def test_a_replayed_residual_network_gives_the_same_bits(
    raw_images: Arrays, replays: list[list[torch.Generator]]
) -> None:
    data = on_device(raw_images, "cpu")
    configuration = configured(ResNet(depth=8, width=0.25, dropout_rate=0.1))
    plain, replayed = (train(configuration, 0, data, 10, graphs=graphs) for graphs in (False, True))
    assert same_weights(plain, replayed)
    assert untimed(plain.measurements) == untimed(replayed.measurements)
    assert [len(generators) for generators in replays] == [1, 1, 0, 0]


def test_generators_are_found_wherever_a_module_has_one() -> None:
    dropout = SeededDropout(0.5)
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(dropout))
    assert generators_in(network) == []
    dropout.generator = generator = torch.Generator()
    assert generators_in(network) == [generator]


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "training",
    [
        {},
        {"optimizer": "sgd"},
        {"optimizer": "adamw"},
        {"optimizer": {"kind": "rmsprop", "learning_rate": 0.001}},
        {"augmentation": ["horizontal_flip"], "schedule": "cosine"},
        {"augmentation": ["translate", "rotation", "cutout", "random_erasing"]},
    ],
)
def test_graphs_on_cuda_learn_and_give_the_same_bits_again(
    raw_images: Arrays, precision: str, training: dict[str, Any]
) -> None:
    data = on_device(raw_images, "cuda")
    first, again = (
        train(configured(**training), 0, data, 10, precision=precision, graphs=True) for _ in range(2)
    )
    assert first.measurements.history[-1]["val_accuracy"] > 50
    assert same_weights(first, again)


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_graphs_on_cuda_give_the_bits_of_the_same_kernels_launched_one_by_one(
    raw_images: Arrays, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = on_device(raw_images, "cuda")
    replayed = train(configured(), 0, data, 10, precision=precision, graphs=True)
    monkeypatch.setattr(cuda_graphs, "WARM_UP_CALLS", 10**9)
    assert same_weights(replayed, train(configured(), 0, data, 10, precision=precision, graphs=True))


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_residual_network_on_cuda_learns_and_gives_the_same_bits_again(
    raw_images: Arrays, precision: str
) -> None:
    data = on_device(raw_images, "cuda")
    configuration = configured(ResNet(dropout_rate=0.1))
    first, again = (train(configuration, 0, data, 10, precision=precision) for _ in range(2))
    assert first.measurements.history[-1]["train_accuracy"] > 50
    assert same_weights(first, again)


@needs_cuda
def test_trials_in_threads_give_the_bits_of_trials_alone(raw_images: Arrays) -> None:
    """The trials start, are recorded and end at different times."""
    data = on_device(raw_images, "cuda")
    trials = [(seed, epochs) for seed, epochs in enumerate([1, 7, 2, 6, 3, 5, 4, 8, 2, 9, 3, 6])]

    def run(trial: tuple[int, int]) -> TrainedTrial:
        seed, epochs = trial
        return train(configured(epochs=epochs), seed, data, 10)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, trials))
    assert all(same_weights(one, run(trial)) for one, trial in zip(together, trials, strict=True))
