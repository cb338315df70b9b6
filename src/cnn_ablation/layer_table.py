"""What a network consists of, layer by layer."""

import math
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from cnn_ablation.network import ConvNet, count_parameters
from cnn_ablation.parameters import ModelParameters
from cnn_ablation.splits import ImageShape


def describe_network(
    parameters: ModelParameters, image_shape: ImageShape, num_classes: int
) -> pd.DataFrame:
    """A row per layer: its name, kind, output shape, parameters and multiply-adds per image.

    Nothing is computed: the network is built and run on PyTorch's meta device. Multiply-adds are those
    of convolutions and matrix products.

    Raises:
        ParameterError: As `ConvNet`.
    """
    with torch.device("meta"):
        network = ConvNet(parameters, image_shape, num_classes).eval()
        image = torch.empty(1, *image_shape)
    names = {module: name for name, module in network.named_modules()}
    rows: list[dict[str, Any]] = []

    def record(module: nn.Module, _: object, output: Tensor) -> None:
        shape = output.shape[1:]
        products = module.weight.numel() if isinstance(module, nn.Conv2d | nn.Linear) else 0
        rows.append(
            {
                "layer": names[module],
                "kind": type(module).__name__,
                "output_shape": "x".join(map(str, shape)),
                "parameters": count_parameters(module),
                # A convolution's kernels meet every pixel of a map.
                "multiply_adds": products * math.prod(shape[1:]),
            }
        )

    for module in names:
        if not [*module.children()]:
            module.register_forward_hook(record)
    with torch.no_grad():
        network(image)
    return pd.DataFrame(rows)
