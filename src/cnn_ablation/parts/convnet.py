"""The convolutional network whose parts the study takes away and puts back."""

from typing import cast

import torch
from torch import Tensor, nn

from cnn_ablation.data.splits import ImageShape
from cnn_ablation.errors import ParameterError
from cnn_ablation.kernels import convolution as fast_layers
from cnn_ablation.study.parameters import ModelParameters
from cnn_ablation.training import random_streams


class SeededDropout(nn.Module):
    """Inverted dropout (Srivastava et al., 2014) whose masks come from a generator of its own.

    PyTorch's own draws from the process-wide generator, which everything else may advance.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, activations: Tensor) -> Tensor:
        """Zero each activation with probability `rate` and scale up the others, in training only."""
        if not self.training or self.rate == 0:
            return activations
        keep = 1 - self.rate
        # A fifth of the time of bernoulli_, which draws one number after the other.
        uniform = torch.rand(activations.shape, generator=self.generator, device=activations.device)
        return activations * (uniform < keep) / keep

    def extra_repr(self) -> str:
        """What `print(network)` shows in the module's parentheses."""
        return f"rate={self.rate}"


class ConvLayer(nn.Module):
    """Conv2d (padded to keep the size), then, as wanted, BatchNorm2d and MaxPool2d, then ReLU.

    The journal has ReLU before the pooling; the maximum and ReLU commute, so the function is the same
    and ReLU sees a quarter of the elements.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        use_batch_norm: bool,
        use_pooling: bool,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.norm = nn.BatchNorm2d(out_channels) if use_batch_norm else None
        self.pool = nn.MaxPool2d(2) if use_pooling else None
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, out_channels, …), halved in height and width by pooling."""
        if images.device.type == "cpu":
            return fast_layers.convolve(
                images, self.conv, self.norm, pool=self.pool is not None, training=self.training
            )
        maps = images
        for part in (self.conv, self.norm, self.pool, self.relu):
            if part is not None:
                maps = part(maps)
        return maps


class ConvNet(nn.Module):
    """Convolutional layers, then fully connected ones, as in the journal.

    A convolutional layer is a `ConvLayer`; a hidden fully connected one is Linear, ReLU, dropout.

    Args:
        parameters: The architecture.
        image_shape: Channels, height and width of the input images.
        num_classes: Number of logits.

    Raises:
        ParameterError: Pooling would shrink the image to nothing; names the layer.
    """

    def __init__(self, parameters: ModelParameters, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        # Names of modules are the names of streams of initial weights: a layer is called the same
        # in every network that has it.
        self.conv = nn.ModuleList()
        for index, out_channels in enumerate(parameters.conv_channels, start=1):
            if parameters.use_pooling:
                if min(height, width) < 2:
                    raise ParameterError(
                        "model.conv_channels",
                        f"layer {index} of {len(parameters.conv_channels)} cannot pool an image of "
                        f"{height}x{width} pixels: pooling would shrink it to nothing. Images of "
                        f"{image_shape[1]}x{image_shape[2]} pixels allow {index - 1} pooled layers; "
                        "name fewer, or set use_pooling to false",
                    )
                height, width = height // 2, width // 2
            self.conv.append(
                ConvLayer(
                    channels,
                    out_channels,
                    parameters.kernel_size,
                    use_batch_norm=parameters.use_batch_norm,
                    use_pooling=parameters.use_pooling,
                )
            )
            channels = out_channels
        features = channels * height * width
        self.hidden = nn.ModuleList()
        for units in parameters.fc_units:
            layer = nn.Sequential()
            layer.add_module("linear", nn.Linear(features, units))
            layer.add_module("relu", nn.ReLU())
            layer.add_module("dropout", SeededDropout(parameters.dropout_rate))
            self.hidden.append(layer)
            features = units
        self.output = nn.Linear(features, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (N, classes), of normalized images, (N, channels, height, width)."""
        activations = images
        for layer in self.conv:
            activations = layer(activations)
        # Channels last, as they lie in memory: any other order would cost a copy.
        activations = activations.permute(0, 2, 3, 1).flatten(1)
        for layer in self.hidden:
            activations = layer(activations)
        return cast(Tensor, self.output(activations))

    def seed(self, seed: int) -> None:
        """Draw initial weights, and point dropout at its own stream, both from the seed.

        The distribution is PyTorch's default for these layers: uniform in ±1/sqrt(fan_in) (LeCun et
        al., 1998); batch normalization starts as the identity. Each layer has a stream of its own, so
        that a layer of the same name and shape starts the same in every network.
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5
                stream = random_streams.generator(seed, "initial weights", name)
                for parameter in module.parameters(recurse=False):
                    # Drawn on the CPU whatever the device, so that all devices start the same.
                    values = torch.empty(parameter.shape).uniform_(-bound, bound, generator=stream)
                    with torch.no_grad():
                        parameter.copy_(values)
            elif isinstance(module, SeededDropout):
                device = self.output.weight.device
                module.generator = random_streams.generator(seed, "dropout", name, device=device)


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
