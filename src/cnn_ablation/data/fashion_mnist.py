"""Loading Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017; MIT licence), and fetching it if it is missing.

`python -m cnn_ablation.data.fashion_mnist FOLDER` makes sure that the folder contains valid data.
"""

import gzip
import hashlib
import sys
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import methodcaller
from pathlib import Path

import numpy as np

from cnn_ablation.errors import DataUnavailableError, ImageSetError
from cnn_ablation.whole_files import write_whole

NAME = "Fashion-MNIST"
IMAGE_SHAPE = (1, 28, 28)
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
SHA256 = {
    "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train_labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""Checksums of the uncompressed files. Those of the .gz files change with each compression."""

PACKAGE_FOLDERS = (Path("/usr/share/datasets/fashion-mnist"),)
"""Folders to which packages of operating systems install the files (Debian: `dataset-fashion-mnist`)."""

OTHER_IMAGES = "Other images need another type of dataset in the catalog; see docs/images.md."

TIMEOUT = 30
"""Seconds without data after which a download fails."""


def load(
    folder: Path,
    sha256: Mapping[str, str] = SHA256,
    package_folders: Sequence[Path] = PACKAGE_FOLDERS,
    mirrors: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """The images, uint8 (N, 28, 28), and labels, uint8 (N,), by the keys of `FILES`.

    A file that is missing from the folder, or is damaged, is copied from a package of the operating
    system or downloaded from a mirror, in this order. It is checked before it is written to the folder.
    An undamaged file with another content belongs to another data set, and is never replaced.

    Args:
        folder: Folder of the four `.gz` files.
        sha256: Expected checksums of the uncompressed files, which may have a part of Fashion-MNIST.
        package_folders: Folders to copy from.
        mirrors: Base URLs to download from; None: those that torchvision knows.

    Raises:
        DataUnavailableError: No source has a valid copy of a file, or the folder has another file with
            the same name.
        ImageSetError: The files have the expected checksums, but no images and labels of Fashion-MNIST.
    """
    contents = {key: _content(folder, key, sha256[key], package_folders, mirrors) for key in FILES}
    try:
        arrays = {key: _parse_idx(FILES[key], content) for key, content in contents.items()}
        for part in ("train", "test"):
            _check(part, arrays[f"{part}_images"], arrays[f"{part}_labels"])
    except ValueError as error:
        raise ImageSetError(
            f"The files in {folder} are no part of Fashion-MNIST: {error}. {OTHER_IMAGES}"
        ) from None
    return arrays


def _content(
    folder: Path,
    key: str,
    sha256: str,
    package_folders: Sequence[Path],
    mirrors: Sequence[str] | None,
) -> bytes:
    name = FILES[key] + ".gz"
    tried = []
    for place, read in _places(folder, name, package_folders, mirrors):
        try:
            packed = read()
            content = gzip.decompress(packed)
        except (OSError, EOFError, zlib.error) as error:
            tried.append(f"{place}: {getattr(error, 'strerror', None) or error}")
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            if content and place == str(folder / name):
                raise DataUnavailableError(
                    f"Fashion-MNIST: {place} has another content: it does not match the checksum "
                    "(SHA-256). What to do: move it away, or name another folder in the catalog. For a "
                    f"part of Fashion-MNIST, give its checksums there as sha256. {OTHER_IMAGES}"
                )
            tried.append(f"{place}: its content does not match the checksum (SHA-256)")
            continue
        if place != str(folder / name):
            write_whole(folder / name, methodcaller("write_bytes", packed))
        return content
    raise DataUnavailableError(
        "\n  ".join(
            [
                f"Fashion-MNIST: no usable {name}. Tried:",
                *tried,
                "What to do: install Debian's or Ubuntu's package dataset-fashion-mnist "
                f"(`make data` tries that), or put the four .gz files into {folder}.",
            ]
        )
    )


def _places(
    folder: Path, name: str, package_folders: Sequence[Path], mirrors: Sequence[str] | None
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for path in (folder / name, *(source / name for source in package_folders)):
        yield str(path), path.read_bytes
    if mirrors is None:
        # torchvision takes a second to import, so it is imported only if no local file is valid.
        from torchvision.datasets import FashionMNIST

        mirrors = FashionMNIST.mirrors
    for mirror in mirrors:
        yield mirror + name, partial(_download, mirror + name)


def _download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        content: bytes = answer.read()
        return content


def _parse_idx(name: str, content: bytes) -> np.ndarray:
    """The array of an IDX file of unsigned bytes (format: LeCun, Cortes & Burges, MNIST).

    Raises:
        ValueError: The content has another format.
    """
    try:
        dimensions = content[3]
        shape = np.frombuffer(content, dtype=">u4", count=dimensions, offset=4)
        values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions)
        return values.reshape(shape).copy()  # PyTorch wants writable arrays
    except (IndexError, ValueError):
        raise ValueError(f"{name}.gz is not in the format IDX") from None


def _check(part: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Check that images and labels can be those of Fashion-MNIST.

    Raises:
        ValueError: They cannot.
    """
    if images.shape[1:] != IMAGE_SHAPE[1:]:
        found, allowed = ("x".join(map(str, shape[1:])) for shape in (images.shape, IMAGE_SHAPE))
        raise ValueError(f"the {part} set has images of {found} pixels; allowed: {allowed}")
    if labels.shape != (len(images),) or not len(images):
        raise ValueError(
            f"the {part} set has {len(images):,} images and {labels.size:,} labels; "
            "allowed: one label for each image"
        )
    if labels.max() >= len(CLASS_NAMES):
        raise ValueError(
            f"the {part} set has labels up to {labels.max()}; allowed: 0 to {len(CLASS_NAMES) - 1}"
        )


if __name__ == "__main__":
    try:
        load(Path(sys.argv[1]))
    except DataUnavailableError as unavailable:
        sys.exit(str(unavailable))
