"""The training loop. Settings and seed determine its result."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import starmap

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_ablation import kernels
from cnn_ablation.parts.averaging import Averaging
from cnn_ablation.parts.layers import (
    count_activations,
    count_parameters,
    without_test_time_augmentation,
)
from cnn_ablation.provenance import processor_name
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.training import random_streams
from cnn_ablation.training.cuda_graphs import TURN, own_stream, wait_for
from cnn_ablation.training.devices import resolve_layers
from cnn_ablation.training.initial_weights import seed_network
from cnn_ablation.training.prediction import joined
from cnn_ablation.training.results import Measurements, TrainedTrial
from cnn_ablation.training.steps import AnyStep, AveragedStep, GraphedStep, Step
from cnn_ablation.training.training_data import TrainingData

VERSION = 2
"""Raise it when a change of the loop changes numbers. All stored trials are then trained again."""

_PROCESS = threading.RLock()
"""Lock of the thread that has seeded the process-wide generators."""


def train(
    configuration: Configuration,
    seed: int,
    data: TrainingData,
    num_classes: int,
    *,
    moments: int = 1,
    precision: str = "fp32",
    layers: str = "fast",
    graphs: bool | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> TrainedTrial:
    """Train a network from scratch on the data's device.

    If the loss is no longer finite, the training ends after that epoch and counts as diverged.

    Args:
        configuration: The architecture and the settings of the training.
        seed: Seed of the initial weights, the order of batches, the dropout masks and the augmentation,
            which draw from separate streams.
        data: Images and labels to train and validate on.
        num_classes: Number of classes.
        moments: Number of evaluations of the validation images, evenly spread over the last epoch, at
            most one per step; see `Configuration.moments`. They draw no random numbers and do not change
            the weights.
        precision: fp32, or bf16 for mixed precision with weights, sums and normalization in fp32.
        layers: fast or torch; see `devices.resolve_layers`.
        graphs: Whether to replay steps and evaluation as CUDA graphs, which gives the same bits; None:
            on a CUDA device, unless the architecture draws from the process-wide generators.
        on_epoch: Called with each new row of the history.

    Raises:
        ParameterError: The architecture or an augmentation does not fit the images.
    """
    torch.backends.cudnn.deterministic = True
    # With TF32, cuDNN would use only ten bits of an fp32 number's mantissa.
    torch.backends.cudnn.allow_tf32 = False
    training = configuration.training
    for augmentation in training.augmentation:
        augmentation.check(data.image_shape)
    if graphs is None:
        graphs = data.device.type == "cuda" and not configuration.model.draws_from_process
    seeded = _seeded_process(seed, "training", data.device)
    with own_stream(data.device), seeded if configuration.model.draws_from_process else nullcontext():
        with _seeded_process(seed, "building", data.device), TURN:
            with torch.device(data.device):
                net = configuration.model.build(data.image_shape, num_classes)
            # The fast layers join layers.
            activations = count_activations(net, data.image_shape)
            if resolve_layers(layers, data.device, configuration.model) == "fast":
                kernels.accelerate(net)
            net = net.to(memory_format=torch.channels_last)
            eager = Step(net, training, seed, data, precision)
            seed_network(net, training.initialization, seed, data.device)
            step = _enhanced(eager, training, seed, graphs=graphs)
        # Graphs replay an evaluation without test-time augmentation. An average of the weights is in
        # place after the last step.
        final = eager if configuration.model.augments_at_test_time else step
        order = random_streams.generator(seed, "order of batches")

        history: list[dict[str, float]] = []
        logits = torch.empty(0)
        watch = _Watch(step, configuration.moments(moments))
        for epoch in range(1, training.epochs + 1):
            start = _clocks(data.device)
            last = epoch == training.epochs
            train_loss, train_accuracy = _train_one_epoch(
                step, training.batch_size, order, watch if last else None
            )
            with nullcontext() if last else without_test_time_augmentation(net):
                logits = (final if last else step).evaluate(data.validation_images)
            wait_for(data.device)
            seconds, compute_seconds = _clocks(data.device) - start - watch.seconds
            with TURN:
                row = {
                    "epoch": epoch,
                    "train_loss": train_loss,
                    "train_accuracy": train_accuracy,
                    "val_loss": F.cross_entropy(logits, data.validation_labels).item(),
                    "val_accuracy": _percent(logits.argmax(1) == data.validation_labels),
                    "seconds": float(seconds),
                    "compute_seconds": float(compute_seconds),
                }
            history.append(row)
            on_epoch(row)
            if not math.isfinite(train_loss):
                break
            step.end_epoch([earlier["train_loss"] for earlier in history])
        watch.record(logits)
        fit = _evaluate_fit(final)
        step.close()
        with TURN:
            return TrainedTrial(
                Measurements(history, watch.rows(), fit, count_parameters(net), activations),
                validation_hits=torch.stack(watch.hits).cpu().numpy(),
                validation_logits=logits.cpu().numpy(),
                weights={
                    name: value.cpu().contiguous().numpy() for name, value in net.state_dict().items()
                },
                processor=processor_name(data.device),
            )


def _enhanced(eager: Step, training: TrainingParameters, seed: int, *, graphs: bool) -> AnyStep:
    """The step with CUDA graphs and an average of the weights, as far as the training has them."""
    step = GraphedStep(eager) if graphs else eager
    if isinstance(training.averaging, Averaging):
        return AveragedStep(step, eager, training.averaging, training, seed)
    return step


@contextmanager
def _seeded_process(seed: int, stream: str, device: torch.device) -> Iterator[None]:
    """Seed the process-wide generators for modules that draw from them, and restore them afterwards.

    Other threads that need them wait. The layers of this package do not: they have their own generators.
    """
    with _PROCESS, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(random_streams.number(seed, "process", stream))
        yield


class _Watch:
    """Scores the validation images at moments that are evenly spread over an epoch.

    The caller records the last moment, which is the end of the epoch.

    Args:
        step: Evaluates the network.
        moments: Number of moments.
    """

    def __init__(self, step: AnyStep, moments: int) -> None:
        self.hits: list[Tensor] = []
        self.seconds: np.ndarray = np.zeros(2)
        self._step = step
        self._moments = moments
        self._losses: list[Tensor] = []

    def watched(self, logits: Iterable[Tensor], steps: int) -> Iterator[Tensor]:
        """The logits of an epoch's steps. Evaluates between them, when a moment has come."""
        due = {math.ceil(moment * steps / self._moments) for moment in range(1, self._moments)}
        for done, batch in enumerate(logits, start=1):
            yield batch
            if done in due:
                self._evaluate()

    def record(self, logits: Tensor) -> None:
        """Record loss and hits of the validation images' logits, without waiting for the device."""
        labels = self._step.data.validation_labels
        with TURN:
            self._losses.append(F.cross_entropy(logits, labels))
            self.hits.append(logits.argmax(1) == labels)

    def rows(self) -> list[dict[str, float]]:
        """See `Measurements.moments`."""
        return [
            {"val_loss": loss.item(), "val_accuracy": _percent(hits)}
            for loss, hits in zip(self._losses, self.hits, strict=True)
        ]

    def _evaluate(self) -> None:
        device = self._step.data.device
        # Wait for the steps before it, so that the clock of the epoch stops for the evaluation alone.
        wait_for(device)
        start = _clocks(device)
        self.record(self._step.evaluate(self._step.data.validation_images))
        wait_for(device)
        self._step.network.train()
        self.seconds += _clocks(device) - start


def _clocks(device: torch.device) -> np.ndarray:
    """Wall-clock time, and the time for which this thread computes, in seconds.

    On a CPU, the second is the thread's processor time, which does not include the time for which other
    programs have the core. On other devices, it is wall-clock time as well.
    """
    wall = time.perf_counter()
    return np.array([wall, time.thread_time() if device.type == "cpu" else wall])


def _evaluate_fit(step: AnyStep) -> dict[str, float]:
    """See `Measurements.fit`."""
    data = step.data
    wait_for(data.device)
    start = _clocks(data.device)
    logits = step.evaluate(data.train_images)
    wait_for(data.device)
    _, seconds = _clocks(data.device) - start
    with TURN:
        return {
            "train_loss": F.cross_entropy(logits, data.train_labels).item(),
            "train_accuracy": _percent(logits.argmax(1) == data.train_labels),
            "seconds_per_image": float(seconds / len(logits)),
        }


def _train_one_epoch(
    step: AnyStep, batch_size: int, order: torch.Generator, watch: _Watch | None
) -> tuple[float, float]:
    """Train one epoch. Return mean loss and top-1 accuracy (percent) of its images during training."""
    device = step.data.device
    step.network.train()
    with TURN:
        permutation = torch.randperm(len(step.data.train_labels), generator=order).to(device)
        labels = step.data.train_labels[permutation]
    batches = list(zip(permutation.split(batch_size), labels.split(batch_size), strict=True))
    outputs: Iterable[Tensor] = starmap(step, batches)
    if watch is not None:
        outputs = watch.watched(outputs, len(batches))
    # Logits stay on the device until the epoch ends, because each read would wait for the device.
    logits = joined(outputs, len(labels))
    wait_for(device)
    with TURN:
        logits = logits.float()
        return F.cross_entropy(logits, labels).item(), _percent(logits.argmax(1) == labels)


def _percent(hits: Tensor) -> float:
    return 100 * hits.sum().item() / len(hits)
