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
    """The three likeliest classes of each image, and the files that are no images.

    `classifier` is an `inference.Classifier`; its type is not said, for it takes seconds to import.

    Args:
        images: By file name; where a file is no image, the reason in words.
        classifier: Names what is on them.
        prediction: How they are to be taken.

    Returns:
        file, then `inference.COLUMNS`, a row per image; file and reason, a row per file skipped.

    Raises:
        StudyError: None of the files is an image.
    """
    readable = {name: image for name, image in images.items() if isinstance(image, Image.Image)}
    skipped = [(name, reason) for name, reason in images.items() if isinstance(reason, str)]
    if not readable:
        raise StudyError(
            f"None of the {len(images)} files in the folder of images is one: {', '.join(images)}"
        )
    predictions = classifier.classify(list(readable.values()), dark_on_light=prediction.dark_on_light)
    predictions.insert(0, "file", list(readable))
    return predictions, pd.DataFrame(skipped, columns=["file", "reason"])


def plot_contact_sheet(images: dict[str, Image.Image | str], predictions: pd.DataFrame) -> ContactSheet:
    """The images with their classes and probabilities."""
    readable = {name: image for name, image in images.items() if isinstance(image, Image.Image)}
    return ContactSheet(images=readable, predictions=predictions)
