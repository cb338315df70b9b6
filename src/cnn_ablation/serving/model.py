"""The registered model: what MLflow loads and serves.

Images come as base64 of image files of any common format, size and colours, in a column `image`.
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

from cnn_ablation.schema import ImageShape
from cnn_ablation.serving.classifier import COLUMNS, Classifier

ARTIFACT = "classifier"


class ServedClassifier(PythonModel):
    """Classifies images that come as text."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network."""
        self._classifier = Classifier.load(Path(context.artifacts[ARTIFACT]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Classes and probabilities, as `Classifier.classify` gives them.

        Args:
            context: MLflow's.
            model_input: Column image: base64 of an image file.
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
    """An input: one image of nothing, of this shape."""
    channels, height, width = shape
    return pd.DataFrame({"image": [encode(Image.new("L" if channels == 1 else "RGB", (width, height)))]})


def encode(image: Image.Image) -> str:
    """An image as the model takes it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


mlflow.models.set_model(ServedClassifier())
