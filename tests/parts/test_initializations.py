"""Initializations: their distributions, against PyTorch's own."""

import math

import pytest
import torch

from cnn_ablation.parts.initializations import HeNormal, Initialization, PyTorchDefault


def filled(initialization: Initialization, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    weight, bias = torch.full(shape, math.nan), torch.full(shape[:1], math.nan)
    initialization.fill(weight, bias, torch.Generator().manual_seed(0))
    return weight, bias


def test_pytorchs_default_has_the_distribution_of_a_new_layer() -> None:
    weight, bias = filled(PyTorchDefault(), 400, 300)
    layer = torch.nn.Linear(300, 400)
    for ours, theirs in ((weight, layer.weight), (bias, layer.bias)):
        assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.02)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.1)


@pytest.mark.parametrize("shape", [(400, 300), (64, 32, 3, 3)])
def test_he_normal_has_a_variance_of_2_over_fan_in(shape: tuple[int, ...]) -> None:
    weight, bias = filled(HeNormal(), *shape)
    assert weight.std().item() == pytest.approx(math.sqrt(2 / math.prod(shape[1:])), rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=0.001)
    assert (bias == 0).all()


@pytest.mark.parametrize("initialization", [PyTorchDefault(), HeNormal()])
def test_a_layer_may_have_no_bias(initialization: Initialization) -> None:
    weight = torch.empty(5, 5)
    initialization.fill(weight, None, torch.Generator().manual_seed(0))
    assert weight.isfinite().all()
