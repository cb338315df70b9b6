"""Reading image files of every kind: accepted files and their pixels, and refused files."""

import base64
import io
import os
import struct
import subprocess
import sys
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DatasetError
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModelContext
from PIL import Image

from cnn_ablation.data import image_sets
from cnn_ablation.data.image_files import FORMATS, MAX_PIXELS, ImageFile, prepare, read
from cnn_ablation.datasets import ImageFolderDataset
from cnn_ablation.errors import ImageFileError, ImageSetError, StudyError
from cnn_ablation.parts.initializations import PyTorchDefault
from cnn_ablation.pipelines.prediction.nodes import classify_images, plot_contact_sheet
from cnn_ablation.serving.classifier import COLUMNS, Classifier
from cnn_ablation.serving.served_classifier import ServedClassifier
from cnn_ablation.study.parameters import PredictionParameters
from cnn_ablation.training.initial_weights import seed_network
from tests.conftest import JOURNAL_MODEL, ROOT, clean_environment

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
ALPHA = np.where(np.arange(30) < 15, 255, 0).astype(np.uint8) * np.ones((20, 1), np.uint8)
"""The right half is transparent."""

FINE = GREY.astype(np.uint16) << 8 | RANDOM.integers(0, 256, GREY.shape, dtype=np.uint16)
"""16-bit pixels whose upper bytes are `GREY`."""

PREDICTION = PredictionParameters(dark_on_light=False)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(pixels: bytes, bits: int, *, order: str = "<", photometric: int = 1, sample: int = 1) -> bytes:
    """A grey TIFF file of `GREY`'s size, without compression."""
    height, width = GREY.shape
    entries = [
        *((256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8)),
        *((277, 1), (278, height), (279, len(pixels)), (339, sample)),
    ]
    directory = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries)
    magic = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(pixels))
    return magic + pixels + struct.pack(f"{order}H", len(entries)) + directory + bytes(4)


def png(width: int, height: int, bits: int, colours: int, rows: bytes, more: bytes = b"") -> bytes:
    """A PNG file with these rows, each after its filter byte, and more chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    body = [chunk(b"IHDR", header), more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    )


def rows_of(fine: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in fine)


def grey_with_transparent_value(bits: int) -> tuple[bytes, np.ndarray]:
    """A grey PNG file of few bits in which one value is transparent, and its pixels in 8 bits."""
    largest = 2**bits - 1
    values = np.where(ALPHA, largest, largest - 1)
    values[:, 15:20] = values[:, :5]
    digits = np.unpackbits(values.astype(np.uint8)[..., np.newaxis], axis=2)[..., -bits:]
    rows = b"".join(b"\0" + np.packbits(row.ravel()).tobytes() for row in digits)
    # The format ignores bits of the key that pixels do not have.
    unused = 2**15 if bits in (2, 4) else 0
    key = struct.pack(">H", unused + largest - 1)
    content = png(30, 20, bits, 0, rows, chunk(b"tRNS", key))
    return content, (values * 255 // largest).astype(np.uint8)


def twelve_bits() -> bytes:
    values = (FINE >> 4).ravel().astype(int)
    pairs = zip(values[::2], values[1::2], strict=True)
    return b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)


def sixteen_bit_colours() -> bytes:
    """Only the upper left pixel has the transparent colour."""
    fine = COLOUR.astype(">u2") << 8 | 7
    return png(30, 20, 16, 2, rows_of(fine), chunk(b"tRNS", fine[0, 0].astype(">u2").tobytes()))


def orientated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated clockwise
    return saved(Image.fromarray(np.rot90(FINE).copy()), "PNG", exif=exif)


DOTS = GREY > 127
PALETTED = Image.fromarray(COLOUR).quantize(64)
OPAQUE = Image.fromarray(COLOUR)

RIGHT: dict[str, tuple[bytes, np.ndarray]] = {
    "grey png": (saved(Image.fromarray(GREY), "PNG"), GREY),
    "grey bmp": (saved(Image.fromarray(GREY), "BMP"), GREY),
    "grey gif": (saved(Image.fromarray(GREY), "GIF"), GREY),
    "grey webp": (saved(Image.fromarray(GREY), "WEBP", lossless=True), GREY),
    "grey tiff": (saved(Image.fromarray(GREY), "TIFF"), GREY),
    "colour png": (saved(OPAQUE, "PNG"), COLOUR),
    "colour tiff": (saved(OPAQUE, "TIFF", compression="tiff_lzw"), COLOUR),
    "1 bit png": (saved(Image.fromarray(DOTS), "PNG"), 255 * DOTS),
    "1 bit tiff": (saved(Image.fromarray(DOTS), "TIFF", compression="group4"), 255 * DOTS),
    "16 bit png": (saved(Image.fromarray(FINE), "PNG"), GREY),
    "16 bit png of one shade": (
        png(30, 20, 16, 0, rows_of(FINE[:1]) * 20),
        np.tile(GREY[:1], (20, 1)),
    ),
    "16 bit png, upright": (orientated(), GREY),
    "16 bit tiff": (saved(Image.fromarray(FINE), "TIFF"), GREY),
    "16 bit tiff, compressed": (saved(Image.fromarray(FINE), "TIFF", compression="tiff_lzw"), GREY),
    "16 bit tiff, big endian": (tiff(FINE.astype(">u2").tobytes(), 16, order=">"), GREY),
    "16 bit tiff, white is 0": (tiff((~FINE).tobytes(), 16, photometric=0), GREY),
    "8 bit tiff, white is 0": (tiff((~GREY).tobytes(), 8, photometric=0), GREY),
    "12 bit tiff": (tiff(twelve_bits(), 12), GREY),
    "palette": (saved(PALETTED, "PNG"), np.asarray(PALETTED.convert("RGB"))),
    "palette tiff": (saved(PALETTED, "TIFF"), np.asarray(PALETTED.convert("RGB"))),
    "palette gif": (saved(PALETTED, "GIF"), np.asarray(PALETTED.convert("RGB"))),
    "cmyk tiff": (saved(OPAQUE.convert("CMYK"), "TIFF"), COLOUR),
    "several pictures of a camera": (
        saved(
            Image.new("RGB", (30, 20), "red"), "MPO", save_all=True, append_images=[OPAQUE], quality=100
        ),
        np.asarray(
            Image.open(io.BytesIO(saved(Image.new("RGB", (30, 20), "red"), "JPEG", quality=100)))
        ),
    ),
}
"""Files, and their pixels in grey or colour."""

WITH_ALPHA: dict[str, tuple[bytes, np.ndarray]] = {
    "LA": (saved(Image.fromarray(np.dstack([GREY, ALPHA])), "PNG"), GREY),
    "LA tiff": (saved(Image.fromarray(np.dstack([GREY, ALPHA])), "TIFF"), GREY),
    "RGBA": (saved(Image.fromarray(np.dstack([COLOUR, ALPHA])), "PNG"), COLOUR),
    "RGBA webp": (saved(Image.fromarray(np.dstack([COLOUR, ALPHA])), "WEBP", lossless=True), COLOUR),
    "16 bit": (
        png(30, 20, 16, 0, rows_of(np.where(ALPHA, FINE | 1, 2)), chunk(b"tRNS", b"\0\2")),
        GREY,
    ),
}
"""Files whose right half is transparent."""

REFUSED: dict[str, tuple[bytes, str]] = {
    "float tiff": (saved(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"), "floats of 32 bits"),
    "64 bit float": (
        tiff(GREY.astype(np.float64).tobytes(), 64, sample=3),
        "TIFF that is not supported",
    ),
    "32 bit tiff": (saved(Image.fromarray(GREY.astype(np.int32)), "TIFF"), "signed integers of 32 bits"),
    "32 bit, unsigned": (tiff(GREY.astype("<u4").tobytes(), 32), "unsigned integers of 32 bits"),
    "signed 16 bit": (tiff(GREY.astype("<i2").tobytes(), 16, sample=2), "signed integers of 16 bits"),
    "signed 8 bit": (tiff(GREY.tobytes(), 8, sample=2), "signed integers of 8 bits"),
    "lab": (saved(Image.new("LAB", (9, 9)), "TIFF"), "LAB colours"),
    "animated gif": (
        saved(OPAQUE, "GIF", save_all=True, append_images=[Image.new("RGB", (30, 20), "red")]),
        "several frames",
    ),
    "animated png": (
        saved(OPAQUE, "PNG", save_all=True, append_images=[Image.new("RGB", (30, 20), "red")]),
        "several frames",
    ),
    "animated webp": (
        saved(OPAQUE, "WEBP", save_all=True, append_images=[Image.new("RGB", (30, 20), "red")]),
        "several frames",
    ),
    "tiff of pages": (saved(OPAQUE, "TIFF", save_all=True, append_images=[OPAQUE]), "several frames"),
    "truncated": (saved(OPAQUE, "JPEG")[:400], "damaged"),
    "icon": (saved(OPAQUE, "ICO"), "not an image in an allowed format"),
    "ppm": (saved(OPAQUE, "PPM"), "not an image in an allowed format"),
    "text": (b"no image", "not an image in an allowed format"),
    "empty": (b"", "not an image in an allowed format"),
    # Only the header is valid. If the pixels were decoded first, the file would be called damaged.
    "huge": (png(13_000, 13_000, 8, 2, b""), "too large: more than 80,000,000 pixels"),
    "huger": (png(2**31 - 1, 2**31 - 1, 8, 2, b""), "too large"),
    "just too large": (png(8_001, 10_000, 1, 0, b""), "too large"),
    "huge bmp": (saved(Image.new("1", (13_000, 6_500)), "BMP"), "too large"),
}
"""Files, and a part of the reason."""


@pytest.mark.parametrize("kind", RIGHT)
def test_the_pixels_are_those_of_the_file(kind: str) -> None:
    content, pixels = RIGHT[kind]
    mode = "L" if pixels.ndim == 2 else "RGB"
    np.testing.assert_array_equal(np.asarray(read(content).convert(mode)), pixels)
    shape = (len(mode), *pixels.shape[:2])
    array = prepare(read(content), (shape[0], shape[1], shape[2]), dark_on_light=False)
    np.testing.assert_array_equal(array.transpose(1, 2, 0).squeeze(), pixels)


@pytest.mark.parametrize("kind", WITH_ALPHA)
def test_transparent_parts_become_background(kind: str) -> None:
    content, pixels = WITH_ALPHA[kind]
    channels = 1 if pixels.ndim == 2 else 3
    array = prepare(read(content), (channels, 20, 30), dark_on_light=False).transpose(1, 2, 0).squeeze()
    np.testing.assert_array_equal(array[:, :15], pixels[:, :15])
    assert (array[:, 15:] == 0).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_value_of_few_bits(bits: int) -> None:
    content, pixels = grey_with_transparent_value(bits)
    image = np.asarray(read(content))
    np.testing.assert_array_equal(image[..., 0], pixels)
    np.testing.assert_array_equal(image[..., 3], np.where(pixels == 255, 255, 0))


def test_a_transparent_colour_of_16_bits() -> None:
    image = np.asarray(read(sixteen_bit_colours()))
    np.testing.assert_array_equal(image[..., :3], COLOUR)
    assert (image[..., 3] == 0).sum() == 1
    assert image[0, 0, 3] == 0


def test_jpeg_files_of_grey_colour_and_cmyk_images() -> None:
    ramp = np.add.outer(np.arange(20) * 4, np.arange(30) * 5).astype(np.uint8)
    colour = Image.fromarray(np.dstack([ramp, ramp[::-1], 255 - ramp]))
    for image in (Image.fromarray(ramp), colour, colour.convert("CMYK")):
        decoded = read(saved(image, "JPEG", quality=100, subsampling=0)).convert("RGB")
        difference = np.asarray(decoded).astype(int) - np.asarray(image.convert("RGB"))
        assert abs(difference).max() < 8


@pytest.mark.parametrize("kind", REFUSED)
def test_other_files_are_refused_by_name(kind: str) -> None:
    content, reason = REFUSED[kind]
    with pytest.raises(ImageFileError) as failure:
        read(content)
    assert reason in str(failure.value)
    assert "\n" not in str(failure.value)
    assert "BytesIO" not in str(failure.value)


def test_images_whose_range_is_unknown_are_not_classified() -> None:
    for mode in ("I", "F"):
        with pytest.raises(ImageFileError, match="of 32 bits; save it"):
            prepare(Image.new(mode, (9, 9)), (1, 28, 28), dark_on_light=False)
    array = prepare(Image.fromarray(FINE), (1, 20, 30), dark_on_light=False)
    np.testing.assert_array_equal(array[0], GREY)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_cut_file_is_never_read_with_other_pixels() -> None:
    for content, _ in [*RIGHT.values(), *WITH_ALPHA.values()]:
        whole = np.asarray(read(content))
        for length in range(0, len(content), 5):
            try:
                image = np.asarray(read(content[:length]))
            except ImageFileError:
                continue
            np.testing.assert_array_equal(image, whole)


# Pillow warns of unusual tags in a file that it reads.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_changed_bytes_never_end_in_another_error() -> None:
    random = np.random.default_rng(1)
    for content, *_ in [*RIGHT.values(), *WITH_ALPHA.values()]:
        for _ in range(60):
            damaged = bytearray(content)
            for position in random.integers(0, min(len(content), 400), random.integers(1, 6)):
                damaged[position] = random.integers(256)
            try:
                image = read(bytes(damaged))
            except ImageFileError as error:
                assert str(error)
            else:
                assert image.mode in ("L", "RGB", "RGBA")
                assert image.width * image.height <= MAX_PIXELS


def test_a_very_long_image_does_not_vanish() -> None:
    for size in ((10_000, 1), (1, 10_000), (57, 1)):
        line = Image.new("L", size, 0)
        line.paste(255, (size[0] // 2, size[1] // 2, *size))
        array = prepare(line, (1, 28, 28), dark_on_light=False)
        assert array.shape == (1, 28, 28)
        assert array.max() > array.min()


# The three ways in.


@pytest.fixture
def classifier() -> Classifier:
    network = JOURNAL_MODEL.build((1, 28, 28), 2)
    seed_network(network, PyTorchDefault(), 0, torch.device("cpu"))
    data = {"image_shape": [1, 28, 28], "class_names": ["Bag", "Coat"], "mean": [0.3], "std": [0.35]}
    return Classifier(JOURNAL_MODEL, network.state_dict(), data)


@pytest.fixture
def serve(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    folder = tmp_path_factory.mktemp("model")
    classifier.save(folder)
    model = ServedClassifier()
    model.load_context(PythonModelContext({"classifier": str(folder)}, {}))

    def answer(*values: object) -> pd.DataFrame:
        images = pd.DataFrame({"image": pd.Series(values, dtype=object)})
        return model.predict(images, PREDICTION.model_dump())

    return answer


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def load(folder: Path) -> image_sets.ImageSet:
    return image_sets.load_folder(folder, [28, 28], "grey", dark_on_light=False, test_share=0.5)


def test_class_folders_predictions_and_serving_refuse_the_same_files(
    tmp_path: Path, classifier: Classifier, serve: Callable[..., Any]
) -> None:
    folder = tmp_path / "set" / "one"
    folder.mkdir(parents=True)
    (tmp_path / "set" / "other").mkdir()
    good, _ = RIGHT["16 bit png"]
    (folder / "good.png").write_bytes(good)
    few = {kind: REFUSED[kind] for kind in list(REFUSED)[:9]}
    for kind, (content, _) in few.items():
        (folder / f"{kind}.png").write_bytes(content)

    with pytest.raises(ImageSetError) as refused:
        load(tmp_path / "set")
    with pytest.raises(MlflowException) as served:
        serve(encoded(good), *(encoded(content) for content, _ in few.values()))
    table, skipped = classify_images(ImageFolderDataset(str(folder)).load(), classifier, PREDICTION)
    reasons = skipped.set_index("file")["reason"]
    assert len(reasons) == len(few)
    assert table["file"].tolist() == ["good.png"]
    for row, (kind, (_, reason)) in enumerate(few.items(), start=1):
        assert reason in reasons[f"{kind}.png"]
        assert f"one/{kind}.png: {reasons[f'{kind}.png']}" in str(refused.value)
        assert f"row {row}: {reasons[f'{kind}.png']}" in str(served.value)


def test_class_folders_predictions_and_serving_see_the_same_pixels(
    tmp_path: Path, classifier: Classifier, serve: Callable[..., Any]
) -> None:
    contents = [content for content, _ in [*RIGHT.values(), *WITH_ALPHA.values()]]
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        for number, content in enumerate(contents):
            # Names say nothing about the format.
            (tmp_path / name / f"{number:02}.jpg").write_bytes(content)
    arrays = load(tmp_path).arrays
    prepared = {
        prepare(read(content), (1, 28, 28), dark_on_light=False).tobytes() for content in contents
    }
    images = np.concatenate([arrays["train_images"], arrays["test_images"]])
    assert {image.tobytes() for image in images} == prepared

    table, skipped = classify_images(
        ImageFolderDataset(str(tmp_path / "one")).load(), classifier, PREDICTION
    )
    assert skipped.empty
    pd.testing.assert_frame_equal(
        table.drop(columns="file"), serve(*(encoded(content) for content in contents))
    )


def test_entries_of_a_folder_that_are_not_files(tmp_path: Path, classifier: Classifier) -> None:
    one, other = tmp_path / "set" / "one", tmp_path / "set" / "other"
    one.mkdir(parents=True)
    other.mkdir()
    (tmp_path / "elsewhere").write_bytes(RIGHT["grey png"][0])
    (one / "link.png").symlink_to(tmp_path / "elsewhere")
    (one / "dangling.png").symlink_to(tmp_path / "nowhere")
    (one / "loop.png").symlink_to(one / "loop.png")
    (one / "folder.png").mkdir()
    os.mkfifo(one / "pipe.png")
    (one / ".hidden").write_text("ignored")
    table, skipped = classify_images(ImageFolderDataset(str(one)).load(), classifier, PREDICTION)
    assert table["file"].tolist() == ["link.png"]
    reasons = dict(skipped.to_numpy().tolist())
    assert reasons == {
        "dangling.png": "a link to a file that is not there",
        "loop.png": "a link to a file that is not there",
        "folder.png": "a folder, not an image",
        "pipe.png": "not a regular file",
    }
    with pytest.raises(ImageSetError) as refused:
        load(tmp_path / "set")
    for name, reason in reasons.items():
        assert f"one/{name}: {reason}" in str(refused.value)


def test_a_name_that_is_not_utf_8(tmp_path: Path, classifier: Classifier) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    content, _ = RIGHT["grey png"]
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(content)
    Path(os.fsdecode(os.fsencode(folder) + b"/no\xff.png")).write_bytes(b"no image")
    (folder / "größe.png").write_bytes(content)
    files = ImageFolderDataset(str(folder)).load()
    table, skipped = classify_images(files, classifier, PREDICTION)
    table.to_csv(tmp_path / "predictions.csv")
    assert table["file"].tolist() == ["caf\\xe9.png", "größe.png"]
    assert skipped["file"].tolist() == ["no\\xff.png"]
    sheet = plot_contact_sheet(files, table, classifier, PREDICTION)
    sheet.digest()
    sheet.draw().savefig(tmp_path / "sheet.png")

    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9")).mkdir()
    with pytest.raises(ImageSetError, match=r"class folder \\xe9 needs a name in UTF-8"):
        image_sets.classes_in(tmp_path)


def test_classes_in_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ImageSetError, match=r"xx cannot be read: File name too long$"):
        image_sets.classes_in(tmp_path / ("x" * 300))


def test_a_class_with_a_name_that_cannot_be_printed(tmp_path: Path) -> None:
    for name in ("one", "oth\rer"):
        (tmp_path / name).mkdir()
    with pytest.raises(ImageSetError, match=r"the class folder 'oth\\rer' needs a name that can be"):
        image_sets.classes_in(tmp_path)


def test_classes_have_the_same_names_in_a_locale_without_utf8(tmp_path: Path) -> None:
    for name in ("größe", "farbe", "ørn"):
        (tmp_path / name).mkdir()
    program = (
        "import sys, pathlib; from cnn_ablation.data.image_sets import classes_in\n"
        "assert sys.getfilesystemencoding() != 'utf-8'\n"
        "print(ascii(list(classes_in(pathlib.Path(sys.argv[1])))))"
    )
    result = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", program, str(tmp_path)],
        env=clean_environment()
        | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": f"{ROOT}/src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == ascii(["farbe", "größe", "ørn"]), result.stderr


def test_a_class_that_is_a_dangling_link(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "third").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ImageSetError, match="third is a link to a folder that is not there"):
        image_sets.classes_in(tmp_path)


def test_a_folder_without_any_image(tmp_path: Path, classifier: Classifier) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.csv").write_text("no image")
    with pytest.raises(StudyError, match="None of the 12 files in the folder is an image:") as failure:
        classify_images(ImageFolderDataset(str(tmp_path)).load(), classifier, PREDICTION)
    assert "\n  00.csv: not an image in an allowed format" in str(failure.value)
    assert str(failure.value).endswith("\n  and 2 more")
    with pytest.raises(DatasetError, match=r"00\.csv is not a folder: put the images to classify"):
        ImageFolderDataset(str(tmp_path / "00.csv")).load()


def test_one_original_is_in_memory_at_a_time(classifier: Classifier) -> None:
    alive: list[weakref.ref[Image.Image]] = []

    class Counted:
        name = "a.png"

        def read(self) -> Image.Image:
            assert all(reference() is None for reference in alive)
            image = Image.new("L", (500, 500))
            alive.append(weakref.ref(image))
            return image

    files = cast("list[ImageFile]", [Counted() for _ in range(70)])
    table, _ = classify_images(files, classifier, PREDICTION)
    assert len(table) == len(alive) == 70


def test_the_contact_sheet_reads_only_what_it_draws(tmp_path: Path, classifier: Classifier) -> None:
    for number in range(63):
        Image.new("RGB", (600, 300), "red").save(tmp_path / f"{number:02}.png")
    files = ImageFolderDataset(str(tmp_path)).load()
    table, _ = classify_images(files, classifier, PREDICTION)
    sheet = plot_contact_sheet(files, table, classifier, PREDICTION)
    assert list(sheet.images) == [f"{number:02}.png" for number in range(60)]
    assert all(image.size == (256, 128) for image in sheet.images.values())
    assert all(seen.shape == (1, 28, 28) for seen in sheet.inputs.values())


def test_the_contact_sheet_shows_the_image_and_the_input_of_the_network(
    tmp_path: Path, classifier: Classifier
) -> None:
    image = Image.new("RGB", (60, 60), "white")
    image.paste("black", (20, 20, 40, 40))
    image.save(tmp_path / "a.png")
    files = ImageFolderDataset(str(tmp_path)).load()
    detecting = PredictionParameters(dark_on_light=None)
    table, _ = classify_images(files, classifier, detecting)
    (axes,) = plot_contact_sheet(files, table, classifier, detecting).draw().axes
    drawn = np.asarray(axes.get_images()[0].get_array())
    left, right = drawn[128, 128], drawn[128, -128]
    assert (left[:3] == 0).all(), "the image has a black square"
    assert (right[:3] == 255).all(), "the network sees a white square"
    assert (drawn[10, -10, :3] == 0).all()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("%%%%", "not base64"),
        ("ü", "not base64"),
        ("", "empty"),
        (" \n", "empty"),
        (encoded(b"hello"), "not an image in an allowed format"),
        (encoded(REFUSED["huge"][0]), "too large"),
        (None, "null, not text"),
        (float("nan"), "null, not text"),
        (pd.NA, "null, not text"),
        (5, "int, not text"),
        (1.5, "float, not text"),
        (True, "bool, not text"),
        (["a"], "list, not text"),
        ({"a": "b"}, "dict, not text"),
    ],
)
def test_a_served_value_that_is_no_image(serve: Callable[..., Any], value: object, reason: str) -> None:
    good = encoded(RIGHT["grey png"][0])
    with pytest.raises(MlflowException) as failure:
        serve(good, value, good)
    assert f"row 1: {reason}" in failure.value.message
    assert "row 0" not in failure.value.message
    assert "/" not in failure.value.message.replace("BMP", "")
    assert failure.value.get_http_status_code() == 400


def test_base64_may_have_line_breaks_and_a_request_may_be_empty(serve: Callable[..., Any]) -> None:
    content, _ = RIGHT["grey png"]
    wrapped = base64.encodebytes(content).decode()
    assert "\n" in wrapped
    assert serve(wrapped).equals(serve(encoded(content)))
    assert serve().empty
    assert tuple(serve().columns) == COLUMNS[:4]


def test_the_guide_names_the_formats_and_the_cap() -> None:
    page = (ROOT / "docs/images.md").read_text()
    assert f"{MAX_PIXELS // 10**6} million pixels" in page
    for name in FORMATS:
        assert name in page.upper()
