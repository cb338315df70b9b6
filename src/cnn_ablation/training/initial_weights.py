"""Initial weights and dropout of a network, drawn from random streams."""

import torch
from torch import nn

from cnn_ablation.parts.initializations import Initialization
from cnn_ablation.parts.layers import SeededDropout
from cnn_ablation.training import random_streams


def seed_network(
    network: nn.Module, initialization: Initialization, seed: int, device: torch.device
) -> None:
    """Draw initial weights and give dropout its own stream, both from the seed.

    Each convolutional and linear layer has its own stream, named after the layer. With the same seed, a
    layer with the same name and shape therefore has the same initial weights in every network. Other
    layers keep the weights that they were built with.

    Args:
        network: The network, whose weights are set in place.
        initialization: Initialization of convolutional and linear layers.
        seed: Seed of the trial.
        device: Device of the network.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            stream = random_streams.generator(seed, "initial weights", name)
            # Drawn on the CPU, so that all devices start from the same weights.
            weight = torch.empty(module.weight.shape)
            bias = None if module.bias is None else torch.empty(module.bias.shape)
            with torch.no_grad():
                initialization.fill(weight, bias, stream)
                module.weight.copy_(weight)
                if module.bias is not None and bias is not None:
                    module.bias.copy_(bias)
        elif isinstance(module, SeededDropout):
            module.generator = random_streams.generator(seed, "dropout", name, device=device)
