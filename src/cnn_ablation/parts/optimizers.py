"""Optimizers: how gradients change the weights."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from cnn_ablation.parts.base import OneOf, Part

if TYPE_CHECKING:
    from torch import nn, optim


class Optimizer(Part):
    """Base of all optimizers."""

    learning_rate: PositiveFloat = Field(default=0.001, description="Step size, before the schedule.")

    @abstractmethod
    def build(self, parameters: "Iterable[nn.Parameter]") -> "optim.Optimizer":
        """Build PyTorch's optimizer for these parameters.

        A GPU replays the recorded operations of the first steps, with learning rates as tensors and with
        `capturable`, if the optimizer has it. A step must therefore not read values of tensors back.
        """


class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015), with PyTorch's defaults."""

    kind: Literal["adam"] = Field(default="adam", description="Name of the part.")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="L2 penalty.")

    def build(self, parameters: "Iterable[nn.Parameter]") -> "optim.Optimizer":
        """See base class."""
        from torch import optim

        from cnn_ablation.workarounds import light_optimizer

        return light_optimizer(optim.Adam)(
            parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019), with PyTorch's defaults."""

    kind: Literal["adamw"] = Field(default="adamw", description="Name of the part.")
    weight_decay: NonNegativeFloat = Field(default=0.01, description="Decoupled weight decay.")

    def build(self, parameters: "Iterable[nn.Parameter]") -> "optim.Optimizer":
        """See base class."""
        from torch import optim

        from cnn_ablation.workarounds import light_optimizer

        return light_optimizer(optim.AdamW)(
            parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )


class SGD(Optimizer):
    """Gradient descent with momentum (Sutskever et al., 2013), with the defaults of timm."""

    kind: Literal["sgd"] = Field(default="sgd", description="Name of the part.")
    learning_rate: PositiveFloat = Field(default=0.05, description="Step size, before the schedule.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.9, description="Share of the last update that the next one keeps."
    )
    weight_decay: NonNegativeFloat = Field(default=0.0, description="L2 penalty.")
    nesterov: bool = Field(
        default=False, description="Nesterov's momentum, which needs a momentum above 0."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: needs a momentum above 0")
        return self

    def build(self, parameters: "Iterable[nn.Parameter]") -> "optim.Optimizer":
        """See base class."""
        from torch import optim

        from cnn_ablation.workarounds import light_optimizer

        return light_optimizer(optim.SGD)(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            fused=True,
        )


class RMSprop(Optimizer):
    """Gradients divided by their running root mean square (Hinton, 2012), with PyTorch's defaults."""

    kind: Literal["rmsprop"] = Field(default="rmsprop", description="Name of the part.")
    learning_rate: PositiveFloat = Field(default=0.01, description="Step size, before the schedule.")
    alpha: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.99, description="Share of the last mean square that the next one keeps."
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Share of the last update that the next one keeps."
    )
    weight_decay: NonNegativeFloat = Field(default=0.0, description="L2 penalty.")

    def build(self, parameters: "Iterable[nn.Parameter]") -> "optim.Optimizer":
        """See base class."""
        from torch import optim

        from cnn_ablation.workarounds import light_optimizer

        return light_optimizer(optim.RMSprop)(
            parameters,
            lr=self.learning_rate,
            alpha=self.alpha,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            # Without it, PyTorch may read the learning rate back, which a CUDA graph cannot do.
            foreach=True,
        )


AnyOptimizer = Annotated[Adam | AdamW | SGD | RMSprop, OneOf("optimizer")]
