"""Schedules: how the learning rate changes over a training."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt

from cnn_ablation.parts.base import OneOf, Part


class Schedule(Part):
    """Base of all schedules: a linear warm-up, followed by the schedule of the subclass."""

    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Share of the training during which the learning rate rises linearly from 0 to the "
        "schedule's first value.",
    )

    def multiplier(self, progress: float) -> float:
        """The factor that multiplies the optimizer's learning rate.

        Args:
            progress: Completed share of the training, between 0 and 1, in the middle of a step.
        """
        if progress < self.warmup:
            return progress / self.warmup * self.after_warmup(0.0)
        return self.after_warmup((progress - self.warmup) / (1 - self.warmup))

    def learning_rate(self, first: float, losses: Sequence[float]) -> float:
        """The learning rate of the next epoch, which `multiplier` multiplies at each step.

        Args:
            first: The optimizer's learning rate.
            losses: Mean training loss of each epoch so far, cross-entropy in nats.
        """
        return first

    @abstractmethod
    def after_warmup(self, progress: float) -> float:
        """The factor after the warm-up.

        Args:
            progress: Completed share of the training after the warm-up, between 0 and 1.
        """


class Constant(Schedule):
    """The optimizer's learning rate throughout."""

    kind: Literal["constant"] = Field(default="constant", description="Name of the part.")

    def after_warmup(self, progress: float) -> float:
        """See base class."""
        return 1.0


class Cosine(Schedule):
    """Half a period of a cosine (Loshchilov & Hutter, 2017), without restarts."""

    kind: Literal["cosine"] = Field(default="cosine", description="Name of the part.")
    final_factor: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Factor at the end of the training."
    )

    def after_warmup(self, progress: float) -> float:
        """See base class."""
        return _half_cosine(1.0, self.final_factor, progress)


def _rising(milestones: list[float]) -> list[float]:
    if any(a >= b for a, b in pairwise(milestones)):
        raise ValueError("must rise from milestone to milestone")
    return milestones


class Step(Schedule):
    """Multiplied by `gamma` at each milestone, like PyTorch's MultiStepLR.

    The default milestones are those with which He et al. (2016) trained residual networks on CIFAR-10.
    """

    kind: Literal["step"] = Field(default="step", description="Name of the part.")
    milestones: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1), AfterValidator(_rising)
    ] = Field(default=[0.5, 0.75], description="Shares of the training after the warm-up, rising.")
    gamma: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.1, description="Factor at each milestone."
    )

    def after_warmup(self, progress: float) -> float:
        """See base class."""
        return self.gamma ** sum(progress >= milestone for milestone in self.milestones)


class OneCycle(Schedule):
    """Half a cosine up to the optimizer's learning rate, and half a cosine down (Smith & Topin, 2017).

    Names and defaults are those of PyTorch's OneCycleLR. The momentum stays the same.
    """

    kind: Literal["one_cycle"] = Field(default="one_cycle", description="Name of the part.")
    pct_start: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3,
        description="Share of the training after the warm-up in which the learning rate rises.",
    )
    div_factor: Annotated[float, Field(ge=1)] = Field(
        default=25.0, description="The optimizer's learning rate, divided by the first one."
    )
    final_div_factor: Annotated[float, Field(ge=1)] = Field(
        default=10_000.0, description="The first learning rate, divided by the last one."
    )

    def after_warmup(self, progress: float) -> float:
        """See base class."""
        first = 1 / self.div_factor
        if progress < self.pct_start:
            return _half_cosine(first, 1.0, progress / self.pct_start)
        last = first / self.final_div_factor
        return _half_cosine(1.0, last, (progress - self.pct_start) / (1 - self.pct_start))


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


class ReduceOnPlateau(Schedule):
    """Multiplied by `factor` when the training loss has stopped falling, by PyTorch's ReduceLROnPlateau.

    The loss is the mean over an epoch. It is that of the training images, so that validation images
    choose nothing.
    """

    kind: Literal["reduce_on_plateau"] = Field(
        default="reduce_on_plateau", description="Name of the part."
    )
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.1, description="Factor of the learning rate at each reduction."
    )
    patience: NonNegativeInt = Field(
        default=10, description="Number of successive epochs without improvement that are tolerated."
    )
    threshold: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=1e-4, description="Share of the lowest loss by which a loss must be lower to improve."
    )
    min_lr: NonNegativeFloat = Field(default=0.0, description="Lowest learning rate.")

    def learning_rate(self, first: float, losses: Sequence[float]) -> float:
        """See base class."""
        import torch
        from torch import optim

        from cnn_ablation.workarounds import light_optimizer

        optimizer = light_optimizer(optim.SGD)([torch.zeros(1)], lr=first)
        theirs = optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=self.factor,
            patience=self.patience,
            threshold=self.threshold,
            min_lr=self.min_lr,
        )
        for loss in losses:
            theirs.step(loss)
        return float(optimizer.param_groups[0]["lr"])

    def after_warmup(self, progress: float) -> float:
        """See base class."""
        return 1.0


AnySchedule = Annotated[Constant | Cosine | Step | OneCycle | ReduceOnPlateau, OneOf("schedule")]
