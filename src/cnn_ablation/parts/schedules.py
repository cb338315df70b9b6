"""Schedules: how the learning rate changes over a training."""

import math
from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field

from cnn_ablation.parts.base import OneOf, Part


class Schedule(Part):
    """Base of all schedules: a linear warm-up, followed by the schedule of the subclass."""

    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Share of the training during which the learning rate rises linearly from 0.",
    )

    def factor(self, progress: float) -> float:
        """The factor that multiplies the optimizer's learning rate.

        Args:
            progress: Completed share of the training, between 0 and 1, in the middle of a step.
        """
        if progress < self.warmup:
            return progress / self.warmup
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
        return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * progress)) / 2


AnySchedule = Annotated[Constant | Cosine, OneOf("schedule")]
