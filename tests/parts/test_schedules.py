"""Schedules: factors of the learning rate over a training."""

import math

import pytest

from cnn_ablation.parts.schedules import Constant, Cosine, Schedule


@pytest.mark.parametrize(
    ("schedule", "progress", "factor"),
    [
        (Constant(), 0.0, 1.0),
        (Constant(), 0.99, 1.0),
        (Cosine(), 0.0, 1.0),
        (Cosine(), 0.5, 0.5),
        (Cosine(), 1.0, 0.0),
        (Cosine(final_factor=0.2), 1.0, 0.2),
        (Cosine(final_factor=0.2), 0.5, 0.6),
    ],
)
def test_factors(schedule: Schedule, progress: float, factor: float) -> None:
    assert schedule.factor(progress) == pytest.approx(factor)


@pytest.mark.parametrize("cold", [Constant(), Cosine()])
def test_the_warm_up_rises_linearly_and_the_rest_follows_it(cold: Schedule) -> None:
    warm = cold.model_copy(update={"warmup": 0.2})
    assert [warm.factor(0.2 * share) for share in (0.25, 0.5, 0.75)] == pytest.approx([0.25, 0.5, 0.75])
    for share in (0.0, 0.3, 0.9):
        assert warm.factor(0.2 + 0.8 * share) == pytest.approx(cold.factor(share))


def test_the_cosine_is_pytorchs() -> None:
    import torch

    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.1)
    for step in range(10):
        assert Cosine(final_factor=0.1).factor(step / 10) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert math.isclose(theirs.get_last_lr()[0], 0.1)
