"""Initializations: the weights that a training starts from."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveFloat

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


class ZeroBias(Initialization):
    """Base of initializations with biases of 0."""

    def fill(self, weight: "Tensor", bias: "Tensor | None", generator: "Generator") -> None:
        """See base class."""
        self.fill_weight(weight, generator)
        if bias is not None:
            bias.zero_()

    @abstractmethod
    def fill_weight(self, weight: "Tensor", generator: "Generator") -> None:
        """Set a layer's weight in place; see `fill`."""


class HeNormal(ZeroBias):
    """Normal with a variance of 2 / fan_in, biases 0 (He et al., 2015); PyTorch's kaiming_normal_."""

    kind: Literal["he_normal"] = Field(default="he_normal", description="Name of the part.")

    def fill_weight(self, weight: "Tensor", generator: "Generator") -> None:
        """See base class."""
        from torch.nn import init

        init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


class HeUniform(ZeroBias):
    """Uniform with a variance of 2 / fan_in, biases 0 (He et al., 2015); PyTorch's kaiming_uniform_."""

    kind: Literal["he_uniform"] = Field(default="he_uniform", description="Name of the part.")

    def fill_weight(self, weight: "Tensor", generator: "Generator") -> None:
        """See base class."""
        from torch.nn import init

        init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)


class Scaled(ZeroBias):
    """Base of initializations that ignore the activation function unless they are given its gain."""

    gain: PositiveFloat = Field(
        default=1.0, description="Factor of the weights; sqrt(2) makes up for what ReLU cuts off."
    )


class XavierNormal(Scaled):
    """Normal with a variance of 2 / (fan_in + fan_out), biases 0 (Glorot & Bengio, 2010).

    PyTorch's xavier_normal_.
    """

    kind: Literal["xavier_normal"] = Field(default="xavier_normal", description="Name of the part.")

    def fill_weight(self, weight: "Tensor", generator: "Generator") -> None:
        """See base class."""
        from torch.nn import init

        init.xavier_normal_(weight, self.gain, generator)


class XavierUniform(Scaled):
    """Uniform with a variance of 2 / (fan_in + fan_out), biases 0 (Glorot & Bengio, 2010).

    PyTorch's xavier_uniform_, and Keras's default under the name glorot_uniform.
    """

    kind: Literal["xavier_uniform"] = Field(default="xavier_uniform", description="Name of the part.")

    def fill_weight(self, weight: "Tensor", generator: "Generator") -> None:
        """See base class."""
        from torch.nn import init

        init.xavier_uniform_(weight, self.gain, generator)


class Orthogonal(Scaled):
    """A random matrix with orthonormal rows or columns, biases 0 (Saxe et al., 2014).

    PyTorch's orthogonal_. A convolution's weight is a matrix with a row per output channel.
    """

    kind: Literal["orthogonal"] = Field(default="orthogonal", description="Name of the part.")

    def fill_weight(self, weight: "Tensor", generator: "Generator") -> None:
        """See base class."""
        from torch.nn import init

        init.orthogonal_(weight, self.gain, generator)


AnyInitialization = Annotated[
    PyTorchDefault | HeNormal | HeUniform | XavierNormal | XavierUniform | Orthogonal,
    OneOf("initialization"),
]
