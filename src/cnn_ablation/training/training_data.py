"""The data of a training, in the memory of the training device."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.data.splits import Arrays

TRAINING_ARRAYS = ("train_images", "train_labels", "validation_images", "validation_labels")
"""The arrays of a split that a training needs."""


@dataclass(frozen=True)
class TrainingData:
    """All images and labels of a training, in the device's memory.

    Images are uint8, (N, channels, height, width), with pixels from 0 to 255. Labels are int64, (N,).
    `mean` and `std` are those of the training pixels, scaled to 0 to 1, per channel.
    """

    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def from_arrays(
        cls,
        arrays: Arrays,
        mean: list[float],
        std: list[float],
        device: torch.device,
    ) -> Self:
        """Move the arrays of a split to the device."""
        return cls(
            **{name: torch.from_numpy(arrays[name]).to(device) for name in TRAINING_ARRAYS},
            mean=torch.tensor(mean, device=device),
            std=torch.tensor(std, device=device),
        )

    @property
    def device(self) -> torch.device:
        """The device that holds the data."""
        return self.train_images.device

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of an image."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


class Normalize(nn.Module):
    """Converts pixels (0 to 255) to floats with zero mean and unit variance over the training images."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", (1 / (255 * std)).view(-1, 1, 1))
        self.register_buffer("shift", (-mean / std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalized float32 images of the same shape."""
        return torch.addcmul(self.shift, images.float(), self.scale)
