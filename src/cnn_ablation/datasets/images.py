"""Data sets of labelled images, and folders of images to classify."""

from pathlib import Path
from typing import Any, Literal

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.data import fashion_mnist, image_sets
from cnn_ablation.data.image_sets import ImageSet
from cnn_ablation.datasets.base import FolderDataset
from cnn_ablation.errors import StudyError


class ImageSetDataset(FolderDataset[ImageSet]):
    """A data set of labelled images. Shape and number of classes are known before it is loaded."""

    def describe_images(self) -> tuple[ImageShape, int]:
        """Return the shape of the images and the number of classes.

        Raises:
            StudyError: The entry in the catalog does not describe a data set.
        """
        raise NotImplementedError


class FashionMNISTDataset(ImageSetDataset):
    """Fashion-MNIST, downloaded on the first load; see `fashion_mnist.load`.

    Args:
        path: Folder of the four `.gz` files.
        sha256: Checksums of their content, for another data set in the same format.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self,
        path: str,
        sha256: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = Path(path)
        self._sha256 = sha256 or fashion_mnist.SHA256
        self.metadata = metadata

    def load(self) -> ImageSet:
        """Return the images."""
        arrays = fashion_mnist.load(self._path, self._sha256)
        return ImageSet(fashion_mnist.NAME, fashion_mnist.CLASS_NAMES, arrays)

    def describe_images(self) -> tuple[ImageShape, int]:
        """Return the shape of the images and the number of classes."""
        return fashion_mnist.IMAGE_SHAPE, len(fashion_mnist.CLASS_NAMES)


class TorchvisionDataset(ImageSetDataset):
    """A data set of torchvision, downloaded on the first load; see `image_sets.load_torchvision`.

    Args:
        name: MNIST, KMNIST, EMNIST, CIFAR10 or CIFAR100.
        path: Folder in which torchvision keeps its data sets.
        variant: For EMNIST: balanced, letters, digits, byclass, bymerge or mnist.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self,
        name: str,
        path: str,
        variant: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._path = Path(path)
        self._variant = variant
        self.metadata = metadata

    def load(self) -> ImageSet:
        """Return the images."""
        return image_sets.load_torchvision(self._name, self._path, self._variant)

    def describe_images(self) -> tuple[ImageShape, int]:
        """Return the shape of the images and the number of classes."""
        return image_sets.describe_torchvision(self._name, self._variant)

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "variant": self._variant, **super()._describe()}


class ClassFoldersDataset(ImageSetDataset):
    """Your own images in one folder per class; see `image_sets.load_folder`.

    Args:
        path: Folder that contains the classes' folders.
        size: Height and width to which images are scaled, pixels.
        mode: grey or colour.
        dark_on_light: Whether images show dark objects on a light background.
        test_share: Share of each class's images that are test images.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self,
        path: str,
        size: list[int],
        mode: Literal["grey", "colour"] = "grey",
        dark_on_light: bool = False,
        test_share: float = 0.2,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = Path(path)
        self._size = size
        self._mode = mode
        self._dark_on_light = dark_on_light
        self._test_share = test_share
        self.metadata = metadata

    def load(self) -> ImageSet:
        """Return the images."""
        return image_sets.load_folder(
            self._path,
            self._size,
            self._mode,
            dark_on_light=self._dark_on_light,
            test_share=self._test_share,
        )

    def describe_images(self) -> tuple[ImageShape, int]:
        """Return the shape of the images and the number of classes."""
        shape = image_sets.shape_of(self._size, self._mode)
        return shape, len(image_sets.classes_in(self._path))

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "size": self._size, "mode": self._mode}


class ImageFolderDataset(FolderDataset[list[Any]]):
    """The files in a folder, sorted by name. Images are read later, when they are needed.

    Args:
        path: The folder.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> list[Any]:
        """Return an `image_files.ImageFile` per entry of the folder. Hidden files are ignored.

        Raises:
            StudyError: The folder is missing, is a file, is empty, or cannot be read.
        """
        from cnn_ablation.data.image_files import files_in

        files = files_in(self._path) if self._path.is_dir() else []
        if not files:
            exists = "is not a folder" if self._path.exists() else "is not there"
            state = "is empty" if self._path.is_dir() else exists
            raise StudyError(
                f"{self._path} {state}: put the images to classify there, or name another folder as "
                "images_to_classify in conf/local/globals.yml"
            )
        return files
