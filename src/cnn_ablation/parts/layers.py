"""Layers of this package's networks."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_ablation.base_parameters import ImageShape

if TYPE_CHECKING:
    from cnn_ablation.parts.architectures import TestTimeAugmentation


class ImageClassifier(nn.Module):
    """Base of this package's networks, from normalized images to logits.

    A subclass implements `logits`, (N, channels, height, width) to (N, classes).

    In evaluation mode, test-time augmentation averages the logits of an image and its mirror image. With
    `horizontal_flip_and_translate`, the mean of both has half of the weight, and the means of both after
    a shift by a pixel, up and left or down and right, have a quarter each (Jordan, 2024). Shifted images
    are filled by reflection.

    Args:
        test_time_augmentation: The images whose logits are averaged.
    """

    def __init__(self, test_time_augmentation: "TestTimeAugmentation") -> None:
        super().__init__()
        self.test_time_augmentation = test_time_augmentation

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (N, classes), of normalized images, (N, channels, height, width)."""
        if self.training or self.test_time_augmentation == "none":
            return self.logits(images)
        logits = self._mirrored(images)
        if self.test_time_augmentation == "horizontal_flip":
            return logits
        height, width = images.shape[2:]
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        up, down = map(self._mirrored, (padded[:, :, 2:, 2:], padded[:, :, :height, :width]))
        return logits / 2 + (up + down) / 4

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Logits of the images as they are; see `forward`."""

    def _mirrored(self, images: Tensor) -> Tensor:
        return (self.logits(images) + self.logits(images.flip(3))) / 2


@contextmanager
def without_test_time_augmentation(network: nn.Module) -> Iterator[None]:
    """Evaluate only the images as they are."""
    if not isinstance(network, ImageClassifier):
        yield
        return
    wanted, network.test_time_augmentation = network.test_time_augmentation, "none"
    try:
        yield
    finally:
        network.test_time_augmentation = wanted


class SeededDropout(nn.Module):
    """Inverted dropout (Srivastava et al., 2014) that draws its masks from its own generator.

    PyTorch's dropout draws from the process-wide generator, which any other code can advance.

    Args:
        rate: Probability of zeroing an activation.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, activations: Tensor) -> Tensor:
        """In training, zero each activation with probability `rate` and scale up the others."""
        if not self.training or self.rate == 0:
            return activations
        keep = 1 - self.rate
        # bernoulli_ draws its numbers one by one and takes five times as long.
        uniform = torch.rand(activations.shape, generator=self.generator, device=activations.device)
        return activations * (uniform < keep) / keep

    def extra_repr(self) -> str:
        """The settings that `print(network)` shows."""
        return f"rate={self.rate}"


class ConvLayer(nn.Module):
    """Conv2d, padded to keep the size, then optionally BatchNorm2d and MaxPool2d, then ReLU.

    The published journal has ReLU before the pooling. The maximum and ReLU commute, so the function is
    the same and ReLU sees a quarter of the elements.
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
        """Feature maps, (N, out_channels, …), halved in height and width by pooling."""
        maps = images
        for module in (self.conv, self.norm, self.pool, self.relu):
            if module is not None:
                maps = module(maps)
        return maps


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@torch.no_grad()
def count_activations(network: nn.Module, image_shape: ImageShape) -> int:
    """Number of activations that all layers put out for one image, in evaluation mode.

    Layers are the modules without children. The network classifies an image on its device, without
    test-time augmentation, and is left as it was. PyTorch's meta device would compute nothing, but load
    PyTorch's compiler.
    """
    count = 0

    def add(_layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal count
        count += output.numel()

    layers = [layer for layer in network.modules() if not [*layer.children()]]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    training = network.training
    with without_test_time_augmentation(network.eval()):
        network(torch.zeros(1, *image_shape, device=next(network.parameters()).device))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return count
