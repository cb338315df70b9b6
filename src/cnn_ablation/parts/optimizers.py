"""PyTorch's optimizers, without its compiler.

They are decorated for torch.compile, and the decorators import it whether it is used or not: that takes
each worker seconds and 140 MiB.
"""

import inspect
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from cnn_ablation.study.parameters import TrainingParameters


def _undecorated(kind: type[Optimizer]) -> Callable[..., Optimizer]:
    methods: dict[str, Any] = {
        "add_param_group": inspect.unwrap(kind.add_param_group),
        # One of the decorators was no_grad in other words.
        "step": torch.no_grad()(inspect.unwrap(kind.step)),
    }
    return cast(Callable[..., Optimizer], type(kind.__name__, (kind,), methods))


_ADAM, _ADAMW, _SGD = map(_undecorated, (Adam, AdamW, SGD))

OPTIMIZERS: dict[str, Callable[[nn.Module, TrainingParameters], Optimizer]] = {
    "adam": lambda network, p: _ADAM(
        network.parameters(), lr=p.learning_rate, weight_decay=p.weight_decay, fused=True
    ),
    "adamw": lambda network, p: _ADAMW(
        network.parameters(), lr=p.learning_rate, weight_decay=p.weight_decay, fused=True
    ),
    "sgd": lambda network, p: _SGD(
        network.parameters(),
        lr=p.learning_rate,
        momentum=p.momentum,
        weight_decay=p.weight_decay,
        fused=True,
    ),
}
"""For each name in conf, what makes the optimizer of a network."""
