"""Reading image files of any kind, and turning them into input of a network."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnn_ablation.base_parameters import ImageShape


def read_folder(folder: Path) -> dict[str, Image.Image | str]:
    """The images of a folder by file name, sorted; for a file that is not an image, the reason in words.

    Any format that Pillow reads is accepted. Hidden files and subfolders are ignored.
    """
    return {
        file.name: _read(file)
        for file in sorted(folder.glob("*"))
        if file.is_file() and not file.name.startswith(".")
    }


def _read(file: Path) -> Image.Image | str:
    try:
        with Image.open(file) as image:
            image.load()
            return image.copy()
    except UnidentifiedImageError:
        return "not an image"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"damaged: {error}"


def prepare(image: Image.Image, shape: ImageShape, *, dark_on_light: bool) -> np.ndarray:
    """An image as input of a network: uint8 (channels, height, width), light objects on dark background.

    The image is rotated according to its EXIF data, transparent parts are filled with the background,
    and it is resized without distortion. Images with a light background are inverted.

    Args:
        image: Any image.
        shape: Channels, height and width of the result, pixels.
        dark_on_light: Whether the image shows dark objects on a light background.
    """
    channels, height, width = shape
    background = "white" if dark_on_light else "black"
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    solid = Image.alpha_composite(Image.new("RGBA", upright.size, background), upright)
    plain = solid.convert("L" if channels == 1 else "RGB")
    fitted = ImageOps.pad(plain, (width, height), color=background)
    pixels = np.asarray(ImageOps.invert(fitted) if dark_on_light else fitted)
    array: np.ndarray = np.atleast_3d(pixels).transpose(2, 0, 1).copy()
    return array
