"""Augmentations: random changes of training images, drawn again for each batch."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, PositiveInt

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.base import OneOf, Part

if TYPE_CHECKING:
    from torch import Generator, Tensor

Probability = Annotated[float, Field(gt=0, le=1)]

Fill = Annotated[int, Field(ge=0, le=255)] | Literal["mean", "random"]
"""Pixels that replace erased ones: a value, the mean of the batch per channel, or uniform noise."""


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

    def check(self, image_shape: ImageShape) -> None:
        """Check that the settings fit the images. All settings of the base class do.

        Raises:
            ParameterError: They do not fit. The key is `training.augmentation`.
        """


class HorizontalFlip(Augmentation):
    """Mirror each image left to right with a probability, as torchvision's RandomHorizontalFlip does."""

    moved: ClassVar[Mapping[str, str]] = {"probability": "p"}

    kind: Literal["horizontal_flip"] = Field(default="horizontal_flip", description="Name of the part.")
    p: Probability = Field(default=0.5, description="Probability that an image is mirrored.")

    def apply(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """See base class."""
        import torch

        draws = torch.rand(len(images), generator=generator, device=images.device)
        mirrored = (draws < self.p).view(-1, 1, 1, 1)
        return torch.where(mirrored, images.flip(3), images)


class Translate(Augmentation):
    """Shift each image by up to `pixels` in each direction, and fill with zeros.

    The shifts of an image are drawn uniformly from whole numbers, separately for height and width. This
    is the crop of padded images that He et al. (2016) used on CIFAR-10, torchvision's RandomCrop with a
    padding.
    """

    kind: Literal["translate"] = Field(default="translate", description="Name of the part.")
    pixels: PositiveInt = Field(default=2, description="Largest shift in each direction, pixels.")

    def check(self, image_shape: ImageShape) -> None:
        """See base class."""
        _check_side("translate", "pixels", self.pixels, min(image_shape[1:]) - 1, image_shape)

    def apply(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """See base class."""
        import torch
        import torch.nn.functional as F

        count, channels, height, width = images.shape
        padded = F.pad(images, (self.pixels,) * 4)
        shifts = torch.randint(
            2 * self.pixels + 1, (2, count, 1), generator=generator, device=images.device
        )
        rows = shifts[0] + torch.arange(height, device=images.device)
        columns = shifts[1] + torch.arange(width, device=images.device)
        places = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).view(count, 1, -1)
        return padded.flatten(2).gather(2, places.expand(-1, channels, -1)).view(images.shape)


class Rotation(Augmentation):
    """Rotate each image about its center by a random angle, and fill with zeros.

    The angle is uniform, as in torchvision's RandomRotation. Pixels are interpolated bilinearly, because
    the nearest pixel distorts the edges of small images.
    """

    kind: Literal["rotation"] = Field(default="rotation", description="Name of the part.")
    degrees: Annotated[float, Field(gt=0, le=180)] = Field(
        default=10.0, description="Largest angle in each direction, degrees."
    )

    def apply(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """See base class."""
        import torch
        import torch.nn.functional as F

        count, _, height, width = images.shape
        draws = torch.rand(count, generator=generator, device=images.device)
        angle = (2 * draws - 1) * math.radians(self.degrees)
        sine, cosine, zero = angle.sin(), angle.cos(), torch.zeros_like(angle)
        # Coordinates are those of affine_grid: from -1 to 1 in each direction, whatever its length.
        rows = (cosine, -sine * (height / width), zero, sine * (width / height), cosine, zero)
        grid = F.affine_grid(
            torch.stack(rows, 1).view(count, 2, 3), list(images.shape), align_corners=False
        )
        return F.grid_sample(images.float(), grid, align_corners=False).round_().to(images.dtype)


class Cutout(Augmentation):
    """Erase a square in each image (DeVries & Taylor, 2017).

    Its center is drawn uniformly from all pixels, so that a part of the square may lie outside of the
    image.
    """

    kind: Literal["cutout"] = Field(default="cutout", description="Name of the part.")
    size: PositiveInt = Field(default=8, description="Side of the square, pixels.")
    value: Fill = Field(
        default="mean",
        description="Pixels of the square: a value from 0 to 255; mean: the mean of the batch, as in "
        "the paper; random: uniform noise.",
    )

    def check(self, image_shape: ImageShape) -> None:
        """See base class."""
        _check_side("cutout", "size", self.size, min(image_shape[1:]), image_shape)

    def apply(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """See base class."""
        import torch

        draws = torch.rand(2, len(images), generator=generator, device=images.device)
        height, width = images.shape[2:]
        top, left = (draws[0] * height).floor(), (draws[1] * width).floor()
        half = self.size // 2
        return _erase(images, (top - half, left - half), (self.size, self.size), self.value, generator)


def _interval(bounds: list[float]) -> list[float]:
    low, high = bounds
    if low > high:
        raise ValueError("must be the lower bound and the upper bound")
    return bounds


class RandomErasing(Augmentation):
    """Erase a rectangle of random area and shape in some images (Zhong et al., 2020).

    Names, defaults and distributions are those of torchvision's RandomErasing: the area is uniform, the
    ratio is log-uniform, and an image in which ten drawn rectangles do not fit stays as it is.
    """

    kind: Literal["random_erasing"] = Field(default="random_erasing", description="Name of the part.")
    p: Probability = Field(default=0.5, description="Probability that a part of an image is erased.")
    scale: Annotated[list[Probability], Field(min_length=2, max_length=2), AfterValidator(_interval)] = (
        Field(default=[0.02, 0.33], description="Smallest and largest share of the image's area.")
    )
    ratio: Annotated[
        list[Annotated[float, Field(gt=0)]],
        Field(min_length=2, max_length=2),
        AfterValidator(_interval),
    ] = Field(default=[0.3, 3.3], description="Smallest and largest ratio of height to width.")
    value: Fill = Field(
        default="mean",
        description="Pixels of the rectangle: a value from 0 to 255; mean: the mean of the batch, which "
        "is torchvision's 0 after normalization; random: uniform noise.",
    )

    def apply(self, images: "Tensor", generator: "Generator") -> "Tensor":
        """See base class."""
        import torch

        count, _, height, width = images.shape
        tries = torch.rand(2, _TRIES, count, generator=generator, device=images.device)
        place = torch.rand(3, count, generator=generator, device=images.device)
        area = height * width * _between(tries[0], self.scale)
        ratio = _between(tries[1], [math.log(bound) for bound in self.ratio]).exp()
        heights, widths = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
        fits = (heights < height) & (widths < width)
        # The first of several equal maxima. If there is no fit, it is a try that does not fit.
        first = fits.int().argmax(0, keepdim=True)
        erased = fits.gather(0, first)[0] & (place[2] < self.p)
        rows, columns = heights.gather(0, first)[0] * erased, widths.gather(0, first)[0] * erased
        top = (place[0] * (height - rows + 1)).floor()
        left = (place[1] * (width - columns + 1)).floor()
        return _erase(images, (top, left), (rows, columns), self.value, generator)


_TRIES = 10


def _check_side(kind: str, name: str, value: int, largest: int, image_shape: ImageShape) -> None:
    if value > largest:
        _, height, width = image_shape
        raise ParameterError(
            "training.augmentation",
            f"{kind}: {name}: {value} is too large for images of {height}x{width} pixels; "
            f"allowed: at most {largest}",
        )


def _between(draws: "Tensor", bounds: list[float]) -> "Tensor":
    low, high = bounds
    return low + (high - low) * draws


def _erase(
    images: "Tensor",
    corner: "tuple[Tensor, Tensor]",
    sides: "tuple[Tensor | int, Tensor | int]",
    value: int | Literal["mean", "random"],
    generator: "Generator",
) -> "Tensor":
    """Replace a rectangle of each image.

    Args:
        images: uint8 (N, channels, height, width).
        corner: First row and first column of the rectangles, (N,). They may be negative.
        sides: Height and width of the rectangles, (N,) or the same for all.
        value: See `Fill`.
        generator: Draws the noise.
    """
    import torch

    inside = []
    for length, start, side in zip(images.shape[2:], corner, sides, strict=True):
        pixels = torch.arange(length, device=images.device)
        end = start + side
        inside.append((pixels >= start[:, None]) & (pixels < end[:, None]))
    mask = (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
    if value == "mean":
        mean = images.float().mean((0, 2, 3), keepdim=True)
        return torch.where(mask, mean.round_().to(images.dtype), images)
    if value == "random":
        noise = torch.randint(
            256, images.shape, dtype=images.dtype, generator=generator, device=images.device
        )
        return torch.where(mask, noise, images)
    return images.masked_fill(mask, value)


AnyAugmentation = Annotated[
    HorizontalFlip | Translate | Rotation | Cutout | RandomErasing, OneOf("augmentation")
]
