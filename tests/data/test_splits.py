"""Splits of both protocols, subsets and statistics."""

import numpy as np
import pytest

from cnn_ablation.data import fashion_mnist
from cnn_ablation.data.splits import Arrays, split_images, summarize_splits
from cnn_ablation.errors import ImageSetError, ParameterError
from cnn_ablation.study.parameters import DataParameters
from tests.conftest import ALL_IMAGES


def parameters(
    protocol: str,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    seed: int = 0,
) -> DataParameters:
    return DataParameters.model_validate(
        {
            "protocol": protocol,
            "train_images": train,
            "validation_images": validation,
            "test_images": test,
            "split_seed": seed,
        }
    )


def rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def test_journal_validates_on_the_test_images(raw_images: Arrays) -> None:
    splits = split_images(raw_images, ALL_IMAGES)
    assert splits["train_images"].shape == (400, 1, 28, 28)
    assert (splits["train_images"][:, 0] == raw_images["train_images"]).all()
    assert (splits["validation_images"] == splits["test_images"]).all()
    assert (splits["validation_labels"] == raw_images["test_labels"]).all()
    assert splits["train_labels"].dtype == np.int64


def test_holdout_takes_validation_images_from_the_training_images(raw_images: Arrays) -> None:
    splits = split_images(raw_images, parameters("holdout", validation=100))
    assert np.bincount(splits["train_labels"]).tolist() == [30] * 10
    assert np.bincount(splits["validation_labels"]).tolist() == [10] * 10
    train, validation = rows(splits["train_images"]), rows(splits["validation_images"])
    assert not train & validation
    assert train | validation == rows(raw_images["train_images"][:, None])
    assert not validation & rows(splits["test_images"])


def test_subsets_are_stratified_and_depend_on_the_seed(raw_images: Arrays) -> None:
    first = split_images(raw_images, parameters("journal", train=100, validation=50))
    again = split_images(raw_images, parameters("journal", train=100, validation=50))
    other = split_images(raw_images, parameters("journal", train=100, validation=50, seed=1))
    assert np.bincount(first["train_labels"]).tolist() == [10] * 10
    assert np.bincount(first["validation_labels"]).tolist() == [5] * 10
    assert (first["train_images"] == again["train_images"]).all()
    assert not (first["train_images"] == other["train_images"]).all()


def test_equally_large_test_and_validation_subsets_are_the_same_images(raw_images: Arrays) -> None:
    splits = split_images(raw_images, parameters("journal", validation=50, test=50))
    assert (splits["test_images"] == splits["validation_images"]).all()
    assert len(split_images(raw_images, parameters("journal", validation=50))["test_labels"]) == 200
    holdout = split_images(raw_images, parameters("holdout", validation=50, test=50))
    assert np.bincount(holdout["test_labels"]).tolist() == [5] * 10
    assert rows(holdout["test_images"]) <= rows(raw_images["test_images"][:, None])


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (parameters("journal", train=401), "data.train_images"),
        (parameters("journal", validation=201), "data.validation_images"),
        (parameters("journal", test=201), "data.test_images"),
        (parameters("holdout", validation=400), "data.validation_images"),
        (parameters("holdout", train=301, validation=100), "data.train_images"),
        (parameters("journal", train=9), "data.train_images"),
        (parameters("holdout"), "data.validation_images"),
    ],
)
def test_a_split_that_is_too_large_is_an_error_with_its_key(
    raw_images: Arrays, asked: DataParameters, key: str
) -> None:
    with pytest.raises(ParameterError) as failure:
        split_images(raw_images, asked)
    assert failure.value.key == key


def test_statistics_are_computed_from_the_training_images_only(raw_images: Arrays) -> None:
    splits = split_images(raw_images, ALL_IMAGES)
    summary = summarize_splits(splits, list(fashion_mnist.CLASS_NAMES))
    pixels = splits["train_images"] / 255
    assert summary["mean"] == pytest.approx([pixels.mean()])
    assert summary["std"] == pytest.approx([pixels.std()])
    assert summary["images"] == {"train": 400, "validation": 200, "test": 200}
    assert summary["images_per_class"]["train"]["Ankle boot"] == 40
    assert summary["image_shape"] == [1, 28, 28]


def test_the_fingerprint_depends_on_the_images(raw_images: Arrays) -> None:
    def fingerprint(asked: DataParameters) -> str:
        summary = summarize_splits(split_images(raw_images, asked), list(fashion_mnist.CLASS_NAMES))
        return str(summary["fingerprint"])

    assert fingerprint(ALL_IMAGES) == fingerprint(parameters("journal"))
    assert fingerprint(ALL_IMAGES) != fingerprint(parameters("journal", train=390))
    assert fingerprint(ALL_IMAGES) != fingerprint(parameters("journal", validation=190))


@pytest.mark.parametrize(
    ("channels", "reason"),
    [
        ([7], "channel 1 of 1 is 7"),
        ([None, 0, None], "channel 2 of 3 is 0"),
        ([255, None, 3], "channel 1 of 3 is 255, channel 3 of 3 is 3"),
    ],
)
def test_images_without_variation_are_an_error(channels: list[int | None], reason: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, len(channels)), dtype=np.uint8)
    for number, value in enumerate(channels):
        if value is not None:
            images[..., number] = value
    labels = np.arange(20) % 2
    raw: Arrays = {f"{part}_images": images for part in ("train", "test")}
    raw |= {f"{part}_labels": labels for part in ("train", "test")}
    with pytest.raises(ImageSetError, match=f"Every pixel of the 20 training images .*: {reason}"):
        summarize_splits(split_images(raw, ALL_IMAGES), ["a", "b"])


def test_constant_images_that_differ_can_be_trained_on() -> None:
    images = np.repeat(np.arange(20, dtype=np.uint8), 64).reshape(20, 8, 8)
    raw: Arrays = {"train_images": images, "test_images": images}
    raw |= {f"{part}_labels": np.arange(20) % 2 for part in ("train", "test")}
    assert summarize_splits(split_images(raw, ALL_IMAGES), ["a", "b"])["std"][0] > 0


def test_classes_cannot_be_called_like_a_column_of_results(raw_images: Arrays) -> None:
    names = ["seed", *fashion_mnist.CLASS_NAMES[1:]]
    with pytest.raises(ImageSetError, match="A class is called seed"):
        summarize_splits(split_images(raw_images, ALL_IMAGES), names)
