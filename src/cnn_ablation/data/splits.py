"""Splitting a data set into training, validation and test images."""

import hashlib
from typing import Any

import numpy as np

from cnn_ablation.errors import ImageSetError, ParameterError
from cnn_ablation.study.parameters import DataParameters

HOLDOUT_VALIDATION_IMAGES = 10_000
"""Default number of validation images with the protocol `holdout`."""

COLUMNS = ("condition", "seed", "true_class")
"""Columns of the tables that also have a column per class."""

Arrays = dict[str, np.ndarray]
"""`<split>_images`, uint8 (N, channels, height, width), and `<split>_labels`, int64 (N,)."""


def split_images(raw: Arrays, parameters: DataParameters) -> Arrays:
    """The splits `train`, `validation` and `test`.

    With the protocol `journal`, the validation images are the test images. With `holdout`, they are part
    of the training images. Subsets are stratified by class.

    Args:
        raw: Images and labels, see `image_sets.ImageSet`.
        parameters: Protocol, sizes and seed of the splits.

    Raises:
        ParameterError: A split asks for more images than there are.
    """
    train = raw["train_images"], raw["train_labels"].astype(np.int64)
    test = raw["test_images"], raw["test_labels"].astype(np.int64)
    if parameters.protocol == "journal":
        pool, validation = train, test
        validation = _subset(
            validation, parameters.validation_images, parameters.split_seed, "validation", "test"
        )
    else:
        wanted = parameters.validation_images or HOLDOUT_VALIDATION_IMAGES
        pool, validation = _hold_out(train, wanted, parameters.split_seed)
    train = _subset(pool, parameters.train_images, parameters.split_seed, "train", "training")
    test = _subset(test, parameters.test_images, parameters.split_seed, "test", "test")
    return {
        f"{name}_{part}": _channels_first(values) if part == "images" else values
        for name, split in {"train": train, "validation": validation, "test": test}.items()
        for part, values in zip(("images", "labels"), split, strict=True)
    }


def summarize_splits(splits: Arrays, class_names: list[str]) -> dict[str, Any]:
    """A description of the splits.

    Returns:
        image_shape; class_names; mean and std of the training images' pixels, scaled to 0 to 1, per
        channel; fingerprint, a hash of the training and validation images and labels; images, the number
        of images per split; images_per_class, the same per class.

    Raises:
        ImageSetError: The training images cannot be normalized, or a class has the name of a column of
            the tables of results.
    """
    pixels = splits["train_images"]
    _check_variation(pixels)
    taken = [name for name in class_names if name in COLUMNS]
    if taken:
        raise ImageSetError(
            f"A class is called {taken[0]}, which is a column of the tables of results: "
            f"rename the class; not allowed: {', '.join(COLUMNS)}"
        )
    digest = hashlib.sha256()
    for name in ("train_images", "train_labels", "validation_images", "validation_labels"):
        digest.update(repr((name, splits[name].shape)).encode())
        digest.update(splits[name].tobytes())
    return {
        "image_shape": list(pixels.shape[1:]),
        "class_names": class_names,
        "mean": (pixels.mean(axis=(0, 2, 3), dtype=np.float64) / 255).tolist(),
        "std": (pixels.std(axis=(0, 2, 3), dtype=np.float64) / 255).tolist(),
        "fingerprint": digest.hexdigest(),
        "images": {name: len(splits[f"{name}_labels"]) for name in ("train", "validation", "test")},
        "images_per_class": {
            name: dict(
                zip(
                    class_names,
                    np.bincount(splits[f"{name}_labels"], minlength=len(class_names)).tolist(),
                    strict=True,
                )
            )
            for name in ("train", "validation", "test")
        },
    }


Split = tuple[np.ndarray, np.ndarray]


def _check_variation(pixels: np.ndarray) -> None:
    """Reject images, (N, channels, height, width), with a channel in which all pixels are equal."""
    low, high = pixels.min(axis=(0, 2, 3)), pixels.max(axis=(0, 2, 3))
    constant = [
        f"channel {number} of {len(low)} is {value}"
        for number, (value, other) in enumerate(zip(low, high, strict=True), start=1)
        if value == other
    ]
    if constant:
        raise ImageSetError(
            f"Every pixel of the {len(pixels):,} training images is the same: {', '.join(constant)}. "
            "They cannot be normalized, and nothing can be learned from such a channel: check the "
            "images of the catalog entry `images`"
        )


def _channels_first(images: np.ndarray) -> np.ndarray:
    moved = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(moved)


def _subset(split: Split, wanted: int | None, seed: int, key: str, source: str) -> Split:
    images, labels = split
    if wanted is None or wanted == len(labels):
        return split
    if wanted > len(labels):
        raise ParameterError(
            f"data.{key}_images",
            f"{wanted:,} is more than the {len(labels):,} {source} images available",
        )
    chosen = _stratified(labels, wanted, seed, key)[0]
    return images[chosen], labels[chosen]


def _hold_out(split: Split, wanted: int, seed: int) -> tuple[Split, Split]:
    images, labels = split
    if wanted >= len(labels):
        raise ParameterError(
            "data.validation_images",
            f"{wanted:,} leaves no images to train on: there are only {len(labels):,} training images",
        )
    held_out, kept = _stratified(labels, wanted, seed, "validation")
    return (images[kept], labels[kept]), (images[held_out], labels[held_out])


def _stratified(labels: np.ndarray, wanted: int, seed: int, key: str) -> tuple[np.ndarray, ...]:
    """Sorted indices of `wanted` images, stratified by class, and of the rest."""
    # scikit-learn takes a second to import, and the pipeline registry imports this module.
    from sklearn.model_selection import train_test_split

    classes = len(np.unique(labels))
    if min(wanted, len(labels) - wanted) < classes:
        raise ParameterError(
            f"data.{key}_images",
            f"{wanted:,} of {len(labels):,} images is not possible, because both parts must contain all "
            f"{classes} classes; allowed: {classes} to {len(labels) - classes:,}",
        )
    parts = train_test_split(
        np.arange(len(labels)), train_size=wanted, stratify=labels, random_state=seed
    )
    return tuple(np.sort(part) for part in parts)
