"""Loading, fetching and checking Fashion-MNIST."""

import gzip
import hashlib
import http.server
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from cnn_ablation.data import fashion_mnist
from cnn_ablation.datasets import FashionMNISTDataset
from cnn_ablation.errors import DataUnavailableError, ImageSetError
from tests.conftest import IMAGES, SHA256


@pytest.fixture
def mirror() -> Iterator[str]:
    """URL of a local server with the files."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(IMAGES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_reads_images_and_labels_of_every_class() -> None:
    raw = fashion_mnist.load(IMAGES, SHA256, package_folders=[], mirrors=[])
    assert raw["train_images"].shape == (400, 28, 28)
    assert raw["train_images"].dtype == np.uint8
    assert raw["test_images"].shape == (200, 28, 28)
    assert np.bincount(raw["train_labels"]).tolist() == [40] * 10
    assert np.bincount(raw["test_labels"]).tolist() == [20] * 10


def test_copies_from_a_package_before_downloading(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    fashion_mnist.load(folder, SHA256, package_folders=[IMAGES], mirrors=["http://unreachable.invalid/"])
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        f"{name}.gz" for name in fashion_mnist.FILES.values()
    )


def test_accepts_the_same_content_with_another_compression(tmp_path: Path) -> None:
    for file in IMAGES.iterdir():
        content = gzip.decompress(file.read_bytes())
        (tmp_path / file.name).write_bytes(gzip.compress(content, compresslevel=1))
    fashion_mnist.load(tmp_path, SHA256, package_folders=[], mirrors=[])


def test_downloads_from_a_mirror(tmp_path: Path, mirror: str) -> None:
    raw = fashion_mnist.load(tmp_path, SHA256, package_folders=[tmp_path / "none"], mirrors=[mirror])
    assert len(raw["train_labels"]) == 400


@pytest.mark.parametrize("damage", ["truncated", "altered", "empty"])
def test_replaces_a_corrupt_file(tmp_path: Path, damage: str) -> None:
    shutil.copytree(IMAGES, tmp_path, dirs_exist_ok=True)
    victim = tmp_path / "train-images-idx3-ubyte.gz"
    whole = victim.read_bytes()
    altered = whole[:1000] + bytes(10) + whole[1010:]
    victim.write_bytes({"truncated": whole[:1000], "altered": altered, "empty": b""}[damage])
    fashion_mnist.load(tmp_path, SHA256, package_folders=[IMAGES], mirrors=[])
    assert victim.read_bytes() == whole


def test_the_error_names_every_place_tried_and_a_remedy(tmp_path: Path, mirror: str) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"no archive")
    with pytest.raises(DataUnavailableError) as failure:
        fashion_mnist.load(
            folder, SHA256, package_folders=[tmp_path / "package"], mirrors=[mirror + "missing/"]
        )
    message = str(failure.value)
    assert f"{folder}/train-images-idx3-ubyte.gz: Not a gzipped file" in message
    assert f"{tmp_path}/package/train-images-idx3-ubyte.gz: No such file" in message
    assert f"{mirror}missing/train-images-idx3-ubyte.gz: HTTP Error 404" in message
    assert "dataset-fashion-mnist" in message


def test_never_replaces_the_files_of_another_set(tmp_path: Path) -> None:
    name = "train-images-idx3-ubyte.gz"
    other = gzip.compress(b"of another set")
    (tmp_path / name).write_bytes(other)
    with pytest.raises(DataUnavailableError, match=rf"{tmp_path}/{name} has another content: .* sha256"):
        fashion_mnist.load(tmp_path, SHA256, package_folders=[IMAGES], mirrors=[])
    assert (tmp_path / name).read_bytes() == other
    assert [file.name for file in tmp_path.iterdir()] == [name]


def idx(array: np.ndarray) -> bytes:
    """An array of unsigned bytes as an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ((40, 32, 32), range(26), "test set has images of 32x32 pixels; allowed: 28x28"),
        ((40, 28), range(10), "test set has images of 28 pixels; allowed: 28x28"),
        ((40, 28, 28), range(26), "test set has labels up to 25; allowed: 0 to 9"),
        ((41, 28, 28), range(10), "test set has 41 images and 40 labels; allowed: one label for each"),
        ((0, 28, 28), [], "test set has 0 images and 0 labels; allowed: one label for each"),
    ],
)
def test_files_with_checksums_of_their_own_must_be_a_part_of_fashion_mnist(
    tmp_path: Path, images: tuple[int, ...], labels: Sequence[int], message: str
) -> None:
    part = np.resize(np.array(labels, np.uint8), 40 if labels else 0)
    contents = {"test_images": idx(np.zeros(images, np.uint8)), "test_labels": idx(part)}
    check_refused(tmp_path, contents, message)


def test_files_of_another_format_are_named_as_such(tmp_path: Path) -> None:
    for content in (b"", b"images", idx(np.zeros((40, 28, 28), np.uint8))[:-1]):
        check_refused(tmp_path, {"train_images": content}, "train-images-idx3-ubyte.gz is not")


def check_refused(folder: Path, contents: Mapping[str, bytes], message: str) -> None:
    """Load the small Fashion-MNIST with other contents of some files, given with their checksums."""
    shutil.copytree(IMAGES, folder, dirs_exist_ok=True)
    for key, content in contents.items():
        (folder / f"{fashion_mnist.FILES[key]}.gz").write_bytes(gzip.compress(content))
    sums = {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}
    with pytest.raises(DatasetError, match=message) as caught:
        FashionMNISTDataset(str(folder), {**SHA256, **sums}).load()
    assert isinstance(caught.value.__cause__, ImageSetError)
    assert f"The files in {folder} are no part of Fashion-MNIST" in str(caught.value)
    assert "see docs/images.md" in str(caught.value)


@pytest.mark.full_data
def test_the_full_data_matches_the_published_checksums(full_data: Path) -> None:
    raw = fashion_mnist.load(full_data, mirrors=[])
    assert raw["train_images"].shape == (60_000, 28, 28)
    assert raw["test_images"].shape == (10_000, 28, 28)
    assert np.bincount(raw["train_labels"]).tolist() == [6_000] * 10
