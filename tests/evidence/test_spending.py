"""Significance levels of looks, checked against published numbers and simulations."""

import json
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from cnn_ablation.evidence.spending import (
    SPENDING,
    Look,
    Plan,
    dump_looks,
    load_looks,
    nominal_levels,
)

POCOCK = Plan(20, "pocock", 0.05)


def levels(plan: Plan, times: list[int], *, correlated: bool = True) -> list[float]:
    """Levels of looks at the first seeds."""
    looks: list[Look] = []
    found = []
    for time in times:
        looks, level = plan.look(looks, range(time), correlated=correlated)
        found.append(level)
    return found


@pytest.mark.parametrize(
    ("spending", "expected"),
    [
        ("pocock", [0.0179, 0.0179, 0.0260]),
        ("obrien_fleming", [0.0000886, 0.00554, 0.0478]),
    ],
)
def test_levels_of_three_looks_are_those_of_the_literature(spending: str, expected: list[float]) -> None:
    assert levels(Plan(20, spending, 0.05), [5, 10, 20]) == pytest.approx(expected, rel=0.005)


def test_equally_spaced_looks_have_pococks_constant_level() -> None:
    """Pocock (1977): five looks, each at 0.0158, have the level 0.05."""
    numbers = np.random.default_rng(0).normal(size=(400_000, 5)).cumsum(axis=1)
    bound = stats.norm.isf(0.0158 / 2)
    crossed = (np.abs(numbers) / np.sqrt(np.arange(1, 6)) > bound).cumsum(axis=1) > 0
    spent = tuple(crossed.mean(axis=0))
    assert spent[-1] == pytest.approx(0.05, abs=0.001)
    assert nominal_levels((1, 2, 3, 4, 5), spent) == pytest.approx([0.0158] * 5, rel=0.05)


@pytest.mark.parametrize("spending", SPENDING)
@pytest.mark.parametrize("times", [[3, 5, 10, 20], list(range(2, 21))])
def test_any_error_at_any_look_has_the_planned_probability(spending: str, times: list[int]) -> None:
    rounds = 60_000
    sums = np.random.default_rng(1).normal(size=(rounds, 20)).cumsum(axis=1)
    statistics = np.abs(sums / np.sqrt(np.arange(1, 21)))[:, [time - 1 for time in times]]
    bounds = stats.norm.isf(np.array(levels(Plan(20, spending, 0.05), times)) / 2)
    errors = int((statistics > bounds).any(axis=1).sum())
    assert stats.binomtest(errors, rounds, 0.05).pvalue > 0.001


@pytest.mark.parametrize("times", [[3, 5, 10, 20], list(range(2, 21))])
def test_looks_at_t_statistics_keep_the_level(times: list[int]) -> None:
    """With the correlation between normal statistics, they would exceed it: 5.5 and 6.1 %."""
    rounds = 40_000
    values = np.random.default_rng(2).normal(size=(rounds, 20))
    errors = np.zeros(rounds, dtype=bool)
    for time, level in zip(times, levels(POCOCK, times, correlated=False), strict=True):
        errors |= stats.ttest_1samp(values[:, :time], 0, axis=1).pvalue < level
    assert stats.binomtest(int(errors.sum()), rounds, 0.05, "greater").pvalue > 0.01


def test_what_looks_spend_adds_up_to_the_level() -> None:
    for spending in SPENDING:
        plan = Plan(20, spending, 0.05)
        assert sum(levels(plan, [3, 5, 10, 20], correlated=False)) == pytest.approx(0.05)


def test_a_single_look_at_all_planned_seeds_has_the_whole_level() -> None:
    for spending in SPENDING:
        assert levels(Plan(20, spending, 0.01), [20]) == pytest.approx([0.01])
    assert levels(POCOCK, [25]) == pytest.approx([0.05])


def test_a_look_at_the_same_seeds_has_the_same_level() -> None:
    looks, first = POCOCK.look([], range(5))
    looks, second = POCOCK.look(looks, range(10))
    for seeds, level in [(range(5), first), (range(10), second), (reversed(range(10)), second)]:
        assert POCOCK.look(looks, seeds) == (looks, level)


@pytest.mark.parametrize("seeds", [[0, 1, 2, 3], [0, 1, 2, 3, 5, 6, 7], [10, 11, 12, 13, 14, 15]])
def test_a_look_at_other_seeds_has_no_level(seeds: list[int]) -> None:
    looks, _ = POCOCK.look([], range(5))
    assert POCOCK.look(looks, seeds) == (looks, 0.0)


def test_one_seed_is_no_look() -> None:
    assert POCOCK.look([], [0]) == ([], 0.0)
    assert POCOCK.look([], []) == ([], 0.0)


def test_nothing_is_left_after_all_planned_seeds() -> None:
    looks, _ = POCOCK.look([], range(20))
    assert POCOCK.look(looks, range(30))[1] == 0
    larger = Plan(40, "pocock", 0.05)
    assert larger.look(looks, range(30))[1] == 0
    assert larger.look(looks, range(20))[1] == pytest.approx(0.05)


def test_a_larger_plan_spends_no_share_twice() -> None:
    looks, _ = POCOCK.look([], range(10))
    looks, level = Plan(100, "pocock", 0.05).look(looks, range(11))
    assert level == 0
    looks, level = Plan(100, "pocock", 0.05).look(looks, range(100))
    assert 0 < level < 0.05
    assert [look.spent for look in looks] == sorted(look.spent for look in looks)


def test_the_next_level_is_that_of_the_next_look() -> None:
    looks, first = POCOCK.look([], [3, 5, 8])
    assert POCOCK.next_level(looks, 10) == POCOCK.look(looks, [3, 5, 8, *range(20, 27)])[1]
    assert POCOCK.next_level(looks, 3) == first
    assert POCOCK.next_level(looks, 2) == 0
    assert POCOCK.next_level([], 20) == pytest.approx(0.05)


def test_more_seeds_at_the_next_look_leave_a_higher_level() -> None:
    looks, _ = POCOCK.look([], range(5))
    found = [POCOCK.next_level(looks, seeds) for seeds in range(6, 21)]
    assert all(one < other for one, other in pairwise(found))


@pytest.mark.parametrize("times", [(900, 901, 902), (2, 3, 5000)])
def test_levels_of_close_and_of_distant_looks_are_exact(times: tuple[int, ...]) -> None:
    """Looks at normal statistics of which the last two are nearly the same, or nearly independent."""
    spent = (0.001, 0.0015, 0.002)
    found = nominal_levels(times, spent)
    bounds = stats.norm.isf(np.array(found) / 2)
    first, second, third = times
    covariance = np.array(
        [[min(one, other) / np.sqrt(one * other) for other in times] for one in (first, second, third)]
    )
    for count in (2, 3):
        joint = stats.multivariate_normal(cov=covariance[:count, :count], allow_singular=True)
        inside = joint.cdf(bounds[:count], lower_limit=-bounds[:count])
        assert 1 - inside == pytest.approx(spent[count - 1], rel=0.02)


def test_looks_survive_json() -> None:
    looks, _ = POCOCK.look([], range(5))
    looks, _ = POCOCK.look(looks, range(10))
    assert load_looks(json.loads(json.dumps(dump_looks({"a": looks})))) == {"a": looks}
