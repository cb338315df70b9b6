"""Image files of people's own, and how a network takes what is in them."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnn_ablation.schema import ImageShape


def read_folder(folder: Path) -> dict[str, Image.Image | str]:
    """An image by file name, in the order of the names, or the reason in words where a file is none.

    Any format that Pillow reads will do. Hidden files and subfolders do not count.
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
    """An image as the network takes it, uint8 (channels, height, width), light things on dark ground.

    It is turned upright as its camera says, put on its ground where it is transparent, fitted into the
    size without distortion, and inverted if it shows dark things on a light ground.
    """
    channels, height, width = shape
    ground = "white" if dark_on_light else "black"
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    solid = Image.alpha_composite(Image.new("RGBA", upright.size, ground), upright)
    plain = solid.convert("L" if channels == 1 else "RGB")
    fitted = ImageOps.pad(plain, (width, height), color=ground)
    pixels = np.asarray(ImageOps.invert(fitted) if dark_on_light else fitted)
    array: np.ndarray = np.atleast_3d(pixels).transpose(2, 0, 1).copy()
    return array
