"""The network of the architecture `resnet`."""

from typing import TYPE_CHECKING, cast

import torch.nn.functional as F
from torch import Tensor, nn

from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.layers import ImageClassifier, SeededDropout

if TYPE_CHECKING:
    from cnn_ablation.base_parameters import ImageShape
    from cnn_ablation.parts.architectures import ResNet


class PaddedShortcut(nn.Module):
    """Every other row and column of the maps, with channels of zeros added at the end.

    Option A of He et al. (2016), which has no parameters.

    Args:
        added_channels: Number of channels of zeros.
    """

    def __init__(self, added_channels: int) -> None:
        super().__init__()
        self.added_channels = added_channels

    def forward(self, maps: Tensor) -> Tensor:
        """Maps, (N, channels + added_channels, ⌈height / 2⌉, ⌈width / 2⌉)."""
        return F.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added_channels))

    def extra_repr(self) -> str:
        """The settings that `print(network)` shows."""
        return f"added_channels={self.added_channels}"


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each with batch normalization, beside a shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output. If there are more than `in_channels`, the first convolution
            has stride 2.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        grows = out_channels > in_channels
        stride = 2 if grows else 1
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = PaddedShortcut(out_channels - in_channels) if grows else None
        self.relu2 = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps, (N, out_channels, …), with half the height and width if the channels grow."""
        residual = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(maps)))))
        kept = maps if self.shortcut is None else self.shortcut(maps)
        return cast(Tensor, self.relu2(residual + kept))


class ResidualNetwork(ImageClassifier):
    """A convolution, three stages of residual blocks, the mean over each map, and a linear layer.

    Args:
        settings: Settings of the architecture.
        image_shape: Channels, height and width of the input images.
        num_classes: Number of logits.

    Raises:
        ParameterError: The maps of the last stage would have a single value, which batch normalization
            turns into 0.
    """

    def __init__(self, settings: "ResNet", image_shape: "ImageShape", num_classes: int) -> None:
        super().__init__(settings.test_time_augmentation)
        channels, height, width = image_shape
        if max(height, width) <= 4:
            raise ParameterError(
                "model.kind",
                f"resnet halves images twice, and images of {height}x{width} pixels would shrink to a "
                "single one, which batch normalization cannot use; allowed: images with a height or "
                "width of at least 5 pixels",
            )
        first, *_ = stages = settings.stage_channels
        # Names of modules must not change with the depth; see ConvNetwork.
        self.conv = nn.Conv2d(channels, first, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(first)
        self.relu = nn.ReLU()
        self.stages = nn.ModuleList()
        channels = first
        for out_channels in stages:
            blocks = nn.Sequential()
            for _ in range(settings.blocks_per_stage):
                blocks.append(ResidualBlock(channels, out_channels))
                channels = out_channels
            self.stages.append(blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = SeededDropout(settings.dropout_rate)
        self.output = nn.Linear(channels, num_classes)

    def logits(self, images: Tensor) -> Tensor:
        """See base class."""
        maps = self.relu(self.norm(self.conv(images)))
        for stage in self.stages:
            maps = stage(maps)
        return cast(Tensor, self.output(self.dropout(self.pool(maps).flatten(1))))
