"""Augmentations: random changes of training images, drawn again for each batch."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from cnn_ablation.parts.base import OneOf, Part

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Augmentation(Part):
    """Base of all augmentations. Several of them are applied in the order of their list."""

    @abstractmethod
    def apply(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """Return changed images of the same shape and type.

        A GPU replays the recorded operations of the first batches. The method must therefore draw only
        from the generator, and must not read values of tensors back, as `.item()` does.

        Args:
            images: A batch, uint8 (N, channels, height, width). It must not be changed in place.
            generator: Generator on the images' device, used only by this augmentation.
        """


class HorizontalFlip(Augmentation):
    """Mirror each image left to right with a probability, as torchvision's RandomHorizontalFlip does."""

    kind: Literal["horizontal_flip"] = Field(default="horizontal_flip", description="Name of the part.")
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
