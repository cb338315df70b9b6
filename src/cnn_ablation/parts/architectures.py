"""Architectures: the networks that can be trained."""

from abc import abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.parts.base import OneOf, Part

if TYPE_CHECKING:
    from torch import nn


class Architecture(Part):
    """Base of all architectures."""

    fast_layers: ClassVar[bool] = False
    """Whether the network contains `layers.ConvLayer`, which `kernels` can replace by faster layers."""

    draws_from_process: ClassVar[bool] = True
    """Whether modules may draw from PyTorch's process-wide generators, as PyTorch's dropout does.

    A GPU's worker trains only one such network at a time, and without CUDA graphs.
    """

    @property
    def augments_at_test_time(self) -> bool:
        """Whether the trained network averages the logits of changed images."""
        return getattr(self, "test_time_augmentation", "none") != "none"

    @abstractmethod
    def build(self, image_shape: ImageShape, num_classes: int) -> "nn.Module":
        """Build a network from normalized images to logits.

        The network maps float images, (N, channels, height, width), to logits, (N, classes). With the
        same seed, layers with the same name and shape start from the same weights in all networks. A
        layer should therefore keep its name when a setting adds another layer. Use
        `layers.SeededDropout` for dropout, because it draws from its own stream.

        Raises:
            ParameterError: The settings do not fit the images; the key names the setting.
        """

    def relative_cost(self, image_shape: ImageShape) -> float:
        """Cost of training on one image, without unit, to sort trials and to estimate the time left."""
        return _multiply_adds(self, image_shape)


TestTimeAugmentation = Annotated[
    Literal["none", "horizontal_flip", "horizontal_flip_and_translate"],
    Field(
        description="Images whose logits the trained network averages. horizontal_flip: an image and "
        "its mirror image (Krizhevsky et al., 2012). horizontal_flip_and_translate: both also shifted "
        "by a pixel, up and left or down and right, with half of the weight (Jordan, 2024). It does not "
        "change the training, and takes part only in the evaluation at its end."
    ),
]


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("must be odd, so that padding keeps the image's size")
    return size


class ConvNet(Architecture):
    """The published journal's network: convolutional layers, then fully connected ones."""

    fast_layers: ClassVar[bool] = True
    draws_from_process: ClassVar[bool] = False

    kind: Literal["convnet"] = Field(default="convnet", description="Name of the part.")
    conv_channels: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        default=[32, 64], description="Output channels of each convolutional layer."
    )
    kernel_size: Annotated[PositiveInt, AfterValidator(_odd)] = Field(
        default=3,
        description="Side of the convolutions' kernels, pixels; odd, so that padding keeps the size.",
    )
    use_batch_norm: bool = Field(default=True, description="Batch normalization after each convolution.")
    use_pooling: bool | list[bool] = Field(
        default=True,
        description="2x2 max pooling after each convolutional layer; a list says it for each of them.",
    )
    dropout_rate: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.5,
        description="Probability of zeroing an activation of a hidden fully connected layer.",
    )
    fc_units: list[PositiveInt] = Field(
        default=[128], description="Units of each hidden fully connected layer; [] for none."
    )
    test_time_augmentation: TestTimeAugmentation = "none"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.pools) != len(self.conv_channels):
            raise ValueError(
                f"use_pooling: has {len(self.pools)} entries, but conv_channels has "
                f"{len(self.conv_channels)}; allowed: one for each layer, or true or false for all"
            )
        return self

    @property
    def num_conv_layers(self) -> int:
        """Number of convolutional layers."""
        return len(self.conv_channels)

    @property
    def pools(self) -> list[bool]:
        """Whether each convolutional layer ends with pooling."""
        if isinstance(self.use_pooling, bool):
            return [self.use_pooling] * len(self.conv_channels)
        return self.use_pooling

    def build(self, image_shape: ImageShape, num_classes: int) -> "nn.Module":
        """See base class."""
        from cnn_ablation.parts.convnet import ConvNetwork

        return ConvNetwork(self, image_shape, num_classes)

    def relative_cost(self, image_shape: ImageShape) -> float:
        """Multiply-adds, plus constants for what memory limits: normalization, pooling, updates."""
        area, cost, features = 1.0, 0.0, 1
        for channels, pools in zip(self.conv_channels, self.pools, strict=True):
            cost += area * channels * (self.kernel_size**2 * features + 300)
            features = channels
            area /= 4 if pools else 1
        for units in self.fc_units[:1]:
            cost += 3 * area * features * units
        return image_shape[1] * image_shape[2] * cost


def _resnet_depth(depth: int) -> int:
    if depth % 6 != 2:
        raise ValueError("must be 6n + 2 for a number n of blocks per stage: 8, 14, 20, 26, 32, …")
    return depth


def _resnet_width(width: float) -> float:
    if not (16 * width).is_integer():
        raise ValueError("must give a whole number of channels, 16 times the width; for example 1.25")
    return width


class ResNet(Architecture):
    """The residual network for small images of He et al. (2016), with shortcuts without parameters.

    Three stages of blocks, with 16, 32 and 64 channels times the width. Depth 20 has 0.27 million
    parameters.
    """

    draws_from_process: ClassVar[bool] = False

    kind: Literal["resnet"] = Field(default="resnet", description="Name of the part.")
    depth: Annotated[int, Field(ge=8, le=1202), AfterValidator(_resnet_depth)] = Field(
        default=20,
        description="Number of layers with weights: 6n + 2 for n blocks per stage, such as 8, 14, 20.",
    )
    width: Annotated[PositiveFloat, AfterValidator(_resnet_width)] = Field(
        default=1.0,
        description="Factor of the number of channels (Zagoruyko & Komodakis, 2016), in 16ths.",
    )
    dropout_rate: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Probability of zeroing an input of the last layer."
    )
    test_time_augmentation: TestTimeAugmentation = "none"

    @property
    def blocks_per_stage(self) -> int:
        """Number of residual blocks in each of the three stages."""
        return (self.depth - 2) // 6

    @property
    def stage_channels(self) -> list[int]:
        """Channels of the three stages."""
        return [int(factor * 16 * self.width) for factor in (1, 2, 4)]

    def build(self, image_shape: ImageShape, num_classes: int) -> "nn.Module":
        """See base class."""
        from cnn_ablation.parts.resnet import ResidualNetwork

        return ResidualNetwork(self, image_shape, num_classes)

    def relative_cost(self, image_shape: ImageShape) -> float:
        """Multiply-adds and a constant for what memory limits, in the unit of `ConvNet`.

        PyTorch's layers take about twice as long as the fast layers on a CPU.
        """
        cost, features = 0.0, image_shape[0]
        for stage, channels in enumerate(self.stage_channels):
            layers = 2 * self.blocks_per_stage + (stage == 0)
            weights = 9 * channels * (features + (layers - 1) * channels)
            cost += (weights + 300 * layers * channels) / 4**stage
            features = channels
        return 2 * image_shape[1] * image_shape[2] * cost


AnyArchitecture = Annotated[ConvNet | ResNet, OneOf("architecture")]


def _multiply_adds(architecture: Architecture, image_shape: ImageShape) -> float:
    return _cached_multiply_adds(type(architecture), architecture.model_dump_json(), image_shape)


@cache
def _cached_multiply_adds(part: type[Architecture], settings: str, image_shape: ImageShape) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        # The number of classes hardly matters, because the last layer is small.
        network = part.model_validate_json(settings).build(image_shape, 10).eval()
        network(torch.empty(1, *image_shape))
    return float(counter.get_total_flops()) / 2
