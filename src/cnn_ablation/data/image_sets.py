"""Sets of labelled images, from torchvision or from a folder per class."""

import os
import pickle
import socket
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.data.fashion_mnist import TIMEOUT
from cnn_ablation.data.splits import Arrays
from cnn_ablation.errors import ImageFileError, ImageSetError, listed


@dataclass(frozen=True)
class ImageSet:
    """Labelled images for training and testing.

    Args:
        name: Name of the set.
        class_names: Name per label.
        arrays: `train_images` and `test_images`, uint8 (N, height, width) for grey images or (N, height,
            width, channels), and `train_labels` and `test_labels`, int (N,), indices of `class_names`.
    """

    name: str
    class_names: tuple[str, ...]
    arrays: Arrays


class _Known(NamedTuple):
    shape: ImageShape
    num_classes: dict[str | None, int]
    """Number of classes by variant; the only key is None if the set has no variants."""


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
"""Supported data sets of torchvision, by the name of their class there."""


def describe_torchvision(name: str, variant: str | None) -> tuple[ImageShape, int]:
    """Shape of the images and number of classes. Nothing is loaded.

    Args:
        name: A key of `KNOWN`.
        variant: Variant of EMNIST, such as balanced or letters; None for other sets.

    Raises:
        ImageSetError: The name or the variant is unknown.
    """
    # The catalog can have values of any type, such as lists, which cannot be looked up in a dictionary.
    if name not in list(KNOWN):
        raise ImageSetError(f"name: unknown data set {name!r}; allowed: {', '.join(KNOWN)}")
    known = KNOWN[name]
    if variant not in list(known.num_classes):
        allowed = ", ".join(str(v) for v in known.num_classes if v) or "none, leave it out"
        raise ImageSetError(f"variant: {name} has no variant {variant!r}; allowed: {allowed}")
    return known.shape, known.num_classes[variant]


def load_torchvision(name: str, folder: Path, variant: str | None = None) -> ImageSet:
    """A data set of torchvision, downloaded into the folder if it is not there.

    Args:
        name: A key of `KNOWN`.
        folder: Folder in which torchvision keeps its data sets.
        variant: Variant of EMNIST, such as balanced or letters; None for other sets.

    Raises:
        ImageSetError: The name or the variant is unknown, the set cannot be downloaded, or its files are
            damaged.
    """
    shape, num_classes = describe_torchvision(name, variant)
    import torchvision

    kind = getattr(torchvision.datasets, name)
    make = partial(kind, folder) if variant is None else partial(kind, folder, split=variant)
    place = folder / getattr(kind, "base_folder", f"{name}/raw")
    try:
        with _socket_timeout(TIMEOUT):
            parts = {part: make(train=part == "train", download=True) for part in ("train", "test")}
    except _UNUSABLE as error:
        reason = " ".join(str(error).split()) or "wrong format"
        raise _unusable(name, folder, place, reason) from None
    class_names = list(parts["train"].classes)
    # Labels of EMNIST's letters start at 1, after an unused class N/A.
    first = int(class_names[0] == "N/A")
    arrays = {}
    for part, content in parts.items():
        images = np.asarray(content.data)
        # EMNIST's images are transposed.
        arrays[f"{part}_images"] = images.transpose(0, 2, 1) if name == "EMNIST" else images
        arrays[f"{part}_labels"] = np.asarray(content.targets) - first
    for part in parts:
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if len(images) != len(labels) or not len(images):
            reason = f"{len(images):,} images and {len(labels):,} labels in the {part} set"
            raise _unusable(name, folder, place, reason)
        if images.shape[1:] != (*shape[1:], *shape[:1])[: images.ndim - 1]:
            sides = "x".join(map(str, images.shape[1:3]))
            raise _unusable(name, folder, place, f"images of {sides} pixels in the {part} set")
        if labels.min() < 0 or labels.max() >= num_classes:
            reason = f"labels from {labels.min()} to {labels.max()} in the {part} set"
            raise _unusable(name, folder, place, reason)
    label = f"{name} ({variant})" if variant else name
    return ImageSet(label, tuple(class_names[first:]), arrays)


_UNUSABLE = (
    *(RuntimeError, OSError, ValueError, TypeError, LookupError, AssertionError, EOFError),
    *(HTTPException, pickle.UnpicklingError, tarfile.TarError, zlib.error),
)
"""Exceptions with which torchvision ends if it cannot download files or cannot read them."""


def _unusable(name: str, folder: Path, place: Path, reason: str) -> ImageSetError:
    """The error for a set that cannot be downloaded or read.

    Args:
        name: Name of the set.
        folder: Folder in which torchvision keeps its data sets.
        place: Folder of the files of the set.
        reason: What is wrong.
    """
    layout = (
        "put its files there in torchvision's layout (on a machine with network access, "
        f"torchvision.datasets.{name}(folder, download=True) downloads them)"
    )
    if place.is_dir() and any(place.iterdir()):
        return ImageSetError(
            f"{name}: the files in {place} are incomplete or damaged: {reason}\n"
            f"  What to do: remove this folder and run again to download them, or {layout}"
        )
    return ImageSetError(
        f"{name} is not in {folder} and cannot be downloaded: {reason}\n  What to do: {layout}"
    )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Let connections without a time limit of their own, such as torchvision's, fail after this time."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def classes_in(folder: Path) -> dict[str, Path]:
    """A folder's subfolders by name, sorted. Each subfolder is a class.

    Raises:
        ImageSetError: There are fewer than two subfolders, a name is not UTF-8 or cannot be printed, a
            link leads nowhere, or the folder cannot be read.
    """
    try:
        return _classes_in(folder)
    except OSError as error:
        raise ImageSetError(f"{folder} cannot be read: {error.strerror}") from None


def _classes_in(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ImageSetError(f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}")
    classes = {}
    for path in sorted(folder.iterdir()):
        # The locale's encoding, in which Python reads names, need not be UTF-8.
        name = os.fsencode(path.name).decode("utf-8", "backslashreplace")
        if name.startswith("."):
            continue
        if path.is_symlink() and not path.exists():
            raise ImageSetError(f"{folder}: {name} is a link to a folder that is not there")
        if not path.is_dir():
            continue
        if os.fsencode(path.name) != name.encode("utf-8"):
            raise ImageSetError(f"{folder}: the class folder {name} needs a name in UTF-8")
        if not name.isprintable():
            raise ImageSetError(f"{folder}: the class folder {name!r} needs a name that can be printed")
        classes[name] = path
    if len(classes) < 2:
        found = "1 subfolder" if classes else "no subfolders"
        raise ImageSetError(
            f"{folder} has {found}: it needs one per class, named after the class, for at least two "
            "classes"
        )
    return classes


def load_folder(
    folder: Path,
    size: Sequence[int],
    mode: Literal["grey", "colour"],
    *,
    dark_on_light: bool,
    test_share: float,
) -> ImageSet:
    """A set of images from a subfolder per class, with the files that `image_files.read` accepts.

    Each image is resized as soon as it is read, so that one original is in memory at a time.

    Args:
        folder: Folder with the subfolders.
        size: Height and width to which each image is resized, pixels.
        mode: Whether to convert the images to grey or to colour.
        dark_on_light: Whether the images show dark objects on a light background. They are then
            inverted, so that the background is 0 like the padding of convolutions.
        test_share: Share of each class's images that is used for testing, drawn with a fixed seed.

    Raises:
        ImageSetError: There are fewer than two classes, a class has too few images, or a file cannot be
            read as an image.
    """
    from sklearn.model_selection import train_test_split

    from cnn_ablation.data.image_files import files_in, prepare

    shape = shape_of(size, mode)
    classes = classes_in(folder)
    names = list(classes)
    images: list[np.ndarray] = []
    labels: list[int] = []
    unreadable = {}
    for label, (name, path) in enumerate(classes.items()):
        for file in files_in(path):
            try:
                images.append(prepare(file.read(), shape, dark_on_light=dark_on_light))
                labels.append(label)
            except ImageFileError as error:
                unreadable[f"{name}/{file.name}"] = str(error)
    if unreadable:
        raise ImageSetError(f"{folder} contains files that cannot be used:{listed(unreadable)}")
    counts = np.bincount(labels, minlength=len(names))
    few = [f"{name} {count}" for name, count in zip(names, counts, strict=True) if count < 2]
    if few or not len(names) <= test_share * len(labels) <= len(labels) - len(names):
        found = ", ".join(few) or f"{len(labels)} in {len(names)} classes"
        raise ImageSetError(
            f"{folder} has too few images to train on {1 - test_share:.0%} and test on {test_share:.0%} "
            f"of each class (test_share: {test_share}): {found}"
        )
    pixels = np.stack(images).transpose(0, 2, 3, 1)
    split: list[Any] = train_test_split(
        pixels, np.array(labels), test_size=test_share, stratify=labels, random_state=0
    )
    keys = ("train_images", "test_images", "train_labels", "test_labels")
    return ImageSet(folder.name, tuple(names), dict(zip(keys, split, strict=True)))


def shape_of(size: Sequence[int], mode: Literal["grey", "colour"]) -> ImageShape:
    """Shape of images with this height and width, pixels, and this mode."""
    height, width = size
    return (1 if mode == "grey" else 3), height, width
