"""Data sets of labelled images, and folders of images to classify."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator

from cnn_ablation.base_parameters import ImageShape, Parameters
from cnn_ablation.data import fashion_mnist, image_sets
from cnn_ablation.data.image_sets import ImageSet
from cnn_ablation.datasets.base import FolderDataset
from cnn_ablation.errors import ImageSetError, StudyError

MAX_SIDE = 1024
"""Largest height or width to which images are scaled, pixels. A whole set has to fit into memory."""


class _Arguments(Parameters):
    """Arguments of a dataset as the catalog has them. A field's description says what is allowed."""

    # The catalog has texts.
    path: Path = Field(strict=False, description="the path of a folder")

    @classmethod
    def of(cls, **arguments: Any) -> Self:
        """Check arguments.

        Raises:
            ImageSetError: An argument cannot be used. The message names it, and what is allowed.
        """
        try:
            return cls.model_validate(arguments)
        except ValidationError as error:
            location = error.errors()[0]["loc"]
        keys, value = [], arguments
        for step in location:
            if not (isinstance(value, dict) and step in value):
                break
            keys.append(str(step))
            value = value[str(step)]
        allowed = cls.model_fields[keys[0]].description
        raise ImageSetError(f"{'.'.join(keys)}: {value!r} is invalid; allowed: {allowed}")


class _FashionMNISTArguments(_Arguments):
    sha256: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] | None = Field(
        description=f"64 hexadecimal digits in lower case for each of {', '.join(fashion_mnist.FILES)}"
    )

    @field_validator("sha256")
    @classmethod
    def _check_names(cls, sha256: dict[str, str] | None) -> dict[str, str] | None:
        if sha256 is not None and set(sha256) != set(fashion_mnist.FILES):
            raise ValueError("a checksum is missing, or there is no such file")
        return sha256


class _ClassFoldersArguments(_Arguments):
    size: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_SIDE)]], Field(min_length=2, max_length=2)
    ] = Field(description=f"[height, width] in pixels, two whole numbers from 1 to {MAX_SIDE:,}")
    mode: Literal["grey", "colour"] = Field(description="grey or colour")
    dark_on_light: bool = Field(description="true or false, without quotes")
    test_share: float = Field(gt=0, lt=1, description="a number above 0 and below 1, such as 0.2")


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
        sha256: Checksums of their content, for a part of Fashion-MNIST. Its results are compared with
            the published ones. Other images need another dataset, such as `ClassFoldersDataset`.
        metadata: Read by plugins, such as kedro-viz.

    Raises:
        ImageSetError: An argument cannot be used.
    """

    def __init__(
        self,
        path: str,
        sha256: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        arguments = _FashionMNISTArguments.of(path=path, sha256=sha256)
        self._path = arguments.path
        self._sha256 = arguments.sha256 or fashion_mnist.SHA256
        self.metadata = metadata

    def load(self) -> ImageSet:
        """Return the images.

        Raises:
            StudyError: There are no valid files, see `fashion_mnist.load`.
        """
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

    Raises:
        ImageSetError: There is no such data set or variant, or the path is none.
    """

    def __init__(
        self,
        name: str,
        path: str,
        variant: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._described = image_sets.describe_torchvision(name, variant)
        self._name = name
        self._path = _Arguments.of(path=path).path
        self._variant = variant
        self.metadata = metadata

    def load(self) -> ImageSet:
        """Return the images."""
        return image_sets.load_torchvision(self._name, self._path, self._variant)

    def describe_images(self) -> tuple[ImageShape, int]:
        """Return the shape of the images and the number of classes."""
        return self._described

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "variant": self._variant, **super()._describe()}


class ClassFoldersDataset(ImageSetDataset):
    """Your own images in one folder per class; see `image_sets.load_folder`.

    Args:
        path: Folder that contains the classes' folders.
        size: Height and width to which images are scaled, pixels; at most `MAX_SIDE`.
        mode: grey or colour.
        dark_on_light: Whether images show dark objects on a light background.
        test_share: Share of each class's images that are test images.
        metadata: Read by plugins, such as kedro-viz.

    Raises:
        ImageSetError: An argument cannot be used.
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
        self._arguments = _ClassFoldersArguments.of(
            path=path, size=size, mode=mode, dark_on_light=dark_on_light, test_share=test_share
        )
        self._path = self._arguments.path
        self.metadata = metadata

    def load(self) -> ImageSet:
        """Return the images."""
        return image_sets.load_folder(
            self._path,
            self._arguments.size,
            self._arguments.mode,
            dark_on_light=self._arguments.dark_on_light,
            test_share=self._arguments.test_share,
        )

    def describe_images(self) -> tuple[ImageShape, int]:
        """Return the shape of the images and the number of classes."""
        shape = image_sets.shape_of(self._arguments.size, self._arguments.mode)
        return shape, len(image_sets.classes_in(self._path))

    def _describe(self) -> dict[str, Any]:
        described = {"size": self._arguments.size, "mode": self._arguments.mode}
        return {**super()._describe(), **described}


class ImageFolderDataset(FolderDataset[list[Any]]):
    """The files in a folder, sorted by name. Images are read later, when they are needed.

    Args:
        path: The folder.
        metadata: Read by plugins, such as kedro-viz.

    Raises:
        ImageSetError: The path is none.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = _Arguments.of(path=path).path
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
