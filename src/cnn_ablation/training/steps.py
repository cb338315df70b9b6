"""Training steps: eager, replayed as CUDA graphs, and with an average of the weights."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from cnn_ablation.parts.augmentations import Augmentation
from cnn_ablation.parts.averaging import Averaging
from cnn_ablation.parts.schedules import Schedule
from cnn_ablation.study.configuration import TrainingParameters
from cnn_ablation.training import random_streams
from cnn_ablation.training.averaging import WeightAverage
from cnn_ablation.training.cuda_graphs import TURN, Graphed, generators_in, wait_for
from cnn_ablation.training.prediction import evaluation_batches, joined, predict
from cnn_ablation.training.training_data import Normalize, TrainingData

WARM_UP_IMAGES = 2
"""Number of images in the step that runs before the clock starts, so that loops are compiled by then."""


class Step:
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
        self._steps = training.epochs * training.steps_per_epoch(len(data.train_labels))
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
        """Do nothing. Only `GraphedStep` has memory to free."""

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


class GraphedStep:
    """A step that replays its kernels, and those of evaluation, as CUDA graphs.

    Args:
        step: The step, on a CUDA device. Its network must have its final generators.
    """

    def __init__(self, step: Step) -> None:
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
        """See `Step`. The next step may overwrite the logits."""
        self._step.set_learning_rate()
        return self._update(batch, labels)

    def end_epoch(self, losses: Sequence[float]) -> None:
        """See `Step`."""
        self._step.end_epoch(losses)

    def close(self) -> None:
        """Free the graphs."""
        wait_for(self.data.device)
        self._update.close()
        self._infer.close()

    def evaluate(self, images: Tensor) -> Tensor:
        """See `Step`."""
        self.network.eval()
        # Not inference mode, because a training that is recorded later could not write to its tensors.
        with torch.no_grad():
            return joined(map(self._infer, evaluation_batches(images)), len(images))


class AveragedStep:
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
        step: Step | GraphedStep,
        eager: Step,
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
        self._steps = training.epochs * training.steps_per_epoch(len(step.data.train_labels))

    def __call__(self, batch: Tensor, labels: Tensor) -> Tensor:
        """See `Step`."""
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
        """See `Step`."""
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


AnyStep = Step | GraphedStep | AveragedStep
