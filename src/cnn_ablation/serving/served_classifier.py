"""The registered model, as MLflow loads it and as `kedro serve` does.

Its input has a column `image` with base64-encoded image files; see `image_files.read` for their formats.
"""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from PIL import Image

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.data.image_files import read
from cnn_ablation.errors import ImageFileError, listed
from cnn_ablation.serving.classifier import COLUMNS, Classifier

ARTIFACT = "classifier"


class ServedClassifier(PythonModel):
    """Classifies base64-encoded images."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network."""
        self._classifier = Classifier.load(Path(context.artifacts[ARTIFACT]))

    # MLflow passes its context only to models that have an argument for it.
    def predict(  # type: ignore[override]
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Classes and probabilities, see `Classifier.classify`.

        Args:
            model_input: A column image with base64-encoded image files.
            params: dark_on_light: true or false for all images; null: see `Classifier.prepare`.

        Raises:
            MlflowException: Some values are not images that can be read. The message names their rows
                and the reasons. MLflow's server would answer any other exception with a stack trace.
        """
        unreadable: dict[str, str] = {}

        def readable() -> Iterator[Image.Image]:
            for row, value in enumerate(model_input["image"]):
                try:
                    image = _decode(value)
                except ImageFileError as error:
                    unreadable[f"row {row}"] = str(error)
                else:
                    # After an unreadable image, further images are only checked.
                    if not unreadable:
                        yield image
                    del image

        dark_on_light = (params or {}).get("dark_on_light")
        answer = self._classifier.classify(readable(), dark_on_light=dark_on_light)
        if unreadable:
            raise MlflowException(
                f"column image, rows counted from 0:{listed(unreadable)}", INVALID_PARAMETER_VALUE
            )
        return answer


def _decode(value: object) -> Image.Image:
    if not isinstance(value, str):
        kind = "null" if pd.api.types.is_scalar(value) and pd.isna(value) else type(value).__name__
        raise ImageFileError(f"{kind}, not text: expected a base64-encoded image file")
    try:
        content = base64.b64decode("".join(value.split()), validate=True)
    except ValueError:
        raise ImageFileError("not base64: expected a base64-encoded image file") from None
    if not content:
        raise ImageFileError("empty: expected a base64-encoded image file")
    return read(content)


SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, "image")]),
    outputs=Schema(
        [
            ColSpec(DataType.double if "probability" in name else DataType.string, name)
            for name in COLUMNS
        ]
    ),
    params=ParamSchema([ParamSpec("dark_on_light", DataType.boolean, default=None)]),
)


def load(folder: Path) -> PyFuncModel:
    """The MLflow model that answers requests with a saved classifier.

    MLflow itself would import the code that the registered model brings along, and anybody who can
    write to the registry could run code that way.

    Args:
        folder: Folder of the classifier's files; see `Classifier.load`.

    Raises:
        LostModelError: See `Classifier.load`.
    """
    model = ServedClassifier()
    model.load_context(PythonModelContext({ARTIFACT: str(folder)}, model_config=None))
    return PyFuncModel(Model(signature=SIGNATURE), model)


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
