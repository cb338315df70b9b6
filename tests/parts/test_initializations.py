"""Initializations: their distributions, against PyTorch's own."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.nn import init

from cnn_ablation.parts.initializations import (
    HeNormal,
    HeUniform,
    Initialization,
    Orthogonal,
    PyTorchDefault,
    XavierNormal,
    XavierUniform,
)

EVERY = [
    *(PyTorchDefault(), HeNormal(), HeUniform()),
    *(XavierNormal(), XavierUniform(), Orthogonal()),
]


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
@pytest.mark.parametrize(
    ("initialization", "theirs"),
    [
        (HeNormal(), partial(init.kaiming_normal_, nonlinearity="relu")),
        (HeUniform(), partial(init.kaiming_uniform_, nonlinearity="relu")),
        (XavierNormal(), init.xavier_normal_),
        (XavierNormal(gain=2.0), partial(init.xavier_normal_, gain=2.0)),
        (XavierUniform(), init.xavier_uniform_),
        (XavierUniform(gain=2.0), partial(init.xavier_uniform_, gain=2.0)),
        (Orthogonal(), init.orthogonal_),
        (Orthogonal(gain=2.0), partial(init.orthogonal_, gain=2.0)),
    ],
    # The text of a function holds its address, and workers must collect the same names.
    ids=lambda value: str(value) if isinstance(value, Initialization) else "",
)
def test_weights_are_pytorchs_and_biases_are_0(
    initialization: Initialization, theirs: Callable[..., torch.Tensor], shape: tuple[int, ...]
) -> None:
    weight, bias = filled(initialization, *shape)
    assert torch.equal(weight, theirs(torch.empty(shape), generator=torch.Generator().manual_seed(0)))
    assert (bias == 0).all()


@pytest.mark.parametrize("shape", [(400, 300), (64, 32, 3, 3)])
@pytest.mark.parametrize(
    ("normal", "uniform", "gain", "counts_outputs"),
    [
        (HeNormal(), HeUniform(), math.sqrt(2), False),
        (XavierNormal(), XavierUniform(), math.sqrt(2), True),
        (XavierNormal(gain=3.0), XavierUniform(gain=3.0), 3 * math.sqrt(2), True),
    ],
)
def test_the_variance_is_that_of_the_papers(
    normal: Initialization,
    uniform: Initialization,
    gain: float,
    counts_outputs: bool,
    shape: tuple[int, ...],
) -> None:
    area = math.prod(shape[2:])
    fan = area * (shape[0] + shape[1] if counts_outputs else shape[1])
    for initialization in (normal, uniform):
        weight, _ = filled(initialization, *shape)
        assert weight.std().item() == pytest.approx(gain / math.sqrt(fan), rel=0.02)
        assert weight.mean().item() == pytest.approx(0, abs=0.002)
    bound = filled(uniform, *shape)[0].abs().max().item()
    assert bound == pytest.approx(math.sqrt(3 / fan) * gain, rel=0.01)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (16, 4, 3, 3), (64, 4, 3, 3)])
def test_orthogonal_weights_keep_lengths(shape: tuple[int, ...]) -> None:
    matrix = filled(Orthogonal(gain=2.0), *shape)[0].flatten(1)
    smaller = matrix if len(matrix) <= len(matrix.T) else matrix.T
    torch.testing.assert_close(smaller @ smaller.T, 4 * torch.eye(len(smaller)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("initialization", EVERY, ids=str)
def test_a_layer_may_have_no_bias(initialization: Initialization) -> None:
    weight = torch.empty(5, 5)
    initialization.fill(weight, None, torch.Generator().manual_seed(0))
    assert weight.isfinite().all()


@pytest.mark.parametrize("initialization", EVERY, ids=str)
def test_draws_come_from_the_generator_alone(initialization: Initialization) -> None:
    torch.manual_seed(1)
    first, _ = filled(initialization, 20, 30)
    torch.manual_seed(2)
    again, _ = filled(initialization, 20, 30)
    assert torch.equal(first, again)
