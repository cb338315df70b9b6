"""Reading image files, and converting images to the input of a network.

Class folders, predictions and the served model all use `read`, so that they accept the same files and
get the same pixels.
"""

import io
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile as PillowFile

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.errors import ImageFileError, ImageSetError

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Formats that are read, with Pillow's names."""

MAX_PIXELS = 80_000_000
"""Largest number of pixels of an image. Preparing such an image takes about a gigabyte."""

# `read` has its own limit.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
"""Numbers of TIFF tags."""


@dataclass(frozen=True)
class ImageFile:
    """An entry of a folder that may be an image. Only `read` opens it.

    Args:
        path: Path of the entry.
    """

    path: Path

    @property
    def name(self) -> str:
        r"""Name of the file, in which bytes that are not UTF-8 are escaped, such as `\xff`."""
        return os.fsencode(self.path.name).decode("utf-8", "backslashreplace")

    def read(self) -> Image.Image:
        """The image; see `read`."""
        return read(self.path)


def files_in(folder: Path) -> list[ImageFile]:
    """All entries of a folder except hidden ones, sorted by name.

    Raises:
        ImageSetError: The folder cannot be listed.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ImageSetError(f"{folder} cannot be read: {error.strerror}") from None
    return [ImageFile(path) for path in paths if not path.name.startswith(".")]


def read(source: Path | bytes) -> Image.Image:
    """Read an image.

    The format is recognized by the content, not by the name. The whole range of pixels is scaled to 0 to
    255. Colour profiles are ignored.

    Args:
        source: Path of a file or of a link to a file, or the content of a file.

    Returns:
        The image, rotated according to its EXIF data, with mode L, RGB or RGBA.

    Raises:
        ImageFileError: There is no regular file, or it is not an image in one of `FORMATS` with at most
            `MAX_PIXELS` pixels, one frame, and unsigned integers of at most 16 bits per channel.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else _opened(source) as file:
        try:
            with Image.open(file, formats=FORMATS) as image:
                return _decode(image)
        except ImageFileError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_large() from None
        except UnidentifiedImageError:
            file.seek(0)
            raise _unidentified(file.read(16)) from None
        # Pillow's decoders raise errors of almost any type if a file is damaged.
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ImageFileError(f"damaged: {reason}") from None


def prepare(image: Image.Image, shape: ImageShape, *, dark_on_light: bool | None) -> np.ndarray:
    """An image as input of a network: uint8 (channels, height, width), light objects on dark ground.

    The image is rotated according to its EXIF data and resized without distortion. Transparent parts and
    the rest of the shape are filled with the colour of the ground. That is the median of the resized
    image's edge pixels. If at least half of the edge is transparent, it is white for dark objects and
    black for light objects. Images that show dark objects on a light ground are then inverted.

    Args:
        image: Any image whose range of pixels is known, such as one from `read`.
        shape: Channels, height and width of the result, pixels.
        dark_on_light: Whether the image shows dark objects on a light ground. If it is None, it does if
            the median brightness of its edge is above the mean brightness of the whole image or, with a
            transparent edge, if the rest is darker than half of the range on average.

    Raises:
        ImageFileError: The image has pixels that are not supported, such as floats.
    """
    channels, height, width = shape
    fitted = _resized(plain(image), channels, height, width)
    pixels = np.atleast_3d(np.asarray(fitted)).astype(float)
    colour, opacity = pixels[..., :channels], np.ones(pixels.shape[:2])
    if pixels.shape[2] > channels:
        opacity = pixels[..., channels] / 255
    edge = np.ones(opacity.shape, dtype=bool)
    edge[1:-1, 1:-1] = False
    if opacity[edge].mean() <= 0.5:
        if dark_on_light is None:
            brightness = colour.mean(axis=2)
            dark_on_light = bool(opacity.any() and np.average(brightness, weights=opacity) < 255 / 2)
        ground = np.full(channels, 255.0 if dark_on_light else 0.0)
    else:
        ground = np.median(colour[edge & (opacity >= 0.5)], axis=0)
    solid = ground + (colour - ground) * opacity[..., np.newaxis]
    if dark_on_light is None:
        brightness = solid.mean(axis=2)
        dark_on_light = bool(np.median(brightness[edge]) > brightness.mean())
    filled = np.full((height, width, channels), ground)
    top, left = round((height - fitted.height) / 2), round((width - fitted.width) / 2)
    filled[top : top + fitted.height, left : left + fitted.width] = solid
    array = filled.round().astype(np.uint8).transpose(2, 0, 1)
    return np.ascontiguousarray(255 - array if dark_on_light else array)


def _resized(image: Image.Image, channels: int, height: int, width: int) -> Image.Image:
    """The image, in grey or colour with or without transparency, as large as possible within a size."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode == "RGBA":
        mode = "LA" if channels == 1 else "RGBA"
    image = image.convert(mode)
    # Pillow would round the short side of a very long image to 0 pixels.
    if image.width >= 2 * width * image.height:
        image = image.resize((width, 1))
    elif image.height >= 2 * height * image.width:
        image = image.resize((1, height))
    return ImageOps.contain(image, (width, height))


def plain(image: Image.Image) -> Image.Image:
    """The image, rotated according to its EXIF data, with mode L, RGB or RGBA.

    An image that needs no change is not copied.

    Raises:
        ImageFileError: The image has pixels that are not supported, such as floats.
    """
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return _high_byte(image, bits=16)
    if image.mode in ("I", "F", "LAB", "HSV"):
        kinds = {"I": "integers of 32 bits", "F": "floats of 32 bits"}
        raise _unsupported(kinds.get(image.mode, f"{image.mode} colours"))
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("P", "LA", "PA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _opened(path: Path) -> BinaryIO:
    try:
        # Check the kind of file first: opening a named pipe would block.
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageFileError("a folder, not an image")
        if not stat.S_ISREG(mode):
            raise ImageFileError("not a regular file")
        return path.open("rb")
    except OSError as error:
        if path.is_symlink() and not path.exists():
            raise ImageFileError("a link to a file that is not there") from None
        raise ImageFileError(f"cannot be read: {error.strerror}") from None


def _unidentified(start: bytes) -> ImageFileError:
    for name in FORMATS:
        accept = Image.OPEN[name][1]
        if accept and accept(start) is True:
            return ImageFileError(f"damaged, or a kind of {name} that is not supported")
    return ImageFileError(f"not an image in an allowed format ({', '.join(FORMATS)})")


def _too_large() -> ImageFileError:
    return ImageFileError(f"too large: more than {MAX_PIXELS:,} pixels; reduce its size")


def _unsupported(pixels: str) -> ImageFileError:
    return ImageFileError(
        f"its pixels are {pixels}; save it in grey or colour with unsigned integers of 8 or 16 bits"
    )


def _decode(image: PillowFile) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large()
    if min(image.size) < 1:
        raise ImageFileError("it has no pixels")
    # Cameras can append previews to a JPEG file. Pillow calls such a file MPO. Its first image is the
    # picture.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise ImageFileError("it has several frames or pages: save the one to use as a file of its own")
    if image.format == "TIFF":
        return _decode_tiff(image)
    if image.format == "PNG":
        _scale_transparent_colour(image)
    image.load()
    # Before release 10.3, Pillow opened 16-bit grey PNG files with 32-bit pixels.
    return _high_byte(image, bits=16) if image.mode == "I" else plain(image)


def _scale_transparent_colour(image: PillowFile) -> None:
    """Scale the colour that marks transparency in a PNG file as Pillow scales the pixels."""
    key = image.info.get("transparency")
    packing = str(image.tile[0][3])
    if isinstance(key, tuple) and packing.endswith(";16B"):
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif isinstance(key, int) and packing in ("L;2", "L;4"):
        largest = 2 ** int(packing[-1]) - 1
        # The key has 16 bits. The PNG standard ignores those beyond the depth of the pixels.
        image.info["transparency"] = (key & largest) * 255 // largest


def _decode_tiff(image: PillowFile) -> Image.Image:
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits = max(tags.get(_BITS_PER_SAMPLE, (1,)))
    formats = set(tags.get(_SAMPLE_FORMAT, (1,)))
    if formats != {1} or bits > 16:
        kind = "floats" if 3 in formats else "unsigned integers" if formats == {1} else "signed integers"
        raise _unsupported(f"{kind} of {bits} bits")
    white_is_zero = tags.get(_PHOTOMETRIC) == 0
    image.load()
    if not image.mode.startswith("I;16"):
        return plain(image)
    grey = _high_byte(image, bits=bits)
    # Pillow inverts files in which white is 0 only if they have 8 bits or fewer.
    return ImageOps.invert(grey) if white_is_zero else grey


def _high_byte(image: Image.Image, bits: int) -> Image.Image:
    """The upper 8 bits of a grey image, which is how Pillow and libpng reduce 16-bit colours."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    values = np.asarray(image)
    grey = Image.fromarray((values >> (bits - 8)).astype(np.uint8))
    key = image.info.get("transparency")
    if key is None:
        return grey
    opaque = Image.fromarray((values != key).astype(np.uint8) * np.uint8(255))
    return Image.merge("LA", (grey, opaque)).convert("RGBA")
