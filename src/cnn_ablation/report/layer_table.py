"""The layers of a network as a table."""

import math
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.parts.architectures import Architecture
from cnn_ablation.parts.layers import count_parameters


def describe_network(
    architecture: Architecture, image_shape: ImageShape, num_classes: int
) -> pd.DataFrame:
    """A row per layer, in the order in which they run.

    Returns:
        Columns: layer (name), kind (class), output_shape, parameters, and multiply_adds per image, which
        are those of convolutions and matrix products.

    Raises:
        ParameterError: See `Architecture.build`.
    """
    rows: dict[str, dict[str, Any]] = {}

    def describe(name: str, layer: nn.Module, output: Tensor) -> None:
        shape = output.shape[1:]
        multiply_adds = 0
        if isinstance(layer, nn.Conv2d):
            multiply_adds = layer.weight.numel() * math.prod(shape[1:])
        elif isinstance(layer, nn.Linear):
            multiply_adds = layer.weight.numel() * math.prod(shape[:-1])
        rows[name] = {
            "layer": name,
            "kind": type(layer).__name__,
            "output_shape": "x".join(map(str, shape)),
            "parameters": count_parameters(layer),
            "multiply_adds": multiply_adds,
        }

    with torch.device("meta"):
        network = architecture.build(image_shape, num_classes).eval()
    for name, layer in network.named_modules():
        if not [*layer.children()]:
            layer.register_forward_hook(
                lambda layer, _, output, name=name: describe(name, layer, output)
            )
    image = torch.empty(1, *image_shape)
    # Only shapes are of interest, so the weights stay undefined.
    with torch.inference_mode():
        try:
            network.to_empty(device="cpu")(image)
        except RuntimeError:
            # The network does not fit into memory. The meta device needs none, but for many operations
            # it imports PyTorch's compiler, which takes longer than all else here.
            network.to_empty(device="meta")(image.to("meta"))
    return pd.DataFrame(rows.values())
