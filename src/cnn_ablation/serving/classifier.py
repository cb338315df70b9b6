"""Trained networks put to use: whole, with the normalization that their training had."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from PIL import Image
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from torch import nn

from cnn_ablation import kernels
from cnn_ablation.data.image_files import prepare
from cnn_ablation.execution.store import StoredTrial
from cnn_ablation.parts.architectures import AnyArchitecture, Architecture
from cnn_ablation.schema import ImageShape
from cnn_ablation.training.data import Normalize
from cnn_ablation.training.loop import predict

DESCRIPTION = "classifier.json"
WEIGHTS = "weights.safetensors"
ARCHITECTURE: TypeAdapter[Architecture] = TypeAdapter(AnyArchitecture)
COLUMNS = (
    *("class", "probability", "second", "second_probability"),
    *("third", "third_probability"),
)
"""Of a classification: the likeliest class, the next two, and their probabilities."""


def rebuild(model: Architecture, stored: StoredTrial, data_summary: Mapping[str, Any]) -> nn.Module:
    """A trained network behind its normalization: pixels 0 to 255 in, logits out, not training.

    Args:
        model: Its architecture.
        stored: Its weights.
        data_summary: Of the data that it was trained on, as `splits.summarize_splits` makes it.
    """
    return _whole(model, _tensors(stored), data_summary)


class Classifier:
    """A trained network that names what is on any image.

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
        """The network of a trial; the arguments are those of `rebuild`."""
        return cls(model, _tensors(stored), data_summary)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` has written."""
        description = json.loads((folder / DESCRIPTION).read_text())
        # Models that were registered before architectures had kinds are of the first one.
        model = ARCHITECTURE.validate_python({"kind": "convnet", **description["model"]})
        return cls(model, load_file(folder / WEIGHTS), description["data"])

    def save(self, folder: Path) -> None:
        """Write two files: a description as JSON, the weights as safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {"model": self._model.model_dump(), "data": self._data}
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
        save_file(self._weights, folder / WEIGHTS)

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of the images that the network takes, pixels."""
        channels, height, width = self._data["image_shape"]
        return channels, height, width

    def classify(self, images: Sequence[Image.Image], *, dark_on_light: bool = False) -> pd.DataFrame:
        """The three likeliest classes of each image, a row per image.

        Args:
            images: Of any size and colours; each is fitted into the size that the network takes.
            dark_on_light: Whether they show dark things on a light ground. The network was trained on
                light ones on a dark ground.

        Returns:
            `COLUMNS`; probabilities from 0 to 1. With but two classes there is no third.
        """
        names = self._data["class_names"]
        prepared = [prepare(image, self.image_shape, dark_on_light=dark_on_light) for image in images]
        logits = predict(self._network, torch.from_numpy(np.stack(prepared)), nn.Identity())
        top = logits.softmax(1).double().topk(min(len(COLUMNS) // 2, len(names)))
        classes = [[names[index] for index in row] for row in top.indices.T.tolist()]
        ranked = zip(classes, top.values.T.tolist(), strict=True)
        return pd.DataFrame(dict(zip(COLUMNS, chain.from_iterable(ranked), strict=False)))


def _tensors(stored: StoredTrial) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in stored.weights().items()}


def _whole(
    model: Architecture, weights: Mapping[str, torch.Tensor], data: Mapping[str, Any]
) -> nn.Module:
    channels, height, width = data["image_shape"]
    network = model.build((channels, height, width), len(data["class_names"]))
    kernels.accelerate(network)
    network.load_state_dict(dict(weights))
    normalize = Normalize(torch.tensor(data["mean"]), torch.tensor(data["std"]))
    return nn.Sequential(normalize, network).eval()
