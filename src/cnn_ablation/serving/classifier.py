"""Inference with a trained network, including the normalization of its training."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
import torch
from PIL import Image
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from cnn_ablation import kernels
from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.data.image_files import prepare
from cnn_ablation.errors import LostModelError, StudyError
from cnn_ablation.execution.store import NO_FILE, StoredTrial
from cnn_ablation.parts.architectures import AnyArchitecture, Architecture
from cnn_ablation.study.configuration import locate
from cnn_ablation.training.devices import compiles
from cnn_ablation.training.prediction import EVALUATION_BATCH, predict
from cnn_ablation.training.training_data import Normalize

DESCRIPTION = "classifier.json"
WEIGHTS = "weights.safetensors"
COLUMNS = (
    *("class", "probability", "second", "second_probability"),
    *("third", "third_probability"),
)
"""Columns of a classification: the three most probable classes with their probabilities."""


class _Data(BaseModel):
    """The images that a network was trained on, as a saved classifier describes them."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    image_shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    class_names: Annotated[list[str], Field(min_length=1)]
    mean: list[Annotated[float, Field(ge=0, le=1)]]
    std: list[Annotated[float, Field(gt=0, le=1)]]

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        channels = self.image_shape[0]
        for name in ("mean", "std"):
            if len(getattr(self, name)) != channels:
                raise ValueError(f"{name} should have one value per channel of image_shape: {channels}")
        return self


def _with_kind(model: Any) -> Any:
    """Models that were registered before architectures had a `kind` are convnets."""
    return {"kind": "convnet", **model} if isinstance(model, dict) else model


class _Description(BaseModel):
    """The content of `DESCRIPTION`."""

    model: Annotated[AnyArchitecture, BeforeValidator(_with_kind)]
    data: _Data


def _damaged(folder: Path, reason: str) -> LostModelError:
    """The error for a registered model that cannot be loaded.

    Args:
        folder: Folder of the model.
        reason: What is wrong, and in which of its files. It is put on one line.
    """
    return LostModelError(
        f"The model in {folder} is damaged ({' '.join(reason.split())}): name another version as "
        "predict_with in conf/local/globals.yml, or run the study again, which registers its winner"
    )


def rebuild(model: Architecture, stored: StoredTrial, data_summary: Mapping[str, Any]) -> nn.Module:
    """A trained network in evaluation mode, from pixels (0 to 255) to logits.

    Args:
        model: Architecture of the network.
        stored: Trial that trained it.
        data_summary: Summary of the data that it was trained on, see `splits.summarize_splits`.
    """
    return _whole(model, _tensors(stored), data_summary)


class Classifier:
    """A trained network that classifies images of any size and colours.

    Args:
        model: Architecture of the network.
        weights: Its parameters and buffers by name.
        data: image_shape (channels, height, width), class_names, and mean and std of the training
            images' pixels, per channel, scaled to 0 to 1.
    """

    def __init__(
        self, model: Architecture, weights: Mapping[str, torch.Tensor], data: Mapping[str, Any]
    ) -> None:
        self._model = model
        self._weights = dict(weights)
        self._data = {key: data[key] for key in ("image_shape", "class_names", "mean", "std")}
        self._network = _whole(model, weights, data)

    @classmethod
    def of_trial(cls, model: Architecture, stored: StoredTrial, data_summary: Mapping[str, Any]) -> Self:
        """The classifier with the network of a trial. For the arguments, see `rebuild`."""
        return cls(model, _tensors(stored), data_summary)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load a classifier from the files that `save` writes.

        Raises:
            LostModelError: A file is missing or damaged, or the files do not belong together.
            StudyError: A file cannot be read now, for example without permission.
        """
        description = _read_description(folder)
        content = _read(folder, WEIGHTS)
        try:
            weights = load(content)
            for name, values in weights.items():
                if not values.isfinite().all():
                    raise ValueError(f"{name} has values that are not finite")
            return cls(description.model, weights, description.data.model_dump())
        except (ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
            raise _damaged(folder, f"{WEIGHTS}: {type(error).__name__}: {error}") from error

    def save(self, folder: Path) -> None:
        """Write two files: a description (JSON) and the weights (safetensors)."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).write_text(self._description())
        # The function of safetensors that writes a file makes one that no other user can read.
        (folder / WEIGHTS).write_bytes(save(self._weights))

    def digest(self) -> str:
        """SHA-256 of the description, which has the architecture and the names of the classes."""
        return hashlib.sha256(self._description().encode()).hexdigest()

    def _description(self) -> str:
        description = {"model": self._model.model_dump(), "data": self._data}
        return json.dumps(description, indent=2) + "\n"

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of the network's input, pixels."""
        channels, height, width = self._data["image_shape"]
        return channels, height, width

    def prepare(self, image: Image.Image, *, dark_on_light: bool | None = None) -> np.ndarray:
        """The network's input for an image: uint8 (channels, height, width).

        Args:
            image: An image of any size and colours.
            dark_on_light: Whether it shows dark objects on a light ground, so that it is inverted; None:
                detected by the rule of `image_files.prepare` if the network was trained on grey images
                that are dark on average, such as light objects on a dark ground. Other networks get the
                image as it is.

        Raises:
            ImageFileError: The image has pixels that are not supported, see `image_files.prepare`.
        """
        if dark_on_light is None and (self.image_shape[0] > 1 or self._data["mean"][0] > 0.5):
            dark_on_light = False
        return prepare(image, self.image_shape, dark_on_light=dark_on_light)

    def classify(
        self, images: Iterable[Image.Image], *, dark_on_light: bool | None = None
    ) -> pd.DataFrame:
        """The three most probable classes of each image, a row per image.

        Args:
            images: Images of any size and colours. Each is resized to the network's input before the
                next one is taken, and classified before the next batch is taken, so that memory does not
                depend on their number.
            dark_on_light: See `prepare`.

        Returns:
            The columns `COLUMNS`, with probabilities from 0 to 1. Networks with two classes have no
            third class.

        Raises:
            ImageFileError: An image has pixels that are not supported, see `image_files.prepare`.
        """
        names = self._data["class_names"]
        # Unlike a loop, `map` keeps no image while the next one is read.
        prepared = map(partial(self.prepare, dark_on_light=dark_on_light), images)
        columns = COLUMNS[: 2 * len(names)]
        batches = [
            predict(self._network, torch.from_numpy(np.stack(batch)), nn.Identity())
            for batch in iter(lambda: list(islice(prepared, EVALUATION_BATCH)), [])
        ]
        if not batches:
            return pd.DataFrame(columns=list(columns))
        top = torch.cat(batches).softmax(1).double().topk(min(len(COLUMNS) // 2, len(names)))
        classes = [[names[index] for index in row] for row in top.indices.T.tolist()]
        ranked = zip(classes, top.values.T.tolist(), strict=True)
        return pd.DataFrame(dict(zip(columns, chain.from_iterable(ranked), strict=True)))


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        if error.errno in NO_FILE:
            raise _damaged(folder, f"{name}: {type(error).__name__}: {error}") from error
        raise StudyError(
            f"{folder / name} cannot be read: {error.strerror}. Make the file readable, or name another "
            "version as predict_with in conf/local/globals.yml"
        ) from error


def _read_description(folder: Path) -> _Description:
    content = _read(folder, DESCRIPTION)
    try:
        return _Description.model_validate_json(content)
    except ValidationError as error:
        detail = error.errors()[0]
        is_value = detail["type"] != "json_invalid" and not isinstance(detail["input"], dict)
        given = f" (given: {detail['input']!r})" if is_value else ""
        raise _damaged(folder, f"{DESCRIPTION}: {locate(detail)}{given}") from error


def _tensors(stored: StoredTrial) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in stored.weights().items()}


def _whole(
    model: Architecture, weights: Mapping[str, torch.Tensor], data: Mapping[str, Any]
) -> nn.Module:
    channels, height, width = data["image_shape"]
    network = model.build((channels, height, width), len(data["class_names"]))
    if compiles():
        kernels.accelerate(network)
    network.load_state_dict(dict(weights))
    normalize = Normalize(torch.tensor(data["mean"]), torch.tensor(data["std"]))
    return nn.Sequential(normalize, network).eval()
