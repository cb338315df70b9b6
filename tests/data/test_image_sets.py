"""Data sets of torchvision and folders of images, on generated files."""

import hashlib
import pickle
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError
from PIL import Image

from cnn_ablation.data import image_sets
from cnn_ablation.data.image_sets import ImageSet
from cnn_ablation.data.splits import split_images, summarize_splits
from cnn_ablation.datasets import ImageSetDataset
from cnn_ablation.errors import ImageSetError
from tests.conftest import ALL_IMAGES, kedro, make_project, write_yaml

RANDOM = np.random.default_rng(0)


def write_idx(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    file.write_bytes(header + values.tobytes())


def write_idx_set(folder: Path, prefixes: tuple[str, str], labels: np.ndarray) -> np.ndarray:
    """Write a data set in MNIST's format and return its test images."""
    for prefix in prefixes:
        images = RANDOM.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels.astype(np.uint8))
    return images


def write_classes(folder: Path, names: tuple[str, ...], images: int) -> None:
    """Write white images for the first class, red ones for the second, blue ones for the third."""
    colours = ("white", "red", "blue")
    for name, colour in zip(names, colours, strict=False):
        (folder / name).mkdir(parents=True)
        for number in range(images):
            size = (30 + number, 20 + 2 * number)
            Image.new("RGB", size, colour).save(folder / name / f"{number}.png")


def assert_fits_its_description(images: ImageSet, shape: tuple[int, int, int], classes: int) -> None:
    splits = split_images(images.arrays, ALL_IMAGES)
    summary = summarize_splits(splits, list(images.class_names))
    assert tuple(summary["image_shape"]) == shape
    assert len(images.class_names) == classes
    assert splits["train_images"].dtype == np.uint8
    assert splits["train_labels"].min() >= 0
    assert splits["train_labels"].max() < classes


@pytest.mark.parametrize("name", ["MNIST", "KMNIST"])
def test_grey_sets_of_torchvision(tmp_path: Path, name: str) -> None:
    test_images = write_idx_set(tmp_path / name / "raw", ("train", "t10k"), np.arange(40) % 10)
    images = image_sets.load_torchvision(name, tmp_path)
    assert images.name == name
    assert (images.arrays["test_images"] == test_images).all()
    assert_fits_its_description(images, *image_sets.describe_torchvision(name, None))


def test_letters_stand_upright_and_count_from_zero(tmp_path: Path) -> None:
    prefixes = ("emnist-letters-train", "emnist-letters-test")
    test_images = write_idx_set(tmp_path / "EMNIST/raw", prefixes, np.arange(52) % 26 + 1)
    images = image_sets.load_torchvision("EMNIST", tmp_path, "letters")
    assert images.class_names[0] == "a"
    assert images.arrays["test_labels"][:3].tolist() == [0, 1, 2]
    assert (images.arrays["test_images"] == test_images.transpose(0, 2, 1)).all()
    assert_fits_its_description(images, *image_sets.describe_torchvision("EMNIST", "letters"))


@pytest.mark.parametrize(("name", "classes"), [("CIFAR10", 10), ("CIFAR100", 100)])
def test_colour_sets_of_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, classes: int
) -> None:
    from torchvision import datasets

    kind = getattr(datasets, name)
    folder = tmp_path / kind.base_folder
    folder.mkdir()

    def write(file: str, content: dict[str, object]) -> str:
        (folder / file).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / file).read_bytes()).hexdigest()

    pixels = RANDOM.integers(0, 256, (2 * classes, 3 * 32 * 32), dtype=np.uint8)
    labels = "labels" if name == "CIFAR10" else "fine_labels"
    batch = {"data": pixels, labels: [*range(classes)] * 2}
    # torchvision rejects files with other checksums.
    monkeypatch.setattr(kind, "train_list", [["train", write("train", batch)]])
    monkeypatch.setattr(kind, "test_list", [["test", write("test", batch)]])
    names: dict[str, object] = {kind.meta["key"]: [f"class {number}" for number in range(classes)]}
    monkeypatch.setitem(kind.meta, "md5", write(kind.meta["filename"], names))

    images = image_sets.load_torchvision(name, tmp_path)
    assert_fits_its_description(images, *image_sets.describe_torchvision(name, None))
    splits = split_images(images.arrays, ALL_IMAGES)
    assert (splits["train_images"].reshape(len(pixels), -1) == pixels).all()


def test_a_set_that_cannot_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://unreachable.invalid/"])
    with pytest.raises(ImageSetError, match=r"MNIST is not in .* and cannot be downloaded") as failure:
        image_sets.load_torchvision("MNIST", tmp_path)
    assert "What to do:" in str(failure.value)


def test_a_folder_with_a_subfolder_per_class(tmp_path: Path) -> None:
    write_classes(tmp_path, ("bright", "red", "blue"), 10)
    (tmp_path / "red/.hidden").touch()
    images = image_sets.load_folder(tmp_path, [16, 24], "colour", dark_on_light=False, test_share=0.3)
    assert images.class_names == ("blue", "bright", "red")
    assert_fits_its_description(images, (3, 16, 24), 3)
    assert np.bincount(images.arrays["train_labels"]).tolist() == [7, 7, 7]
    middle = images.arrays["test_images"][:, 8, 12]
    colours = {0: [0, 0, 255], 1: [255, 255, 255], 2: [255, 0, 0]}
    assert middle.tolist() == [colours[label] for label in images.arrays["test_labels"]]
    again = image_sets.load_folder(tmp_path, [16, 24], "colour", dark_on_light=False, test_share=0.3)
    assert (again.arrays["test_images"] == images.arrays["test_images"]).all()


def test_dark_on_light_images_are_inverted(tmp_path: Path) -> None:
    write_classes(tmp_path, ("bright", "red"), 6)
    images = image_sets.load_folder(tmp_path, [8, 8], "grey", dark_on_light=True, test_share=0.5)
    assert images.arrays["train_images"].shape == (6, 8, 8, 1)
    bright = images.arrays["train_images"][images.arrays["train_labels"] == 0]
    assert (bright == 0).all()


def load_own(folder: Path) -> ImageSet:
    return image_sets.load_folder(folder, [8, 8], "grey", dark_on_light=False, test_share=0.2)


def test_too_few_classes_or_images_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageSetError, match="has 0 subfolders"):
        load_own(tmp_path)
    write_classes(tmp_path, ("one", "other"), 1)
    with pytest.raises(ImageSetError, match=r"too few images .*: one 1, other 1"):
        load_own(tmp_path)


def test_a_file_that_is_not_an_image_is_an_error(tmp_path: Path) -> None:
    write_classes(tmp_path, ("one", "other"), 9)
    (tmp_path / "one/notes.txt").write_text("no image")
    with pytest.raises(ImageSetError, match=r"one/notes\.txt: not an image"):
        load_own(tmp_path)


def own_images(path: str, **fields: object) -> dict[str, dict[str, object]]:
    return {
        "images": {
            "type": "cnn_ablation.datasets.ClassFoldersDataset",
            "path": path,
            "size": [16, 16],
            "mode": "colour",
            **fields,
        }
    }


def torchvision_images(name: str) -> dict[str, dict[str, object]]:
    return {
        "images": {
            "type": "cnn_ablation.datasets.TorchvisionDataset",
            "name": name,
            "path": "data/01_raw",
        }
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            own_images("nowhere", size=[16]),
            r"size: \[16\] is invalid; expected \[height, width\], pixels",
        ),
        (own_images("nowhere", mode="sepia"), "mode: unknown mode 'sepia'; allowed: grey, colour"),
        (torchvision_images("EMNIST"), "variant: EMNIST has no variant None; allowed: byclass,"),
        (
            {"images": {"type": "cnn_ablation.datasets.ClassFoldersDataset", "path": "nowhere"}},
            "missing 1 required positional argument: 'size'",
        ),
    ],
)
def test_invalid_fields_of_an_entry(entry: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises((DatasetError, ImageSetError), match=message):
        cast(ImageSetDataset, DataCatalog.from_config(entry)["images"]).describe_images()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (own_images("nowhere"), "nowhere has 0 subfolders"),
        (
            torchvision_images("SVHN"),
            "name: unknown data set 'SVHN'; allowed: MNIST, KMNIST, EMNIST, CIFAR10, CIFAR100",
        ),
        (
            {"images": {"type": "pandas.CSVDataset", "filepath": "data.csv"}},
            "type: no set of labelled images; allowed: cnn_ablation.datasets.FashionMNISTDataset",
        ),
    ],
)
def test_an_invalid_set_is_reported_before_the_run_starts(
    project: Path, entry: dict[str, dict[str, object]], message: str
) -> None:
    write_yaml(project / "conf/local/catalog.yml", entry)
    result = kedro(project, "run", "--pipeline=batchnorm")
    assert result.returncode == 1
    assert "conf/local/catalog.yml: images: " in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_experiment_on_a_folder_of_images(tmp_path: Path) -> None:
    """Channels, size and classes of the networks follow from the images."""
    project = make_project(tmp_path)
    write_classes(project / "data/01_raw/mine", ("bright", "red", "blue"), 15)
    write_yaml(project / "conf/local/catalog.yml", own_images("data/01_raw/mine", test_share=0.4))
    write_yaml(
        project / "conf/local/parameters.yml",
        {
            "data": {"train_images": None, "validation_images": None},
            "seeds": [0, 1],
            "baseline": {"training": {"epochs": 5, "batch_size": 9}},
            "evaluation": {"moments": 3},
        },
    )
    result = kedro(project, "run", "--pipeline=batchnorm")
    assert result.returncode == 0, result.stderr
    reports = project / "data/08_reporting"
    networks = pd.read_csv(reports / "batchnorm/networks.csv").set_index(["condition", "layer"])
    assert networks.loc[("batchnorm_True", "output"), "output_shape"] == "3"
    assert networks.loc[("batchnorm_True", "conv.0.conv"), "output_shape"] == "32x16x16"
    metrics = pd.read_csv(reports / "batchnorm/trial_metrics.csv")
    assert metrics["best_val_accuracy"].max() > 60, "three colours are easy to distinguish"
    # There are no published numbers for these images.
    assert len(pd.read_csv(reports / "batchnorm/reproduction.csv")) == 0
