"""Optimizers: their updates of a small network, against PyTorch's own."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn, optim
from torch._subclasses.fake_tensor import FakeTensorMode

from cnn_ablation.parts.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
    )


def trained(network: nn.Sequential, optimizer: optim.Optimizer) -> list[torch.Tensor]:
    """The weights after a few steps with falling learning rates."""
    torch.manual_seed(1)
    highest = optimizer.param_groups[0]["lr"]
    for factor in (1.0, 0.5, 0.25, 0.125):
        optimizer.param_groups[0]["lr"] = factor * highest
        optimizer.zero_grad()
        network(torch.randn(5, 1, 4, 4)).square().sum().backward()
        optimizer.step()
    return [weight.detach() for weight in network.parameters()]


@pytest.mark.parametrize(
    ("part", "kind", "settings"),
    [
        (Adam(), optim.Adam, {}),
        (Adam(weight_decay=0.1), optim.Adam, {"weight_decay": 0.1}),
        (AdamW(), optim.AdamW, {}),
        (SGD(), optim.SGD, {"lr": 0.05, "momentum": 0.9}),
        (SGD(nesterov=True), optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
        (RMSprop(), optim.RMSprop, {}),
        (
            RMSprop(learning_rate=0.001, alpha=0.9, momentum=0.8, weight_decay=0.1),
            optim.RMSprop,
            {"lr": 0.001, "alpha": 0.9, "momentum": 0.8, "weight_decay": 0.1},
        ),
    ],
    ids=str,
)
def test_updates_are_pytorchs(part: Optimizer, kind: Any, settings: dict[str, float]) -> None:
    ours, theirs = small_network(), small_network()
    expected = trained(theirs, kind(theirs.parameters(), **settings))
    for weight, other in zip(trained(ours, part.build(ours.parameters())), expected, strict=True):
        torch.testing.assert_close(weight, other)


def test_nesterov_changes_the_updates() -> None:
    plain, nesterov = (
        trained(network, SGD(nesterov=nesterov).build(network.parameters()))
        for nesterov, network in ((False, small_network()), (True, small_network()))
    )
    assert not torch.equal(plain[0], nesterov[0])


def test_nesterov_needs_a_momentum() -> None:
    with pytest.raises(ValidationError, match="nesterov: needs a momentum above 0"):
        SGD(momentum=0.0, nesterov=True)


@pytest.mark.parametrize("part", [RMSprop(), RMSprop(momentum=0.9)], ids=str)
def test_no_step_reads_from_a_gpu(part: Optimizer) -> None:
    """Fake tensors have a device but no contents, so reading them is an error."""
    with FakeTensorMode(), torch.device("cuda"):
        weight = nn.Parameter(torch.zeros(2, 3))
        weight.grad = torch.zeros(2, 3)
        optimizer = part.build([weight])
        optimizer.param_groups[0].update(lr=torch.tensor(0.1), capturable=True)
        for _ in range(2):
            optimizer.step()
