"""Data sets of torchvision and folders of images, on generated files."""

import gzip
import hashlib
import pickle
import socket
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from PIL import Image

from cnn_ablation import settings
from cnn_ablation.adapters.checks import create_datasets
from cnn_ablation.data import image_sets
from cnn_ablation.data.image_sets import ImageSet
from cnn_ablation.data.splits import split_images, summarize_splits
from cnn_ablation.datasets import ImageSetDataset
from cnn_ablation.errors import ImageSetError, InputError
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from tests.adapters.test_checks import configuration_of
from tests.conftest import ALL_IMAGES, ELSEWHERE, ROOT, SHA256, STUDY, kedro, make_project, write_yaml

RANDOM = np.random.default_rng(0)


def idx(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return header + values.astype(np.uint8).tobytes()


def write_idx(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(idx(values))


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


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which a server on loopback offers its files."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Does not log requests."""

    def log_message(self, *arguments: object) -> None:
        """Do nothing."""


def make_cifar(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    address: str = "http://unreachable.invalid/",
) -> dict[str, np.ndarray]:
    """Make a small CIFAR set as it is published, and let torchvision download it from an address.

    The archive contains pickled batches of protocol 2 in a folder, with a row of 3 x 1024 bytes per
    image.

    Returns:
        Pixels of the training and test images, (N, 3072).
    """
    from torchvision import datasets

    kind = getattr(datasets, name)
    classes = {"CIFAR10": 10, "CIFAR100": 100}[name]
    labels = "labels" if name == "CIFAR10" else "fine_labels"
    batches = folder / kind.base_folder
    batches.mkdir(parents=True)

    def write(file: str, content: dict[str, object]) -> str:
        (batches / file).write_bytes(pickle.dumps(content, protocol=2))
        return hashlib.md5((batches / file).read_bytes()).hexdigest()

    pixels: dict[str, list[np.ndarray]] = {}
    for part in ("train", "test"):
        checked = []
        for file, _ in getattr(kind, f"{part}_list"):
            data = RANDOM.integers(0, 256, (2 * classes, 3 * 32 * 32), dtype=np.uint8)
            batch = {"batch_label": file, labels: [*range(classes)] * 2, "data": data}
            checked.append([file, write(file, batch)])
            pixels.setdefault(part, []).append(data)
        monkeypatch.setattr(kind, f"{part}_list", checked)
    names: dict[str, object] = {kind.meta["key"]: [f"class {number}" for number in range(classes)]}
    monkeypatch.setitem(kind.meta, "md5", write(kind.meta["filename"], names))
    archive = folder / kind.filename
    with tarfile.open(archive, "w:gz") as content:
        content.add(batches, kind.base_folder)
    monkeypatch.setattr(kind, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(kind, "url", address + kind.filename)
    return {part: np.concatenate(arrays) for part, arrays in pixels.items()}


@pytest.mark.parametrize(("name", "classes"), [("CIFAR10", 10), ("CIFAR100", 100)])
def test_colour_sets_of_torchvision(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mirror: tuple[Path, str],
    name: str,
    classes: int,
) -> None:
    from torchvision import datasets

    folder, address = mirror
    pixels = make_cifar(folder, monkeypatch, name, address)
    downloaded = image_sets.load_torchvision(name, tmp_path / "here")
    monkeypatch.setattr(getattr(datasets, name), "url", "http://unreachable.invalid/")
    images = image_sets.load_torchvision(name, tmp_path / "here")
    for each in (downloaded, images):
        assert_fits_its_description(each, *image_sets.describe_torchvision(name, None))
        splits = split_images(each.arrays, ALL_IMAGES)
        assert (splits["train_images"].reshape(len(pixels["train"]), -1) == pixels["train"]).all()
        assert (splits["test_images"].reshape(len(pixels["test"]), -1) == pixels["test"]).all()
    assert len(images.class_names) == classes


def test_a_damaged_colour_set_names_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cifar(tmp_path, monkeypatch, "CIFAR10")
    (tmp_path / "cifar-10-python.tar.gz").unlink()
    (tmp_path / "cifar-10-batches-py/data_batch_3").write_bytes(b"damaged")
    with pytest.raises(ImageSetError) as failure:
        image_sets.load_torchvision("CIFAR10", tmp_path)
    message, advice = str(failure.value).splitlines()
    assert f"CIFAR10: the files in {tmp_path}/cifar-10-batches-py are incomplete or damaged" in message
    assert "remove this folder and run again" in advice


def test_an_archive_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    archive = tmp_path / "cifar-100-python.tar.gz"
    archive.write_bytes(b"<html>Not found</html>")
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    with pytest.raises(ImageSetError, match=r"CIFAR100 is not in .* and cannot be downloaded: "):
        image_sets.load_torchvision("CIFAR100", tmp_path)


def test_digits_are_downloaded_in_the_format_of_their_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[Path, str]
) -> None:
    from torchvision import datasets

    folder, address = mirror
    test_images = write_idx_set(folder, ("train", "t10k"), np.arange(30) % 10)
    resources = []
    for file, _ in datasets.MNIST.resources:
        packed = gzip.compress((folder / Path(file).stem).read_bytes())
        (folder / file).write_bytes(packed)
        resources.append((file, hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
    images = image_sets.load_torchvision("MNIST", tmp_path / "here")
    assert (images.arrays["test_images"] == test_images).all()
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("train-images-idx3-ubyte", None, "invalid for input of size"),
        ("train-images-idx3-ubyte", b"<html>", "wrong format"),
        ("t10k-labels-idx1-ubyte", idx(np.arange(10)), "30 images and 10 labels in the test set"),
        ("t10k-labels-idx1-ubyte", idx(np.full(30, 10)), "labels from 10 to 10 in the test set"),
        ("train-images-idx3-ubyte", idx(np.zeros((30, 8, 8))), "images of 8x8 pixels in the train set"),
    ],
)
def test_damaged_digits_are_an_error(
    tmp_path: Path, file: str, content: bytes | None, reason: str
) -> None:
    raw = tmp_path / "MNIST/raw"
    write_idx_set(raw, ("train", "t10k"), np.arange(30) % 10)
    damaged = raw / file
    damaged.write_bytes(damaged.read_bytes()[:-100] if content is None else content)
    with pytest.raises(ImageSetError) as failure:
        image_sets.load_torchvision("MNIST", tmp_path)
    message, _ = str(failure.value).splitlines()
    assert f"MNIST: the files in {raw} are incomplete or damaged: " in message
    assert reason in message


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("cifar10", (3, 32, 32), 10), ("cifar100", (3, 32, 32), 100), ("mnist", (1, 28, 28), 10)],
)
def test_an_environment_of_another_set_fits_all_experiments(
    name: str, shape: tuple[int, int, int], classes: int
) -> None:
    """Their networks can be built for its images, and results have folders of their own."""
    loader = OmegaConfigLoader(str(ROOT / "conf"), env=name, **settings.CONFIG_LOADER_ARGS)
    entry = {"images": loader["catalog"]["images"]}
    images = cast(ImageSetDataset, DataCatalog.from_config(entry)["images"])
    assert images.describe_images() == (shape, classes)
    assert loader["globals"]["registered_model"] == f"{name}-cnn"
    for layer in ("outputs", "model_input", "reports"):
        assert loader["globals"][layer].startswith(f"data/{name}/0")
    assert loader["globals"]["models"] == "data/06_models"
    baseline = Configuration.model_validate(loader["parameters"]["baseline"])
    for experiment in (*STUDY, *ELSEWHERE):
        parameters = ExperimentParameters.model_validate(loader["parameters"][experiment])
        for condition in parameters.conditions_of(baseline):
            with torch.device("meta"):
                condition.model.build(shape, classes)
            for augmentation in condition.training.augmentation:
                augmentation.check(shape)


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
    with pytest.raises(ImageSetError, match="has no subfolders"):
        load_own(tmp_path)
    (tmp_path / "file").touch()
    for name, fault in {"file": "is not a folder", "nowhere": "does not exist"}.items():
        with pytest.raises(ImageSetError, match=f"{name} {fault}$"):
            load_own(tmp_path / name)
    write_classes(tmp_path, ("one", "other"), 1)
    with pytest.raises(ImageSetError, match=r"too few images .*: one 1, other 1"):
        load_own(tmp_path)
    for number in range(2, 9):
        for name in ("one", "other"):
            Image.new("L", (9, 9)).save(tmp_path / name / f"{number}.png")
    with pytest.raises(ImageSetError, match=r"of each class \(test_share: 0\.01\): 16 in 2 classes"):
        image_sets.load_folder(tmp_path, [8, 8], "grey", dark_on_light=False, test_share=0.01)


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


def torchvision_images(name: object, **fields: object) -> dict[str, dict[str, object]]:
    return {
        "images": {
            "type": "cnn_ablation.datasets.TorchvisionDataset",
            "name": name,
            "path": "data/01_raw",
            **fields,
        }
    }


def fashion_mnist_images(**fields: object) -> dict[str, dict[str, object]]:
    return {"images": {"type": "cnn_ablation.datasets.FashionMNISTDataset", "path": "nowhere", **fields}}


SIZES = r"allowed: \[height, width\] in pixels, two whole numbers from 1 to 1,024"
CHECKSUMS = "allowed: 64 hexadecimal digits in lower case for each of train_images, train_labels"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (own_images("nowhere", size=[16]), rf"size: \[16\] is invalid; {SIZES}"),
        (own_images("nowhere", size=28), rf"size: 28 is invalid; {SIZES}"),
        (own_images("nowhere", size=[True, 28]), rf"size: \[True, 28\] is invalid; {SIZES}"),
        (own_images("nowhere", size=[0, 28]), rf"size: \[0, 28\] is invalid; {SIZES}"),
        (own_images("nowhere", size=[200_000] * 2), rf"size: \[200000, 200000\] is invalid; {SIZES}"),
        (own_images("nowhere", mode="sepia"), "mode: 'sepia' is invalid; allowed: grey or colour"),
        (own_images("nowhere", mode=["grey"]), r"mode: \['grey'\] is invalid; allowed: grey or colour"),
        *(
            (
                own_images("nowhere", dark_on_light=value),
                f"dark_on_light: {value!r} is invalid; allowed: true or false",
            )
            for value in ("false", "no", None, 0)
        ),
        *(
            (
                own_images("nowhere", test_share=value),
                f"test_share: {value!r} is invalid; allowed: a number above 0 and below 1",
            )
            for value in ("0.2", 2, 1, 0, -0.5, float("nan"), True, None)
        ),
        (own_images(cast(str, 5)), "path: 5 is invalid; allowed: the path of a folder"),
        (torchvision_images("EMNIST"), "variant: EMNIST has no variant None; allowed: byclass,"),
        (
            torchvision_images("MNIST", variant=["x"]),
            r"variant: MNIST has no variant \['x'\]; allowed: ",
        ),
        (torchvision_images(["MNIST"]), r"name: unknown data set \['MNIST'\]; allowed: MNIST, "),
        (torchvision_images("MNIST", path=None), "path: None is invalid; allowed: the path of a folder"),
        (fashion_mnist_images(sha256="abc"), f"sha256: 'abc' is invalid; {CHECKSUMS}"),
        (fashion_mnist_images(sha256=["a"]), rf"sha256: \['a'\] is invalid; {CHECKSUMS}"),
        (fashion_mnist_images(sha256={}), f"sha256: {{}} is invalid; {CHECKSUMS}"),
        (
            fashion_mnist_images(sha256={**SHA256, "test_labels": "abc"}),
            rf"sha256\.test_labels: 'abc' is invalid; {CHECKSUMS}",
        ),
        (
            fashion_mnist_images(sha256={**SHA256, "labels": SHA256["test_labels"]}),
            rf"sha256: .* is invalid; {CHECKSUMS}",
        ),
        (fashion_mnist_images(path=["a"]), r"path: \['a'\] is invalid; allowed: the path of a folder"),
        (
            {"images": {"type": "cnn_ablation.datasets.ClassFoldersDataset", "path": "nowhere"}},
            ".* missing 1 required positional argument: 'size'",
        ),
        (
            {"images": {"type": "cnn_ablation.datasets.ImageFolderDataset", "path": 5}},
            "path: 5 is invalid; allowed: the path of a folder",
        ),
    ],
)
def test_an_argument_that_cannot_be_used_is_named_before_images_are_read(
    tmp_path: Path, entry: dict[str, dict[str, object]], message: str
) -> None:
    catalog = DataCatalog.from_config(entry)
    with pytest.raises(InputError, match=f"^conf/base/catalog.yml: images: {message}") as failure:
        create_datasets(configuration_of(tmp_path, entry), catalog, ["images"])
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    "entry",
    [
        own_images("mine"),
        own_images("mine", size=[1, 1024], dark_on_light=True, test_share=0.999, mode="grey"),
        torchvision_images("EMNIST", variant="letters"),
        fashion_mnist_images(sha256=SHA256),
        fashion_mnist_images(sha256=None),
    ],
)
def test_arguments_that_can_be_used(tmp_path: Path, entry: dict[str, dict[str, object]]) -> None:
    catalog = DataCatalog.from_config(entry)
    create_datasets(configuration_of(tmp_path, entry), catalog, ["images"])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (own_images("nowhere"), "nowhere does not exist"),
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
    for pipeline in ("data_ingestion", "batchnorm"):
        result = kedro(project, "run", f"--pipeline={pipeline}")
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
