"""Nodes of prediction."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from PIL import Image

from cnn_ablation.data.image_files import ImageFile
from cnn_ablation.errors import ImageFileError, StudyError, listed
from cnn_ablation.report.figures import ContactSheet
from cnn_ablation.study.parameters import PredictionParameters


def classify_images(
    images: list[ImageFile], classifier: Any, prediction: PredictionParameters
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the three most probable classes of each image. One original is in memory at a time.

    Args:
        images: Files, some of which may not be images.
        classifier: A `serving.classifier.Classifier`. The annotation would import torch at start-up.
        prediction: Parameters of the prediction.

    Returns:
        A row per image with file and `serving.classifier.COLUMNS`, and a row per skipped file with file
        and reason.

    Raises:
        StudyError: No file is an image.
    """
    names: list[str] = []
    skipped: list[tuple[str, str]] = []

    def readable() -> Iterator[Image.Image]:
        for file in images:
            try:
                image = file.read()
            except ImageFileError as error:
                skipped.append((file.name, str(error)))
            else:
                names.append(file.name)
                yield image
                # Free the image before the next one is read.
                del image

    predictions = classifier.classify(readable(), dark_on_light=prediction.dark_on_light)
    if not names:
        raise StudyError(
            f"None of the {len(images)} files in the folder is an image:{listed(dict(skipped))}"
        )
    predictions.insert(0, "file", names)
    return predictions, pd.DataFrame(skipped, columns=["file", "reason"])


def plot_contact_sheet(
    images: list[ImageFile],
    predictions: pd.DataFrame,
    classifier: Any,
    prediction: PredictionParameters,
) -> ContactSheet:
    """Draw the first images beside the network's input, with their classes and probabilities."""
    shown = set(predictions["file"].head(ContactSheet.limit))
    originals, inputs = {}, {}
    for file in images:
        if file.name in shown:
            image = file.read()
            inputs[file.name] = classifier.prepare(image, dark_on_light=prediction.dark_on_light)
            originals[file.name] = _thumbnail(image)
            del image
    return ContactSheet(images=originals, inputs=inputs, predictions=predictions)


def _thumbnail(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.thumbnail((ContactSheet.THUMBNAIL, ContactSheet.THUMBNAIL))
    return image
