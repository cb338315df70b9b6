"""Augmentations: random changes of training images, made anew for each batch."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cnn_ablation.parts.base import OneOf, Part

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Augmentation(Part):
    """Base of all augmentations. Several are applied in the order of their list."""

    @abstractmethod
    def apply(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """Changed images of the same shape and type.

        Args:
            images: A batch, uint8 (N, channels, height, width). It must not be changed in place.
            generator: On the images' device, used by this augmentation alone.
        """


class HorizontalFlip(Augmentation):
    """Mirror images left to right, each by chance, as torchvision's RandomHorizontalFlip."""

    kind: Literal["horizontal_flip"] = Field(default="horizontal_flip", description="Which part it is.")
    probability: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="Probability that an image is mirrored."
    )

    def apply(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """See base class."""
        import torch

        draws = torch.rand(len(images), generator=generator, device=images.device)
        mirrored = (draws < self.probability).view(-1, 1, 1, 1)
        return torch.where(mirrored, images.flip(3), images)


AnyAugmentation = Annotated[HorizontalFlip, OneOf("augmentation")]
