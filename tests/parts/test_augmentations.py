"""Augmentations: what they do to a batch of images."""

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.transforms import InterpolationMode
from torchvision.transforms import RandomErasing as TorchvisionRandomErasing
from torchvision.transforms.functional import rotate

from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.augmentations import (
    AnyAugmentation,
    Augmentation,
    Cutout,
    HorizontalFlip,
    RandomErasing,
    Rotation,
    Translate,
)
from tests.conftest import needs_cuda

IMAGES = torch.arange(2000 * 2 * 3 * 4, dtype=torch.int64).remainder(251).to(torch.uint8)
ALL = [
    HorizontalFlip(),
    Translate(),
    Rotation(),
    Cutout(),
    RandomErasing(),
    RandomErasing(value="random"),
    RandomErasing(value=7),
]


def noise(*shape: int) -> Tensor:
    """Images without a pixel of 0."""
    generator = torch.Generator().manual_seed(9)
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=generator)


def applied(augmentation: Augmentation, images: Tensor, seed: int = 0) -> Tensor:
    before = images.clone()
    generator = torch.Generator(images.device).manual_seed(seed)
    result = augmentation.apply(images, generator)
    assert torch.equal(images, before), "the input is unchanged"
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
    return result


def flipped(p: float) -> tuple[Tensor, Tensor]:
    images = IMAGES.view(2000, 2, 3, 4)
    return images, applied(HorizontalFlip(p=p), images)


def test_each_image_is_mirrored_as_a_whole_or_not_at_all() -> None:
    images, result = flipped(0.3)
    mirrored = (result == images.flip(3)).flatten(1).all(1)
    unchanged = (result == images).flatten(1).all(1)
    assert (mirrored ^ unchanged).all()
    assert abs(mirrored.double().mean().item() - 0.3) < 0.04


def test_a_probability_of_one_mirrors_all_images() -> None:
    images, result = flipped(1.0)
    assert torch.equal(result, images.flip(3))


@pytest.mark.parametrize("augmentation", ALL, ids=str)
def test_draws_come_from_the_generator_alone(augmentation: Augmentation) -> None:
    images = noise(50, 2, 9, 12)
    torch.manual_seed(1)
    first = applied(augmentation, images)
    torch.manual_seed(2)
    assert torch.equal(first, applied(augmentation, images))
    assert not torch.equal(first, applied(augmentation, images, seed=1))


@pytest.mark.parametrize("augmentation", ALL, ids=str)
def test_nothing_depends_on_values_so_that_a_gpu_can_record_it(augmentation: Augmentation) -> None:
    """A fake tensor has no values. Reading one, or a shape that depends on one, is an error."""
    with FakeTensorMode():
        images = torch.empty(8, 3, 12, 9, dtype=torch.uint8, device="cuda")
        result = augmentation.apply(images, None)  # type: ignore[arg-type]
        assert (result.shape, result.dtype) == (images.shape, images.dtype)
        assert result.device.type == "cuda"


@needs_cuda
@pytest.mark.parametrize("augmentation", ALL, ids=str)
def test_a_recorded_augmentation_draws_anew_at_each_replay(augmentation: Augmentation) -> None:
    images = noise(64, 1, 28, 28).cuda()
    generator = torch.Generator("cuda").manual_seed(0)
    expected = [augmentation.apply(images, generator) for _ in range(4)]
    generator.manual_seed(0)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        assert torch.equal(augmentation.apply(images, generator), expected[0])
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=stream):
            output = augmentation.apply(images, generator)
        for result in expected[1:]:
            graph.replay()
            assert torch.equal(output, result)


def test_images_are_shifted_by_every_distance_equally_often_and_filled_with_zeros() -> None:
    images = noise(6000, 2, 5, 7)
    result = applied(Translate(pixels=2), images)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    count = torch.zeros(len(images), dtype=torch.int64)
    for top in range(5):
        for left in range(5):
            shifted = padded[:, :, top : top + 5, left : left + 7]
            same = (result == shifted).flatten(1).all(1)
            count += same
            assert same.sum().item() == pytest.approx(6000 / 25, abs=6 * math.sqrt(6000 / 25))
    assert (count == 1).all()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 32)])
def test_a_rotation_is_torchvisions(shape: tuple[int, int, int]) -> None:
    images = noise(40, *shape)
    result = applied(Rotation(degrees=30), images, seed=3)
    draws = torch.rand(len(images), generator=torch.Generator().manual_seed(3))
    for image, rotated, draw in zip(images, result, draws.tolist(), strict=True):
        theirs = rotate(image, 30 * (2 * draw - 1), InterpolationMode.BILINEAR)
        # Sums are rounded in another order.
        assert (rotated.int() - theirs.int()).abs().max() <= 1


def test_angles_are_uniform_within_their_limit() -> None:
    # A bright pixel to the right of the center turns with the image.
    images = torch.zeros(1000, 1, 61, 61, dtype=torch.uint8)
    images[:, :, 30, 57] = 255
    result = applied(Rotation(degrees=20), images).double()[:, 0]
    place = torch.arange(61, dtype=torch.float64) - 30
    height = (result.sum(2) @ place) / result.sum((1, 2))
    angles = torch.rad2deg(torch.asin(height / 27))
    assert angles.abs().max().item() == pytest.approx(20, abs=0.5)
    assert angles.mean().item() == pytest.approx(0, abs=1)
    assert angles.std().item() == pytest.approx(40 / math.sqrt(12), rel=0.05)


def test_cutout_erases_a_square_around_any_pixel() -> None:
    images = noise(20_000, 2, 6, 9)
    result = applied(Cutout(size=3, value=0), images)
    erased = (result == 0).all(1)
    assert torch.equal(result, torch.where(erased[:, None], 0, images))
    heights, widths = erased.any(2).sum(1), erased.any(1).sum(1)
    assert torch.equal(erased.flatten(1).sum(1), heights * widths)
    # The square loses a row or a column if its center is at an edge: in 2 of 6 rows, 2 of 9 columns.
    for lengths, side in ((heights, 6), (widths, 9)):
        assert set(lengths.tolist()) == {2, 3}
        assert (lengths == 2).double().mean().item() == pytest.approx(2 / side, abs=0.02)


def test_cutout_of_the_size_of_an_image_erases_at_least_a_quarter() -> None:
    erased = (applied(Cutout(size=8, value=0), noise(500, 1, 8, 8)) == 0).flatten(1).sum(1)
    assert erased.min() >= 16
    assert erased.max() == 64


def test_erased_pixels_have_the_mean_of_the_batch_per_channel() -> None:
    images = torch.cat([noise(100, 1, 8, 8) // 2 + 100, torch.full((100, 1, 8, 8), 9)], 1).byte()
    result = applied(Cutout(size=4), images)
    changed = result != images
    assert set(result[changed].tolist()) == {round(images[:, 0].double().mean().item())}
    assert changed[:, 0].flatten(1).sum(1).max() == 16
    assert not changed[:, 1].any(), "a constant channel has its mean already"


def test_erased_pixels_can_be_noise() -> None:
    images = torch.zeros(500, 1, 16, 16, dtype=torch.uint8)
    result = applied(RandomErasing(p=1.0, value="random", scale=[0.3, 0.3]), images)
    values = result[result > 0].double()
    assert values.mean().item() == pytest.approx(128, abs=2)
    assert len(values.unique()) == 255


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scale": [0.1, 0.1], "ratio": [1.0, 1.0]},
        # Most tries do not fit, so that some images stay as they are.
        {"p": 1.0, "scale": [0.7, 1.0], "ratio": [0.3, 3.3]},
    ],
)
def test_random_erasing_has_the_distribution_of_torchvisions(settings: dict[str, Any]) -> None:
    images = noise(1500, 1, 20, 24)
    ours = applied(RandomErasing(value=0, **settings), images)
    theirs = TorchvisionRandomErasing(value=0, **settings)
    torch.manual_seed(0)
    erased = [(batch == 0)[:, 0] for batch in (ours, torch.stack([theirs(image) for image in images]))]
    for mask in erased:
        rectangles = mask.any(2).sum(1) * mask.any(1).sum(1)
        assert torch.equal(mask.flatten(1).sum(1), rectangles)
    features = [
        torch.stack(
            [
                mask.any(2).any(1),  # whether
                mask.flatten(1).sum(1),  # area
                mask.any(2).sum(1),  # height
                mask.any(1).sum(1),  # width
                mask.any(2).int().argmax(1),  # first row
                mask.any(1).int().argmax(1),  # first column
            ],
            1,
        ).double()
        for mask in erased
    ]
    for moment in (features, [feature**2 for feature in features]):
        difference = moment[0].mean(0) - moment[1].mean(0)
        error = ((moment[0].var(0) + moment[1].var(0)) / len(images)).sqrt()
        assert (difference.abs() <= 4 * error + 1e-9).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "translate", "pixels": 0},
        {"kind": "rotation", "degrees": 0},
        {"kind": "rotation", "degrees": 181},
        {"kind": "cutout", "size": 0},
        {"kind": "cutout", "value": 256},
        {"kind": "cutout", "value": "black"},
        {"kind": "random_erasing", "p": 1.5},
        {"kind": "random_erasing", "p": -0.1},
        {"kind": "random_erasing", "scale": [0.3, 0.1]},
        {"kind": "random_erasing", "scale": [0.1, 1.1]},
        {"kind": "random_erasing", "scale": [0.1]},
        {"kind": "random_erasing", "ratio": [0.0, 1.0]},
    ],
    ids=str,
)
def test_settings_outside_of_their_limits_are_errors(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=list(settings)[1]):
        TypeAdapter(AnyAugmentation).validate_python(settings)


@pytest.mark.parametrize(
    ("augmentation", "largest"), [(Cutout(size=13), 12), (Translate(pixels=12), 11)], ids=str
)
def test_settings_that_do_not_fit_the_images_are_errors(
    augmentation: Augmentation, largest: int
) -> None:
    augmentation.check((1, 28, 28))
    augmentation.check((3, 13, 40))
    with pytest.raises(ParameterError, match="12x40 pixels; allowed: at most") as failure:
        augmentation.check((3, 12, 40))
    assert failure.value.key == "training.augmentation"
    assert failure.value.reason.endswith(f"at most {largest}")
