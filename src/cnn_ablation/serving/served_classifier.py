"""The registered model, which MLflow loads and serves.

Its input has a column `image` with base64-encoded image files of any common format, size and colours.
"""

import base64
import io
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from PIL import Image

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.serving.classifier import COLUMNS, Classifier

ARTIFACT = "classifier"


class ServedClassifier(PythonModel):
    """Classifies base64-encoded images."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network."""
        self._classifier = Classifier.load(Path(context.artifacts[ARTIFACT]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Classes and probabilities, see `Classifier.classify`.

        Args:
            context: Context from MLflow, not used.
            model_input: A column image with base64-encoded image files.
            params: dark_on_light, see `Classifier.classify`.
        """
        images = [Image.open(io.BytesIO(base64.b64decode(text))) for text in model_input["image"]]
        dark_on_light = bool((params or {}).get("dark_on_light", False))
        return self._classifier.classify(images, dark_on_light=dark_on_light)


SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, "image")]),
    outputs=Schema(
        [
            ColSpec(DataType.double if "probability" in name else DataType.string, name)
            for name in COLUMNS
        ]
    ),
    params=ParamSchema([ParamSpec("dark_on_light", DataType.boolean, default=False)]),
)


def example(shape: ImageShape) -> pd.DataFrame:
    """An example input: one black image of this shape (channels, height, width)."""
    channels, height, width = shape
    return pd.DataFrame({"image": [encode(Image.new("L" if channels == 1 else "RGB", (width, height)))]})


def encode(image: Image.Image) -> str:
    """An image as base64-encoded PNG file, the form of the model's input."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


mlflow.models.set_model(ServedClassifier())
