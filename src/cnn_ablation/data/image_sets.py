"""Sets of labelled images: torchvision's, or a folder of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cnn_ablation.data.splits import Arrays
from cnn_ablation.errors import ImageSetError
from cnn_ablation.schema import ImageShape


@dataclass(frozen=True)
class ImageSet:
    """Images to train on and to test on.

    `arrays` holds `train_images` and `test_images`, uint8 (N, height, width) in grey or
    (N, height, width, channels), and `train_labels` and `test_labels`, int (N,), which count
    `class_names` from 0.
    """

    name: str
    class_names: tuple[str, ...]
    arrays: Arrays


class _Known(NamedTuple):
    shape: ImageShape
    num_classes: dict[str | None, int]
    """By the variant's name; None where there are no variants."""


KNOWN = {
    "MNIST": _Known((1, 28, 28), {None: 10}),
    "KMNIST": _Known((1, 28, 28), {None: 10}),
    "EMNIST": _Known(
        (1, 28, 28),
        {"byclass": 62, "bymerge": 47, "balanced": 47, "letters": 26, "digits": 10, "mnist": 10},
    ),
    "CIFAR10": _Known((3, 32, 32), {None: 10}),
    "CIFAR100": _Known((3, 32, 32), {None: 100}),
}
"""torchvision's sets that can be had, by the names of its classes."""


def describe_torchvision(name: str, variant: str | None) -> tuple[ImageShape, int]:
    """Shape of the images and number of classes, without loading anything.

    Raises:
        ImageSetError: There is no such set.
    """
    if name not in KNOWN:
        raise ImageSetError(f"name: no set of images {name!r}; allowed: {', '.join(KNOWN)}")
    known = KNOWN[name]
    if variant not in known.num_classes:
        allowed = ", ".join(str(v) for v in known.num_classes if v) or "none, leave it out"
        raise ImageSetError(f"variant: {name} has no variant {variant!r}; allowed: {allowed}")
    return known.shape, known.num_classes[variant]


def load_torchvision(name: str, folder: Path, variant: str | None = None) -> ImageSet:
    """One of torchvision's sets, downloaded into the folder where it is not there.

    Args:
        name: A key of `KNOWN`.
        folder: Where torchvision keeps its sets.
        variant: Of EMNIST: balanced, letters and so on.

    Raises:
        ImageSetError: There is no such set, or it is not to be had.
    """
    describe_torchvision(name, variant)
    import torchvision

    make = partial(getattr(torchvision.datasets, name), folder)
    if variant is not None:
        make = partial(make, split=variant)
    try:
        parts = {part: make(train=part == "train", download=True) for part in ("train", "test")}
    except (RuntimeError, OSError, ValueError) as error:
        raise ImageSetError(
            f"{name} is not in {folder} and cannot be downloaded: {' '.join(str(error).split())}\n"
            f"  What to do: put its files there as torchvision keeps them (on a machine with "
            f"network, torchvision.datasets.{name}(folder, download=True) fetches them)"
        ) from None
    class_names = list(parts["train"].classes)
    # EMNIST's letters count from 1, with a class of nothing before them.
    first = int(class_names[0] == "N/A")
    arrays = {}
    for part, content in parts.items():
        images = np.asarray(content.data)
        # EMNIST's images lie on their sides.
        arrays[f"{part}_images"] = images.transpose(0, 2, 1) if name == "EMNIST" else images
        arrays[f"{part}_labels"] = np.asarray(content.targets) - first
    label = f"{name} ({variant})" if variant else name
    return ImageSet(label, tuple(class_names[first:]), arrays)


def classes_in(folder: Path) -> list[str]:
    """The names of a folder's subfolders, sorted: each is a class.

    Raises:
        ImageSetError: There are fewer than two.
    """
    names = sorted(
        path.name for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")
    )
    if len(names) < 2:
        raise ImageSetError(
            f"{folder} has {len(names)} subfolders: a set of images needs a folder for each of two or "
            "more classes, named after it"
        )
    return names


def load_folder(
    folder: Path,
    size: Sequence[int],
    mode: Literal["grey", "colour"],
    *,
    dark_on_light: bool,
    test_share: float,
) -> ImageSet:
    """Images of one's own: a subfolder per class, files of any format that Pillow reads.

    Args:
        folder: Of the subfolders.
        size: Height and width that each image is fitted into, pixels.
        mode: Whether colours count.
        dark_on_light: Whether dark things are on a light ground: then they are inverted, so that the
            ground is 0, as the padding around an image.
        test_share: Part of each class's images, drawn with a fixed seed, that test.

    Raises:
        ImageSetError: There are fewer than two classes, a class has too few images, or a file is no
            image.
    """
    from sklearn.model_selection import train_test_split

    from cnn_ablation.data.image_files import prepare, read_folder

    shape = shape_of(size, mode)
    names = classes_in(folder)
    images: list[np.ndarray] = []
    labels: list[int] = []
    unreadable = []
    for label, name in enumerate(names):
        files = read_folder(folder / name)
        unreadable += [f"{name}/{file}: {why}" for file, why in files.items() if isinstance(why, str)]
        pictures = [image for image in files.values() if not isinstance(image, str)]
        images += [prepare(image, shape, dark_on_light=dark_on_light) for image in pictures]
        labels += [label] * len(pictures)
    if unreadable:
        raise ImageSetError("\n  ".join([f"{folder} holds files that are no images:", *unreadable]))
    counts = np.bincount(labels, minlength=len(names))
    few = [f"{name} {count}" for name, count in zip(names, counts, strict=True) if count < 2]
    if few or not len(names) <= test_share * len(labels) <= len(labels) - len(names):
        raise ImageSetError(
            f"{folder} has too few images to train on {1 - test_share:.0%} and test on {test_share:.0%} "
            f"of each class: {', '.join(few) or f'{len(labels)} in {len(names)} classes'}"
        )
    pixels = np.stack(images).transpose(0, 2, 3, 1)
    split: list[Any] = train_test_split(
        pixels, np.array(labels), test_size=test_share, stratify=labels, random_state=0
    )
    keys = ("train_images", "test_images", "train_labels", "test_labels")
    return ImageSet(folder.name, tuple(names), dict(zip(keys, split, strict=True)))


def shape_of(size: Sequence[int], mode: str) -> ImageShape:
    """Shape of images of this size and mode.

    Raises:
        ImageSetError: That is no size, or no mode.
    """
    if len(size) != 2 or any(not isinstance(side, int) or side < 1 for side in size):
        raise ImageSetError(f"size: {list(size)} is no size; wanted: [height, width], pixels")
    channels = {"grey": 1, "colour": 3}
    if mode not in channels:
        raise ImageSetError(f"mode: no mode {mode!r}; allowed: {', '.join(channels)}")
    height, width = size
    return channels[mode], height, width
