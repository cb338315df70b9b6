"""Optimizers: their updates of a small network, against PyTorch's own."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn, optim
from torch._subclasses.fake_tensor import FakeTensorMode

from cnn_ablation.parts.optimizers import SGD, Adam, AdamW, Muon, Optimizer, RMSprop


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


def linear_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 24), nn.Linear(24, 12), nn.Linear(12, 30), nn.Linear(30, 2))


def stepped(network: nn.Sequential, *optimizers: optim.Optimizer) -> list[torch.Tensor]:
    """What steps with random gradients add to the weights."""
    before = [weight.detach().clone() for weight in network.parameters()]
    torch.manual_seed(1)
    for _ in range(4):
        for weight in network.parameters():
            weight.grad = torch.randn(weight.shape)
        for optimizer in optimizers:
            optimizer.step()
    return [weight.detach() - old for weight, old in zip(network.parameters(), before, strict=True)]


def test_muon_is_pytorchs_for_hidden_layers_and_adamw_for_the_others() -> None:
    ours, theirs = linear_layers(), linear_layers()
    hidden = {"1.weight", "2.weight"}
    named = dict(theirs.named_parameters())
    settings: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.2}
    expected = stepped(
        theirs,
        optim.Muon(
            [named[name] for name in hidden], momentum=0.8, adjust_lr_fn="match_rms_adamw", **settings
        ),
        optim.AdamW([weight for name, weight in named.items() if name not in hidden], **settings),
    )
    part = Muon(learning_rate=0.1, momentum=0.8, weight_decay=0.2)
    updates = stepped(ours, part.build(ours.parameters()))
    for name, update, other in zip(named, updates, expected, strict=True):
        if name in hidden:
            # PyTorch's iteration runs in bf16.
            torch.testing.assert_close(update, other, rtol=0, atol=0.02 * other.abs().max().item())
        else:
            torch.testing.assert_close(update, other)


def test_muon_orthogonalizes_the_kernels_of_convolutions() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 6, 3), nn.Linear(4, 2))
    network = network.to(memory_format=torch.channels_last)
    for weight in network.parameters():
        weight.grad = torch.randn_like(weight)
    optimizer = Muon(learning_rate=0.5, weight_decay=0.0).build(network.parameters())
    weight = dict(network.named_parameters())["1.weight"]
    before = weight.detach().clone()
    optimizer.step()
    update = (before - weight.detach()).flatten(1) / (0.5 * 0.2 * (8 * 9) ** 0.5)
    singular = torch.linalg.svdvals(update)
    assert len(singular) == 6
    assert ((singular > 0.5) & (singular < 1.5)).all()


def test_muon_without_hidden_layers_is_adamw() -> None:
    ours, theirs = small_network(), small_network()
    expected = trained(theirs, optim.AdamW(theirs.parameters()))
    for weight, other in zip(trained(ours, Muon().build(ours.parameters())), expected, strict=True):
        torch.testing.assert_close(weight, other)


@pytest.mark.parametrize("part", [RMSprop(), RMSprop(momentum=0.9), Muon()], ids=str)
def test_no_step_reads_from_a_gpu(part: Optimizer) -> None:
    """Fake tensors have a device but no contents, so reading them is an error."""
    with FakeTensorMode(), torch.device("cuda"):
        weights = [nn.Parameter(torch.zeros(2, 3)) for _ in range(3)]
        # Muon's AdamW, which updates the others, would need a GPU.
        weights[1].grad = torch.zeros(2, 3)
        optimizer = part.build(weights)
        for group in optimizer.param_groups:
            group.update(lr=torch.tensor(0.1), capturable=True)
        for _ in range(2):
            optimizer.step()
