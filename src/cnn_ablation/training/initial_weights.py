"""Initial weights and dropout of a network, drawn from streams of a seed."""

import torch
from torch import nn

from cnn_ablation.parts.initializations import Initialization
from cnn_ablation.parts.layers import SeededDropout
from cnn_ablation.training import random_streams


def seed_network(
    network: nn.Module, initialization: Initialization, seed: int, device: torch.device
) -> None:
    """Draw initial weights, and give dropout its own stream, both from the seed.

    Each convolutional and linear layer has a stream of its own, named after the layer, so that a layer
    of the same name and shape starts the same in every network. Other layers keep the weights that they
    were built with.

    Args:
        network: Its weights are set in place.
        initialization: Of convolutional and linear layers.
        seed: Of the trial.
        device: Where the network is.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            stream = random_streams.generator(seed, "initial weights", name)
            # Drawn on the CPU whatever the device, so that all devices start the same.
            weight = torch.empty(module.weight.shape)
            bias = None if module.bias is None else torch.empty(module.bias.shape)
            with torch.no_grad():
                initialization.fill(weight, bias, stream)
                module.weight.copy_(weight)
                if module.bias is not None and bias is not None:
                    module.bias.copy_(bias)
        elif isinstance(module, SeededDropout):
            module.generator = random_streams.generator(seed, "dropout", name, device=device)
