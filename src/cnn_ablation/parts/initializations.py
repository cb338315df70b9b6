"""Initializations: the weights that a training starts from."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cnn_ablation.parts.base import OneOf, Part

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Initialization(Part):
    """Base of all initializations of convolutional and linear layers.

    Normalization layers always start as the identity.
    """

    @abstractmethod
    def fill(self, weight: "Tensor", bias: "Tensor | None", generator: "Generator") -> None:
        """Set a layer's weight and bias in place.

        Args:
            weight: float, (outputs, inputs) or (outputs, inputs, height, width), on the CPU.
            bias: float, (outputs,), on the CPU; None if the layer has no bias.
            generator: Generator used only by this layer.
        """


class PyTorchDefault(Initialization):
    """PyTorch's default: weights and biases uniform in ±1/sqrt(fan_in) (LeCun et al., 1998)."""

    kind: Literal["pytorch"] = Field(default="pytorch", description="Name of the part.")

    def fill(self, weight: "Tensor", bias: "Tensor | None", generator: "Generator") -> None:
        """See base class."""
        bound = weight[0].numel() ** -0.5
        weight.uniform_(-bound, bound, generator=generator)
        if bias is not None:
            bias.uniform_(-bound, bound, generator=generator)


class HeNormal(Initialization):
    """Normal with a variance of 2 / fan_in, biases 0 (He et al., 2015); PyTorch's kaiming_normal_."""

    kind: Literal["he_normal"] = Field(default="he_normal", description="Name of the part.")

    def fill(self, weight: "Tensor", bias: "Tensor | None", generator: "Generator") -> None:
        """See base class."""
        from torch.nn import init

        init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        if bias is not None:
            init.zeros_(bias)


AnyInitialization = Annotated[PyTorchDefault | HeNormal, OneOf("initialization")]
