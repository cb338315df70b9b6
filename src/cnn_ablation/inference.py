"""Trained networks put to use: whole, with the normalization that their training had."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from cnn_ablation.network import ConvNet
from cnn_ablation.parameters import ModelParameters
from cnn_ablation.store import StoredTrial
from cnn_ablation.training import Normalize


def rebuild(model: ModelParameters, stored: StoredTrial, data_summary: Mapping[str, Any]) -> nn.Module:
    """A trained network behind its normalization: pixels 0 to 255 in, logits out, not training.

    Args:
        model: Its architecture.
        stored: Its weights.
        data_summary: Of the data that it was trained on, as `splits.summarize_splits` makes it.
    """
    channels, height, width = data_summary["image_shape"]
    network = ConvNet(model, (channels, height, width), len(data_summary["class_names"]))
    weights = {name: torch.from_numpy(value) for name, value in stored.weights().items()}
    network.load_state_dict(weights)
    normalize = Normalize(torch.tensor(data_summary["mean"]), torch.tensor(data_summary["std"]))
    return nn.Sequential(normalize, network).eval()
