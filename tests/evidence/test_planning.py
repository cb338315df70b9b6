"""Promised numbers of seeds, checked by simulation and against the noncentral t distribution."""

import math

import numpy as np
import pytest
from scipy import stats

from cnn_ablation.evidence.effects import Effect
from cnn_ablation.evidence.planning import seeds_needed


def pilot(estimate: float, sd: float, seeds: int = 3, borrowed: float = 0.0) -> Effect:
    return Effect(estimate, sd / math.sqrt(seeds), seeds - 1 + borrowed, seeds)


def above(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.asarray((low > 0).all(axis=1))


def within(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.asarray(((low > -0.2) & (high < 0.2)).all(axis=1))


def whole(seeds: int) -> float:
    return 0.01


def power(difference: float, sd: float, seeds: int) -> float:
    critical = stats.t.isf(0.005, seeds - 1)
    return float(stats.nct.sf(critical, seeds - 1, difference / sd * math.sqrt(seeds)))


@pytest.mark.parametrize(("difference", "sd"), [(0.3, 0.3), (0.2, 0.1), (0.1, 0.12)])
def test_a_difference_needs_the_seeds_of_the_t_test(difference: float, sd: float) -> None:
    seeds = seeds_needed([pilot(difference, sd)], np.eye(1), whole, above)
    assert seeds is not None
    assert power(difference, sd, seeds) > 0.74
    assert power(difference, sd, seeds - 1) < 0.84


def test_equivalence_needs_the_seeds_of_two_one_sided_tests() -> None:
    seeds = seeds_needed([pilot(0.05, 0.2)], np.eye(1), whole, within)
    assert seeds is not None
    samples = np.random.default_rng(0).normal(0.05, 0.2, (4000, seeds))
    reach = stats.t.isf(0.005, seeds - 1) * samples.std(axis=1, ddof=1) / math.sqrt(seeds)
    decided = np.abs(samples.mean(axis=1)) + reach < 0.2
    assert 0.75 < decided.mean() < 0.87


def test_several_contrasts_need_more_seeds_than_one() -> None:
    one = seeds_needed([pilot(0.1, 0.12)], np.eye(1), whole, above)
    independent = seeds_needed([pilot(0.1, 0.12)] * 4, np.eye(4), whole, above)
    alike = seeds_needed([pilot(0.1, 0.12)] * 4, np.full((4, 4), 0.95) + 0.05 * np.eye(4), whole, above)
    assert one is not None
    assert independent is not None
    assert alike is not None
    assert one <= alike < independent


def test_a_prior_saves_seeds() -> None:
    own = seeds_needed([pilot(0.3, 0.12)], np.eye(1), whole, above)
    moderated = seeds_needed([pilot(0.3, 0.12, borrowed=8)], np.eye(1), whole, above)
    assert own is not None
    assert moderated is not None
    assert moderated < own


def test_the_number_is_above_the_present_one() -> None:
    assert seeds_needed([pilot(5.0, 0.1, seeds=7)], np.eye(1), whole, above) == 8


def test_a_level_that_comes_late_is_waited_for() -> None:
    seeds = seeds_needed([pilot(5.0, 0.1)], np.eye(1), lambda seeds: 0.01 * (seeds >= 15), above)
    assert seeds == 15


@pytest.mark.parametrize("effect", [pilot(0.0, 0.1), pilot(-1.0, 0.1), Effect(1.0, math.nan, 0, 1)])
def test_what_no_number_decides_has_none(effect: Effect) -> None:
    assert seeds_needed([effect], np.eye(1), whole, above) is None


def test_without_a_level_no_number_is_enough() -> None:
    assert seeds_needed([pilot(1.0, 0.1)], np.eye(1), lambda seeds: 0.0, above) is None
