"""Statistics over seeds, checked against SciPy, published values and simulations."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cnn_ablation.evidence import effects
from cnn_ablation.evidence.effects import Effect

SLEEP_A = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_B = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
"""Student's own example (1908): hours of sleep gained by ten patients with two drugs."""


def pair(first: list[float], second: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"a": first, "b": second})


def test_a_paired_difference_has_students_interval() -> None:
    effect = effects.contrast(pair(SLEEP_B, SLEEP_A), {"a": 1, "b": -1})
    assert effect.paired
    assert effect.estimate == pytest.approx(1.58)
    assert effect.interval() == pytest.approx((0.7001142, 2.4598858))  # as R's t.test gives it
    assert 2 * effect.p_above() == pytest.approx(0.002833, abs=1e-6)
    assert effect.correlation == pytest.approx(0.7951702, abs=1e-6)


def test_a_difference_without_shared_seeds_has_welchs_interval() -> None:
    values = pd.DataFrame({"a": [*SLEEP_B, *[math.nan] * 10], "b": [*[math.nan] * 10, *SLEEP_A]})
    effect = effects.contrast(values, {"b": -1, "a": 1})
    assert not effect.paired
    assert effect.estimate == pytest.approx(1.58)
    assert effect.interval() == pytest.approx((-0.2054832, 3.3654832))  # R's t.test
    assert effect.dof == pytest.approx(17.77647, abs=1e-4)


def test_equivalence_is_two_one_sided_tests() -> None:
    effect = Effect.of(SLEEP_A)
    low = stats.ttest_1samp(SLEEP_A, -2, alternative="greater").pvalue
    high = stats.ttest_1samp(SLEEP_A, 2, alternative="less").pvalue
    assert effect.p_within(2) == pytest.approx(max(low, high))
    # Equivalently, the 90 % interval lies within the margin.
    edge = max(map(abs, effect.interval(0.90)))
    assert effect.p_within(edge) == pytest.approx(0.05)


def test_one_seed_gives_no_interval_and_no_test() -> None:
    effect = Effect.of([92.0])
    assert effect.estimate == 92
    assert all(map(math.isnan, effect.interval()))
    assert effect.p_above(0) == effect.p_below(100) == effect.p_within(1000) == 1
    assert effects.seeds_to_decide(effect, 0.05, 0.2) is None
    assert all(map(math.isnan, effects.prediction_interval([92.0])))


def test_an_empty_sample_gives_no_estimate() -> None:
    assert math.isnan(Effect.of([]).estimate)
    assert all(map(math.isnan, effects.prediction_interval([])))


@pytest.mark.parametrize("resolution", [0.0, 1.0])
def test_the_spread_of_equal_results_is_unknown(resolution: float) -> None:
    effect = Effect.of([1, 1, 1], resolution)
    assert math.isnan(effect.sd)
    assert effect.p_above(0) == 1


def test_results_that_differ_by_floating_point_errors_count_as_equal() -> None:
    values = pair([92.1, 93.5], [89.4, 90.8])
    differences = values["a"] - values["b"]
    assert differences[0] != differences[1]
    effect = effects.contrast(values, {"a": 1, "b": -1}, 0.1)
    assert effect.estimate == pytest.approx(2.7)
    assert effect.p_above() == 1
    assert all(map(math.isnan, effect.interval()))


def test_two_independent_groups_of_equal_results_decide_nothing() -> None:
    values = pair([92.0, 92.0, math.nan, math.nan], [math.nan, math.nan, 91.0, 91.0])
    effect = effects.contrast(values, {"a": 1, "b": -1}, 0.1)
    assert not effect.paired
    assert effect.p_above() == 1


def test_rounding_is_a_lower_bound_of_the_spread() -> None:
    almost_equal = [1.0] * 50 + [2.0]
    assert Effect.of(almost_equal).sd < 0.15
    assert Effect.of(almost_equal, resolution=1).sd == pytest.approx(1 / math.sqrt(12))
    assert Effect.of([1, 5, 9], resolution=1).sd == pytest.approx(4)


def test_interaction_is_a_difference_of_differences() -> None:
    rng = np.random.default_rng(0)
    seeds = rng.normal(92, 1, 8)
    values = pd.DataFrame({name: seeds + rng.normal(0, 0.1, 8) for name in "abcd"})
    effect = effects.contrast(values, {"a": 1, "b": -1, "c": -1, "d": 1})
    direct = Effect.of(((values.a - values.b) - (values.c - values.d)).to_numpy())
    assert effect.interval() == pytest.approx(direct.interval())
    assert effect.sd < 0.5  # the seeds' contribution cancels


def test_p_values_are_adjusted_by_holms_method() -> None:
    assert effects.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert effects.holm([]) == []


def test_prediction_interval_covers_the_next_value() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(2000):
        *sample, further = rng.normal(size=6)
        low, high = effects.prediction_interval(sample)
        inside += low <= further <= high
    assert stats.binomtest(inside, 2000, 0.95).pvalue > 0.001


@pytest.mark.parametrize(("difference", "sd"), [(0.3, 0.3), (0.2, 0.4)])
def test_planned_numbers_of_seeds_have_the_stated_power(difference: float, sd: float) -> None:
    seeds = effects.seeds_to_show(difference, sd)
    assert seeds is not None
    samples = np.random.default_rng(2).normal(difference, sd, (4000, seeds))
    power = (stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean()
    assert power == pytest.approx(0.8, abs=0.04)


def test_an_unpaired_comparison_needs_more_seeds() -> None:
    # Correlation 0.8: the differences have an sd of 0.4 * sqrt(2 * 0.2).
    paired = effects.seeds_to_show(0.2, 0.4 * math.sqrt(0.4))
    unpaired = effects.seeds_to_show(0.2, 0.4, paired=False)
    assert paired is not None
    assert unpaired is not None
    assert unpaired > 3 * paired


def test_seeds_to_decide_is_the_smaller_of_two_numbers() -> None:
    small = effects.seeds_to_decide(Effect(0.0, 0.1, 4, 5), 0.05, 0.2)  # equivalence
    large = effects.seeds_to_decide(Effect(0.5, 0.1, 4, 5), 0.05, 0.2)  # difference
    edge = effects.seeds_to_decide(Effect(0.1, 0.1, 4, 5), 0.05, 0.2)
    assert small is not None
    assert large is not None
    assert edge is not None
    assert large < small < edge
    power = np.mean(
        [
            Effect.of(sample).p_within(0.2) < 0.05
            for sample in np.random.default_rng(3).normal(0, 0.1 * math.sqrt(5), (2000, small))
        ]
    )
    assert power == pytest.approx(0.8, abs=0.05)
    assert effects.seeds_to_decide(Effect(0.001, 100, 4, 5), 0.05, 0.2) is None
