"""Averaging: which average of a training's weights is evaluated and stored."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from cnn_ablation.parts.base import OneOf, Part

if TYPE_CHECKING:
    from torch import Tensor


class NoAveraging(Part):
    """The weights of the last step."""

    kind: Literal["none"] = Field(default="none", description="Name of the part.")


class Averaging(Part):
    """Base of all averages of the weights over the steps of a training.

    The average does not change the training. It replaces the trained weights in evaluations and in the
    result.
    """

    at_end: ClassVar[bool] = False
    """Whether the average exists only after the last step.

    If so, the last epoch is evaluated once, at its end, and the running statistics of batch
    normalization are computed again for the average, over the training images. Otherwise they are
    averaged like weights.
    """

    @abstractmethod
    def includes(self, step: int, steps: int, epochs: int) -> bool:
        """Whether the weights after a step enter the average.

        Args:
            step: Number of the step in the training, from 1.
            steps: Number of steps of the training.
            epochs: Number of epochs of the training.
        """

    @abstractmethod
    def update(self, average: "list[Tensor]", weights: "list[Tensor]", count: int) -> None:
        """Let weights enter the average, in place, without waiting for the device.

        Args:
            average: The average of the earlier weights.
            weights: The weights after a step.
            count: Number of times that weights have entered the average, at least 1.
        """


class EpochAverage(Averaging):
    """Mean of the weights over the steps of the last epoch (Izmailov et al., 2018).

    The mean exists only at the end of the training. Earlier epochs are evaluated with the trained
    weights. The statistics of batch normalization are those of the mean, from one pass over the training
    images, as in the paper.
    """

    at_end: ClassVar[bool] = True

    kind: Literal["epoch_average"] = Field(default="epoch_average", description="Name of the part.")

    def includes(self, step: int, steps: int, epochs: int) -> bool:
        """See base class."""
        return step > steps - steps // epochs

    def update(self, average: "list[Tensor]", weights: "list[Tensor]", count: int) -> None:
        """See base class."""
        from torch.optim.swa_utils import get_swa_multi_avg_fn

        get_swa_multi_avg_fn()(average, weights, count)


class ExponentialAverage(Averaging):
    """Exponential moving average of the weights and of the statistics of batch normalization.

    The settings are torchvision's `model_ema_decay` and `model_ema_steps`. The default decay is that of
    PyTorch's `get_ema_multi_avg_fn`, because torchvision's is meant for hundreds of epochs. After n
    updates, the decay is at most (1 + n) / (10 + n), as in TensorFlow's ExponentialMovingAverage, so
    that the average soon forgets the first weights. Every evaluation uses the current average.
    """

    kind: Literal["ema"] = Field(default="ema", description="Name of the part.")
    decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.999, description="Share of the average that an update keeps."
    )
    steps: PositiveInt = Field(default=1, description="Number of optimizer steps from update to update.")

    def includes(self, step: int, steps: int, epochs: int) -> bool:
        """See base class."""
        return step % self.steps == 0

    def update(self, average: "list[Tensor]", weights: "list[Tensor]", count: int) -> None:
        """See base class."""
        from torch.optim.swa_utils import get_ema_multi_avg_fn

        get_ema_multi_avg_fn(min(self.decay, (1 + count) / (10 + count)))(average, weights, count)


AnyAveraging = Annotated[NoAveraging | EpochAverage | ExponentialAverage, OneOf("averaging")]
