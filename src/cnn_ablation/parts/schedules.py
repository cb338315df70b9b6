"""Schedules: how the learning rate changes over a training."""

import math
from abc import abstractmethod
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cnn_ablation.parts.base import OneOf, Part


class Schedule(Part):
    """Base of all schedules: a linear warm-up, followed by the schedule of the subclass."""

    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Share of the training during which the learning rate rises linearly from 0 to the "
        "schedule's first value.",
    )

    def factor(self, progress: float) -> float:
        """The factor that multiplies the optimizer's learning rate.

        Args:
            progress: Completed share of the training, between 0 and 1, in the middle of a step.
        """
        if progress < self.warmup:
            return progress / self.warmup * self.after_warmup(0.0)
        return self.after_warmup((progress - self.warmup) / (1 - self.warmup))

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


AnySchedule = Annotated[Constant | Cosine | Step | OneCycle, OneOf("schedule")]
