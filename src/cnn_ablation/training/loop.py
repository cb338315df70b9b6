"""The training loop. Settings and seed determine its result."""

import copy
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import starmap

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from cnn_ablation import kernels
from cnn_ablation.parts.augmentations import Augmentation
from cnn_ablation.parts.averaging import Averaging
from cnn_ablation.parts.layers import (
    count_activations,
    count_parameters,
    without_test_time_augmentation,
)
from cnn_ablation.parts.schedules import Schedule
from cnn_ablation.processors import processor_name
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.training import random_streams
from cnn_ablation.training.averaging import WeightAverage
from cnn_ablation.training.cuda_graphs import TURN, Graphed, generators_in, own_stream, wait_for
from cnn_ablation.training.devices import resolve_layers
from cnn_ablation.training.initial_weights import seed_network
from cnn_ablation.training.results import Measurements, TrainedTrial
from cnn_ablation.training.training_data import Normalize, TrainingData

VERSION = 2
"""Raise it when a change of the loop changes numbers. All stored trials are then trained again."""

EVALUATION_BATCH = 125
"""Images per forward pass without gradients. Larger batches are slower on a CPU and take more memory."""

EVALUATION_BATCH_GPU = 1000
"""The same on other devices, where smaller batches do not keep the device busy."""

_PROCESS = threading.RLock()
"""Lock of the thread that has seeded the process-wide generators."""

WARM_UP_IMAGES = 2
"""Number of images in the step that runs before the clock starts, so that loops are compiled by then."""


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
            eager = _Step(net, training, seed, data, precision)
            seed_network(net, training.initialization, seed, data.device)
            if graphs is None:
                graphs = data.device.type == "cuda" and not configuration.model.draws_from_process
            updating = _GraphedStep(eager) if graphs else eager
            step: _AnyStep = updating
            averaging = training.averaging
            if isinstance(averaging, Averaging):
                step = _AveragedStep(updating, eager, averaging, training, seed)
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


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, normalize: nn.Module) -> Tensor:
    """Logits, float32 (N, classes), of uint8 images (N, channels, height, width) in evaluation mode."""
    network.eval()
    batches = _evaluation_batches(images)
    return _joined((network(normalize(batch)).float() for batch in batches), len(images))


def _evaluation_batches(images: Tensor) -> Sequence[Tensor]:
    size = EVALUATION_BATCH if images.device.type == "cpu" else EVALUATION_BATCH_GPU
    batches: Sequence[Tensor] = images.split(size)
    return batches


@contextmanager
def _seeded_process(seed: int, stream: str, device: torch.device) -> Iterator[None]:
    """Seed the process-wide generators for modules that draw from them, and restore them afterwards.

    Other threads that need them wait. The layers of this package do not: they have their own generators.
    """
    with _PROCESS, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(random_streams.number(seed, "process", stream))
        yield


class _Step:
    """A training step, which updates the weights with a batch of images.

    Args:
        network: The network, on the data's device. Its initial weights may be drawn later.
        training: Optimizer, schedule, augmentation and label smoothing.
        seed: Seed of the augmentation.
        data: Images to train on.
        precision: fp32 or bf16.
    """

    def __init__(
        self,
        network: nn.Module,
        training: TrainingParameters,
        seed: int,
        data: TrainingData,
        precision: str,
    ) -> None:
        self.network = network
        self.data = data
        self.normalize = Normalize(data.mean, data.std)
        self.mixed = torch.autocast(data.device.type, torch.bfloat16, enabled=precision == "bf16")
        self._label_smoothing = training.label_smoothing
        self._compile()
        self._weights = list(network.parameters())
        self.optimizer = training.optimizer.build(self._weights)
        self._first_learning_rate = training.optimizer.learning_rate
        self._learning_rate = self._first_learning_rate
        self._schedule: Schedule = training.schedule
        self._done = 0
        self._steps = training.epochs * math.ceil(len(data.train_labels) / training.batch_size)
        self.augmentations: list[tuple[Augmentation, torch.Generator]] = [
            (
                augmentation,
                random_streams.generator(
                    seed, "augmentation", f"{place} {augmentation.kind}", device=data.device
                ),
            )
            for place, augmentation in enumerate(training.augmentation)
        ]

    def __call__(self, batch: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch. Return the logits, (N, classes), from which the loss was computed.

        Args:
            batch: Indices of training images, (N,), on the device.
            labels: Their labels, (N,), on the device.
        """
        with TURN:
            self.set_learning_rate()
            return self.update(batch, labels)

    def evaluate(self, images: Tensor) -> Tensor:
        """Logits, float32 (N, classes), of uint8 images (N, channels, height, width)."""
        with TURN, self.mixed:
            return predict(self.network, images, self.normalize)

    def end_epoch(self, losses: Sequence[float]) -> None:
        """Adapt the learning rate to the training losses of the epochs so far."""
        self._learning_rate = self._schedule.learning_rate(self._first_learning_rate, losses)

    def close(self) -> None:
        """Do nothing. Only `_GraphedStep` has memory to free."""

    def set_learning_rate(self) -> None:
        """Set the optimizer's learning rate for the next step."""
        factor = self._schedule.multiplier((self._done + 0.5) / self._steps)
        self._done += 1
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self._learning_rate * factor)
            else:
                group["lr"] = self._learning_rate * factor

    def update(self, batch: Tensor, labels: Tensor) -> Tensor:
        """Update the weights; see `__call__`."""
        images = self.augmented(batch)
        # Like optimizer.zero_grad without its bookkeeping, which takes 1 % of a small network's step.
        for weight in self._weights:
            weight.grad = None
        logits = self._descend(self.network, images, labels)
        self.optimizer.step()
        return logits

    def augmented(self, batch: Tensor) -> Tensor:
        """Training images, uint8 (N, channels, height, width), after augmentation; see `__call__`."""
        images = self.data.train_images.index_select(0, batch)
        for augmentation, generator in self.augmentations:
            images = augmentation.apply(images, generator)
        return images

    def infer(self, images: Tensor) -> Tensor:
        """Logits of a batch, float32 (N, classes), in the network's current mode."""
        # Autocast drops its casts of the weights at its end. A graph must not read dropped casts, so
        # autocast begins and ends inside the graph.
        with self.mixed:
            logits: Tensor = self.network(self.normalize(images))
        return logits.float()

    def _descend(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Compute gradients and return the logits."""
        # Begin autocast at each step, because it keeps its casts of the weights until its end.
        with self.mixed:
            logits: Tensor = network(self.normalize(images))
            loss = F.cross_entropy(logits, labels, label_smoothing=self._label_smoothing)
        loss.backward()
        return logits.detach()

    def _compile(self) -> None:
        """Run a copy of the network on two images, so that no epoch's time includes compilation."""
        clone = copy.deepcopy(self.network).train()
        images, labels = (
            self.data.train_images[:WARM_UP_IMAGES],
            self.data.train_labels[:WARM_UP_IMAGES],
        )
        self._descend(clone, images, labels)
        with self.mixed:
            predict(clone, images, self.normalize)


class _GraphedStep:
    """A step that replays its kernels, and those of evaluation, as CUDA graphs.

    Args:
        step: The step, on a CUDA device. Its network must have its final generators.
    """

    def __init__(self, step: _Step) -> None:
        self.network = step.network
        self.data = step.data
        self._step = step
        for group in step.optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"], device=step.data.device)
            if "capturable" in group:
                group["capturable"] = True
        drawn_from = [
            *generators_in(step.network),
            *(generator for _, generator in step.augmentations),
        ]
        self._update = Graphed(step.update, drawn_from)
        self._infer = Graphed(step.infer)

    def __call__(self, batch: Tensor, labels: Tensor) -> Tensor:
        """See `_Step`. The next step may overwrite the logits."""
        self._step.set_learning_rate()
        return self._update(batch, labels)

    def end_epoch(self, losses: Sequence[float]) -> None:
        """See `_Step`."""
        self._step.end_epoch(losses)

    def close(self) -> None:
        """Free the graphs."""
        wait_for(self.data.device)
        self._update.close()
        self._infer.close()

    def evaluate(self, images: Tensor) -> Tensor:
        """See `_Step`."""
        self.network.eval()
        # Not inference mode, because a training that is recorded later could not write to its tensors.
        with torch.no_grad():
            return _joined(map(self._infer, _evaluation_batches(images)), len(images))


class _AveragedStep:
    """A step that also averages the weights. Evaluations use the average.

    The average is updated between steps, outside of their CUDA graphs. After the last step of the
    training, the network has the average for good.

    Args:
        step: The step.
        eager: The same step without graphs.
        averaging: Rule of the average.
        training: Number of epochs and size of batches.
        seed: Seed of the batches from which the statistics of batch normalization are computed.
    """

    def __init__(
        self,
        step: _Step | _GraphedStep,
        eager: _Step,
        averaging: Averaging,
        training: TrainingParameters,
        seed: int,
    ) -> None:
        self.network = step.network
        self.data = step.data
        self.end_epoch = step.end_epoch
        self.close = step.close
        self._step = step
        self._eager = eager
        self._averaging = averaging
        self._average = WeightAverage(averaging, step.network)
        self._training = training
        self._seed = seed
        self._done = 0
        self._steps = training.epochs * math.ceil(len(step.data.train_labels) / training.batch_size)

    def __call__(self, batch: Tensor, labels: Tensor) -> Tensor:
        """See `_Step`."""
        logits = self._step(batch, labels)
        self._done += 1
        if self._averaging.includes(self._done, self._steps, self._training.epochs):
            self._average.update()
        if self._done == self._steps:
            self._average.settle()
            if self._averaging.at_end:
                self._renew_statistics()
        return logits

    def evaluate(self, images: Tensor) -> Tensor:
        """See `_Step`."""
        with self._average.in_place():
            return self._step.evaluate(images)

    def _renew_statistics(self) -> None:
        """Compute the statistics of batch normalization from one pass over the training images."""
        stream = random_streams.generator(self._seed, "statistics of batch normalization")
        count, size = len(self.data.train_labels), self._training.batch_size
        # All batches have the same weight, so a smaller one is left out unless there is no other.
        whole = count // size * size or count
        with TURN, self._eager.mixed:
            order = torch.randperm(count, generator=stream)[:whole].to(self.data.device)
            batches = (self._eager.augmented(batch) for batch in order.split(size))
            update_bn(map(self._eager.normalize, batches), self.network)


_AnyStep = _Step | _GraphedStep | _AveragedStep


class _Watch:
    """Scores the validation images at moments that are evenly spread over an epoch.

    The caller records the last moment, which is the end of the epoch.

    Args:
        step: Evaluates the network.
        moments: Number of moments.
    """

    def __init__(self, step: _AnyStep, moments: int) -> None:
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


def _evaluate_fit(step: _AnyStep) -> dict[str, float]:
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
    step: _AnyStep, batch_size: int, order: torch.Generator, watch: _Watch | None
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
    logits = _joined(outputs, len(labels))
    wait_for(device)
    with TURN:
        logits = logits.float()
        return F.cross_entropy(logits, labels).item(), _percent(logits.argmax(1) == labels)


def _joined(batches: Iterable[Tensor], length: int) -> Tensor:
    """Join the rows of all batches, `length` rows in total.

    Unlike torch.cat, this does not need all batches at once. They would fragment the heap between larger
    tensors that come and go, and it would grow, sometimes by more than a hundred MiB.
    """
    rows = torch.empty(0)
    end = 0
    for batch in batches:
        start, end = end, end + len(batch)
        with TURN:
            if start == 0:
                rows = batch.new_empty(length, *batch.shape[1:])
            rows[start:end] = batch
    return rows


def _percent(hits: Tensor) -> float:
    return 100 * hits.sum().item() / len(hits)
