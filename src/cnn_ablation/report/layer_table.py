"""The layers of a network as a table."""

import math

import pandas as pd
import torch
from torch import nn

from cnn_ablation.data.splits import ImageShape
from cnn_ablation.parts.convnet import ConvNet, count_parameters
from cnn_ablation.study.parameters import ModelParameters


def describe_network(
    parameters: ModelParameters, image_shape: ImageShape, num_classes: int
) -> pd.DataFrame:
    """A row per layer: layer, kind, output_shape, parameters, and multiply_adds per image.

    The network is built on PyTorch's meta device, so nothing is computed. Only the multiply-adds of
    convolutions and matrix products are counted.

    Raises:
        ParameterError: See `ConvNet`.
    """
    with torch.device("meta"):
        network = ConvNet(parameters, image_shape, num_classes)
    shape: tuple[int, ...] = image_shape
    rows = []
    for name, layer in network.named_modules():
        if [*layer.children()]:
            continue
        multiply_adds = 0
        if isinstance(layer, nn.Conv2d):  # With padding, kernels visit every pixel.
            shape = (layer.out_channels, *shape[1:])
            multiply_adds = layer.weight.numel() * math.prod(shape[1:])
        elif isinstance(layer, nn.MaxPool2d):
            shape = (shape[0], *(pixels // 2 for pixels in shape[1:]))
        elif isinstance(layer, nn.Linear):
            shape = (layer.out_features,)
            multiply_adds = layer.weight.numel()
        rows.append(
            {
                "layer": name,
                "kind": type(layer).__name__,
                "output_shape": "x".join(map(str, shape)),
                "parameters": count_parameters(layer),
                "multiply_adds": multiply_adds,
            }
        )
    return pd.DataFrame(rows)
