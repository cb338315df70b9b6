"""Preparation and classification of images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_ablation.data.image_files import prepare
from cnn_ablation.parts.initializations import PyTorchDefault
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


def test_the_aspect_ratio_is_kept_and_transparency_becomes_background() -> None:
    wide = Image.new("RGBA", (200, 100), (255, 255, 255, 255))
    array = prepare(wide, (1, 28, 28), dark_on_light=False)[0]
    assert (array[14] == 255).all()
    assert (array[0] == 0).all(), "padded with dark background, not stretched"
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    assert (prepare(clear, (1, 28, 28), dark_on_light=True) == 0).all()


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


def test_a_loaded_classifier_gives_the_same_results(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "model")
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 30), dtype=np.uint8))
    again = Classifier.load(tmp_path / "model")
    assert again.image_shape == (1, 28, 28)
    assert classifier.classify([image]).equals(again.classify([image]))


def test_the_network_is_in_evaluation_mode(classifier: Classifier) -> None:
    image = [Image.new("L", (28, 28), 200)]
    assert classifier.classify(image).equals(classifier.classify(image))
