"""Nodes of prediction."""

from typing import Any

import pandas as pd
from PIL import Image

from cnn_ablation.errors import StudyError
from cnn_ablation.report.figures import ContactSheet
from cnn_ablation.study.parameters import PredictionParameters


def classify_images(
    images: dict[str, Image.Image | str], classifier: Any, prediction: PredictionParameters
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the three most probable classes of each image.

    Args:
        images: Image by file name, or the reason why the file cannot be read.
        classifier: A `serving.classifier.Classifier`. The annotation would import torch at start-up.
        prediction: Parameters of the prediction.

    Returns:
        A row per image with file and `serving.classifier.COLUMNS`, and a row per skipped file with file
        and reason.

    Raises:
        StudyError: No file is an image.
    """
    readable = {name: image for name, image in images.items() if isinstance(image, Image.Image)}
    skipped = [(name, reason) for name, reason in images.items() if isinstance(reason, str)]
    if not readable:
        raise StudyError(
            f"None of the {len(images)} files in the folder is an image: {', '.join(images)}"
        )
    predictions = classifier.classify(list(readable.values()), dark_on_light=prediction.dark_on_light)
    predictions.insert(0, "file", list(readable))
    return predictions, pd.DataFrame(skipped, columns=["file", "reason"])


def plot_contact_sheet(images: dict[str, Image.Image | str], predictions: pd.DataFrame) -> ContactSheet:
    """Draw the images with their classes and probabilities."""
    readable = {name: image for name, image in images.items() if isinstance(image, Image.Image)}
    return ContactSheet(images=readable, predictions=predictions)
