"""Augmentations: what they do to a batch of images."""

import torch

from cnn_ablation.parts.augmentations import HorizontalFlip

IMAGES = torch.arange(2000 * 2 * 3 * 4, dtype=torch.int64).remainder(251).to(torch.uint8)


def flipped(probability: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    images = IMAGES.view(2000, 2, 3, 4)
    before = images.clone()
    generator = torch.Generator().manual_seed(seed)
    result = HorizontalFlip(probability=probability).apply(images, generator)
    assert torch.equal(images, before), "the input is unchanged"
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
    return images, result


def test_each_image_is_mirrored_as_a_whole_or_not_at_all() -> None:
    images, result = flipped(0.3)
    mirrored = (result == images.flip(3)).flatten(1).all(1)
    unchanged = (result == images).flatten(1).all(1)
    assert (mirrored ^ unchanged).all()
    assert abs(mirrored.double().mean().item() - 0.3) < 0.04


def test_a_probability_of_one_mirrors_all_images() -> None:
    images, result = flipped(1.0)
    assert torch.equal(result, images.flip(3))


def test_draws_come_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    _, first = flipped(0.5)
    torch.manual_seed(2)
    _, again = flipped(0.5)
    _, other = flipped(0.5, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
