"""Preparation and classification of images."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numba
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnn_ablation import kernels
from cnn_ablation.data.image_files import prepare
from cnn_ablation.data.splits import Arrays
from cnn_ablation.errors import StudyError
from cnn_ablation.parts.initializations import PyTorchDefault
from cnn_ablation.serving import served_classifier
from cnn_ablation.serving.classifier import COLUMNS, Classifier
from cnn_ablation.training.initial_weights import seed_network
from tests.conftest import JOURNAL_MODEL

DATA: dict[str, Any] = {
    "image_shape": [1, 28, 28],
    "class_names": ["Bag", "Coat", "Dress", "Shirt"],
    "mean": [0.3],
    "std": [0.35],
}


@pytest.fixture
def classifier() -> Classifier:
    network = JOURNAL_MODEL.build((1, 28, 28), 4)
    seed_network(network, PyTorchDefault(), 0, torch.device("cpu"))
    return Classifier(JOURNAL_MODEL, network.state_dict(), DATA)


def save_served(network: nn.Module, folder: Path) -> Path:
    """Save a network of the journal as the MLflow model that answers requests. Return its folder."""
    Classifier(JOURNAL_MODEL, network.state_dict(), DATA).save(folder / "classifier")
    mlflow.pyfunc.save_model(
        str(folder / "model"),
        python_model=served_classifier.__file__,
        artifacts={served_classifier.ARTIFACT: str(folder / "classifier")},
        signature=served_classifier.SIGNATURE,
        pip_requirements=["torch"],
    )
    return folder / "model"


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "CMYK"])
@pytest.mark.parametrize("size", [(28, 28), (300, 200), (5, 90)])
def test_any_mode_and_size_is_converted(mode: str, size: tuple[int, int]) -> None:
    image = Image.new(mode, size)
    for shape in ((1, 28, 28), (3, 32, 32)):
        array = prepare(image, shape, dark_on_light=False)
        assert array.shape == shape
        assert array.dtype == np.uint8


def test_an_image_of_the_right_size_is_not_changed() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    array = prepare(Image.fromarray(pixels), (1, 28, 28), dark_on_light=False)
    np.testing.assert_array_equal(array[0], pixels)
    inverted = prepare(Image.fromarray(255 - pixels), (1, 28, 28), dark_on_light=True)
    np.testing.assert_array_equal(inverted[0], pixels)


def drawing(ground: int, thing: int, size: tuple[int, int] = (60, 30), mode: str = "L") -> Image.Image:
    """A rectangle in the middle of a ground."""
    image = Image.new("L", size, ground)
    width, height = size
    image.paste(thing, (width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize(("ground", "thing"), [(0, 200), (255, 90), (140, 240), (140, 20)])
def test_the_aspect_ratio_is_kept_and_the_rest_has_the_colour_of_the_ground(
    mode: str, ground: int, thing: int
) -> None:
    array = prepare(drawing(ground, thing, mode=mode), (1, 28, 28), dark_on_light=False)[0]
    assert (array[:7] == ground).all()
    assert (array[-7:] == ground).all()
    assert array[14, 14] == thing


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("ground", "thing", "inverted"),
    [(0, 200, False), (255, 90, True), (140, 240, False), (140, 20, True), (90, 90, False)],
)
def test_the_polarity_is_detected(mode: str, ground: int, thing: int, inverted: bool) -> None:
    image = drawing(ground, thing, mode=mode)
    detected = prepare(image, (1, 28, 28), dark_on_light=None)
    np.testing.assert_array_equal(detected, prepare(image, (1, 28, 28), dark_on_light=inverted))
    assert detected[0, 14, 14] == (255 - thing if inverted else thing)


def test_the_polarity_of_fashion_mnist_is_detected(raw_images: Arrays) -> None:
    for pixels in (*raw_images["train_images"], *raw_images["test_images"]):
        for shown in (pixels, 255 - pixels):
            found = prepare(Image.fromarray(shown), (1, 28, 28), dark_on_light=None)
            np.testing.assert_array_equal(found[0], pixels)


@pytest.mark.parametrize(("thing", "dark"), [(20, True), (230, False)])
def test_a_transparent_ground_becomes_dark_and_the_object_light(thing: int, dark: bool) -> None:
    image = drawing(0, thing).convert("RGBA")
    image.putalpha(drawing(0, 255))
    array = prepare(image, (1, 28, 28), dark_on_light=None)[0]
    assert array[14, 14] == (255 - thing if dark else thing)
    assert (array[:7] == 0).all()
    assert (array[14, :4] == 0).all()
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    for polarity in (None, True, False):
        assert (prepare(clear, (1, 28, 28), dark_on_light=polarity) == 0).all()


def test_transparent_corners_take_the_colour_of_the_opaque_ground() -> None:
    image = drawing(250, 10, (100, 100)).convert("RGBA")
    alpha = Image.new("L", (100, 100), 255)
    alpha.paste(0, (0, 0, 12, 12))
    image.putalpha(alpha)
    array = prepare(image, (1, 28, 28), dark_on_light=None)[0]
    assert abs(array[:3, :3].astype(int) - 5).max() <= 1
    assert array[14, 14] == 245


def test_only_networks_for_dark_grey_images_get_inverted_images(classifier: Classifier) -> None:
    image = drawing(255, 90)
    assert classifier.prepare(image)[0, 14, 14] == 255 - 90
    assert classifier.prepare(image, dark_on_light=False)[0, 14, 14] == 90
    light = Classifier(JOURNAL_MODEL, classifier._weights, {**DATA, "mean": [0.7]})
    assert light.prepare(image)[0, 14, 14] == 90
    network = JOURNAL_MODEL.build((3, 28, 28), 4)
    colour = {"image_shape": [3, 28, 28], "mean": [0.3] * 3, "std": [0.3] * 3}
    of_colours = Classifier(JOURNAL_MODEL, network.state_dict(), {**DATA, **colour})
    assert (of_colours.prepare(image)[:, 14, 14] == 90).all()


def test_batches_do_not_change_results(classifier: Classifier) -> None:
    images = [drawing(0, shade) for shade in range(100, 230)]
    together = classifier.classify(images)
    assert len(together) == 130
    alone = classifier.classify(images[-1:])
    assert together["class"].iloc[-1] == alone["class"].iloc[0]
    assert together["probability"].iloc[-1] == pytest.approx(alone["probability"].iloc[0], rel=1e-4)


def test_the_three_most_probable_classes_are_returned(classifier: Classifier) -> None:
    images = [Image.new("L", (28, 28), shade) for shade in (0, 128, 255)]
    table = classifier.classify(images)
    assert tuple(table.columns) == COLUMNS
    assert set(table["class"]) <= set(DATA["class_names"])
    assert (table["probability"] >= table["second_probability"]).all()
    assert (table[["probability", "second_probability", "third_probability"]].sum(axis=1) <= 1).all()


def test_two_classes_have_no_third() -> None:
    network = JOURNAL_MODEL.build((1, 28, 28), 2)
    two = Classifier(JOURNAL_MODEL, network.state_dict(), {**DATA, "class_names": ["Bag", "Coat"]})
    assert tuple(two.classify([Image.new("L", (9, 9))]).columns) == COLUMNS[:4]


@pytest.mark.parametrize("file", ["classifier.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b"a folder"])
def test_a_damaged_model_is_a_clear_error(
    classifier: Classifier, tmp_path: Path, file: str, content: bytes | None
) -> None:
    classifier.save(tmp_path)
    (tmp_path / file).unlink()
    if content == b"a folder":
        (tmp_path / file).mkdir()
    elif content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(StudyError, match=rf"is damaged \({file}: .*predict_with") as caught:
        Classifier.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("std", [0.0], "data.std.0: Input should be greater than 0 (given: 0.0)"),
        ("std", [], "data: std should have one value per channel of image_shape: 1"),
        ("std", [0.3, 0.3], "data: std should have one value per channel of image_shape: 1"),
        ("std", 0.3, "data.std: Input should be a valid array (given: 0.3)"),
        ("mean", [float("nan")], "data.mean.0: Input should be a finite number (given: nan)"),
        ("mean", ["0.3"], "data.mean.0: Input should be a valid number (given: '0.3')"),
        ("mean", [76.5], "data.mean.0: Input should be less than or equal to 1 (given: 76.5)"),
        ("class_names", [0, 1, 2, 3], "data.class_names.0: Input should be a valid string (given: 0)"),
        ("class_names", "abcd", "data.class_names: Input should be a valid"),
        ("image_shape", [1, 28], "data.image_shape: List should have at least 3 items"),
        ("image_shape", [1, 28, 0], "data.image_shape.2: Input should be greater than 0 (given: 0)"),
    ],
)
def test_a_description_that_gives_no_probabilities_is_damaged(
    classifier: Classifier, tmp_path: Path, key: str, value: Any, reason: str
) -> None:
    classifier.save(tmp_path)
    file = tmp_path / "classifier.json"
    description = json.loads(file.read_text())
    description["data"][key] = value
    file.write_text(json.dumps(description))
    with pytest.raises(StudyError) as caught:
        Classifier.load(tmp_path)
    assert f"The model in {tmp_path} is damaged (classifier.json: {reason}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_damaged(classifier: Classifier, tmp_path: Path) -> None:
    next(iter(classifier._weights.values())).fill_(float("nan"))
    classifier.save(tmp_path)
    with pytest.raises(StudyError, match=r"\(weights\.safetensors: .* not finite\)"):
        Classifier.load(tmp_path)


def test_a_model_from_before_architectures_had_kinds_is_a_convnet(
    classifier: Classifier, tmp_path: Path
) -> None:
    classifier.save(tmp_path)
    file = tmp_path / "classifier.json"
    description = json.loads(file.read_text())
    del description["model"]["kind"]
    file.write_text(json.dumps(description))
    assert Classifier.load(tmp_path)._model == classifier._model


def test_a_loaded_classifier_gives_the_same_results(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "model")
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 30), dtype=np.uint8))
    again = Classifier.load(tmp_path / "model")
    assert again.image_shape == (1, 28, 28)
    assert classifier.classify([image]).equals(again.classify([image]))


def test_the_network_is_in_evaluation_mode(classifier: Classifier) -> None:
    image = [Image.new("L", (28, 28), 200)]
    assert classifier.classify(image).equals(classifier.classify(image))


def test_images_are_classified_without_numbas_compiler(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier.save(tmp_path / "model")
    image = [Image.new("L", (28, 28), 200)]
    expected = classifier.classify(image)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    monkeypatch.setattr(kernels, "accelerate", lambda _: pytest.fail("needs the compiler"))
    result = Classifier.load(tmp_path / "model").classify(image)
    assert result["class"].equals(expected["class"])
    assert np.allclose(result["probability"], expected["probability"])
