"""Schedules: factors of the learning rate over a training."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from cnn_ablation.parts.schedules import (
    Constant,
    Cosine,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    Step,
)


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
        (Step(), 0.49, 1.0),
        (Step(), 0.5, 0.1),
        (Step(), 0.75, 0.01),
        (Step(milestones=[0.3], gamma=0.5), 0.9, 0.5),
        (OneCycle(), 0.0, 1 / 25),
        (OneCycle(), 0.3, 1.0),
        (OneCycle(), 1.0, 1 / 250_000),
        (OneCycle(pct_start=0.5, div_factor=4.0), 0.25, (1 / 4 + 1) / 2),
    ],
)
def test_factors(schedule: Schedule, progress: float, factor: float) -> None:
    assert schedule.multiplier(progress) == pytest.approx(factor)


@pytest.mark.parametrize("cold", [Constant(), Cosine(), Cosine(final_factor=0.7), Step(), OneCycle()])
def test_the_warm_up_rises_linearly_and_the_rest_follows_it(cold: Schedule) -> None:
    warm = cold.model_copy(update={"warmup": 0.2})
    first = 1 / 25 if isinstance(cold, OneCycle) else 1.0
    for share in (0.25, 0.5, 0.75):
        assert warm.multiplier(0.2 * share) == pytest.approx(share * first)
    for share in (0.0, 0.3, 0.9):
        assert warm.multiplier(0.2 + 0.8 * share) == pytest.approx(cold.multiplier(share))


def learning_rates(scheduler: type[LRScheduler], steps: int, **settings: Any) -> list[float]:
    """The learning rates of one of PyTorch's schedulers, for a highest one of 1."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = scheduler(optimizer, **settings)
    rates = []
    for _ in range(steps):
        rates.append(float(theirs.get_last_lr()[0]))
        optimizer.step()
        theirs.step()
    return rates


def test_the_cosine_is_pytorchs() -> None:
    theirs = learning_rates(CosineAnnealingLR, 11, T_max=10, eta_min=0.1)
    ours = [Cosine(final_factor=0.1).multiplier(step / 10) for step in range(11)]
    assert ours == pytest.approx(theirs)


def test_steps_are_pytorchs() -> None:
    theirs = learning_rates(MultiStepLR, 40, milestones=[12, 20, 30], gamma=0.3)
    schedule = Step(milestones=[0.3, 0.5, 0.75], gamma=0.3)
    # A factor is that of the middle of its step.
    assert [schedule.multiplier((step + 0.5) / 40) for step in range(40)] == pytest.approx(theirs)


@pytest.mark.parametrize(("pct_start", "div_factor"), [(0.25, 25.0), (0.5, 10.0)])
def test_one_cycle_is_pytorchs(pct_start: float, div_factor: float) -> None:
    steps = 40
    theirs = learning_rates(
        OneCycleLR,
        steps + 1,
        max_lr=1.0,
        total_steps=steps + 1,
        # PyTorch counts the peak's own step to the rise.
        pct_start=(pct_start * steps + 1) / (steps + 1),
        div_factor=div_factor,
        cycle_momentum=False,
    )
    schedule = OneCycle(pct_start=pct_start, div_factor=div_factor)
    assert [schedule.multiplier(step / steps) for step in range(steps + 1)] == pytest.approx(theirs)


@pytest.mark.parametrize("milestones", [[], [0.5, 0.5], [0.75, 0.5], [0.0], [1.0]])
def test_milestones_rise_between_0_and_1(milestones: list[float]) -> None:
    with pytest.raises(ValidationError, match="milestones"):
        Step(milestones=milestones)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"patience": 0},
        {"patience": 2, "factor": 0.5, "threshold": 0.05},
        {"patience": 1, "factor": 0.2, "min_lr": 0.01},
    ],
    ids=str,
)
def test_a_plateau_is_pytorchs_epoch_by_epoch(settings: dict[str, Any]) -> None:
    schedule = ReduceOnPlateau(**settings)
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = ReduceLROnPlateau(optimizer, **settings)
    losses = [2.0, 1.5, 1.6, 1.5, 1.49, 1.499, *[1.4] * 4, *[1.4 - step / 1e5 for step in range(30)]]
    rates = set()
    for epoch in range(len(losses)):
        rate = schedule.learning_rate(0.3, losses[:epoch])
        assert rate == optimizer.param_groups[0]["lr"]
        rates.add(rate)
        theirs.step(losses[epoch])
    assert len(rates) > 1


def test_only_a_plateau_depends_on_losses_and_it_can_be_warmed_up() -> None:
    for schedule in (Constant(), Cosine(warmup=0.1)):
        assert schedule.learning_rate(0.3, [1.0] * 50) == 0.3
    warm = ReduceOnPlateau(warmup=0.5)
    assert [warm.multiplier(progress) for progress in (0.25, 0.5, 0.9)] == [0.5, 1.0, 1.0]
