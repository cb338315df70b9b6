"""Optimizers: how gradients change the weights."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from cnn_ablation.parts.base import OneOf, Part

if TYPE_CHECKING:
    from torch import nn, optim


class Optimizer(Part):
    """Base of all optimizers."""

    learning_rate: PositiveFloat = Field(default=0.001, description="Step size, before the schedule.")

    @abstractmethod
    def build(self, parameters: "Iterable[nn.Parameter]") -> "optim.Optimizer":
        """Build PyTorch's optimizer for these parameters."""


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

    def build(self, parameters: "Iterable[nn.Parameter]") -> "optim.Optimizer":
        """See base class."""
        from torch import optim

        from cnn_ablation.workarounds import light_optimizer

        return light_optimizer(optim.SGD)(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=True,
        )


AnyOptimizer = Annotated[Adam | AdamW | SGD, OneOf("optimizer")]
