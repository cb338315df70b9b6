"""Statistics over seeds, checked against SciPy, published values and simulations."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

from cnn_ablation.evidence import effects
from cnn_ablation.evidence.effects import Effect, Prior

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


def test_one_seed_gives_no_interval_and_no_test() -> None:
    effect = Effect.of([92.0])
    assert effect.estimate == 92
    assert all(map(math.isnan, effect.interval()))
    assert effect.p_above(0) == effect.p_below(100) == 1
    assert effect.moderated(Prior(0.01, 8)) is effect
    assert effects.seeds_to_show(1.0, effect.sd) is None
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


def test_intervals_and_p_values_agree() -> None:
    effect = Effect.of(SLEEP_A)
    for confidence in (0.9, 0.99, 0.9999):
        low, high = effect.interval(confidence)
        assert effect.p_above(low) == pytest.approx((1 - confidence) / 2)
        assert effect.p_below(high) == pytest.approx((1 - confidence) / 2)
    assert effect.interval(1.0) == (-math.inf, math.inf)


def test_a_metric_that_does_not_depend_on_the_seed_has_an_exact_interval() -> None:
    effect = Effect(3.0, 0.0, 4, 5)
    assert effect.interval() == (3, 3)
    assert effect.p_above(2.9) == 0
    assert effect.p_above(3) == effect.p_below(3) == 1


def test_a_seed_without_a_partner_takes_no_part() -> None:
    values = pair([92.0, 93.0, 94.0, math.nan], [91.0, 91.5, math.nan, 60.0])
    effect = effects.contrast(values, {"a": 1, "b": -1})
    assert effect.paired
    assert effect.seeds == 2
    assert effect.estimate == pytest.approx(1.25)


def test_contrasts_without_any_result_are_unknown() -> None:
    values = pair([math.nan, math.nan], [91.0, 92.0])
    effect = effects.contrast(values, {"a": 1, "b": -1})
    assert math.isnan(effect.estimate)
    assert effect.seeds == 0
    assert effect.p_above() == 1


def of_variance(variance: float, seeds: int = 5, norm: float = 1.0) -> Effect:
    return Effect(0.0, math.sqrt(variance / seeds), seeds - 1, seeds, norm=norm)


def smyths_prior(variances: list[float], dof: int) -> tuple[float, float]:
    """Smyth (2004, section 6.2): degrees of freedom and variance of the prior, by bisection."""
    logs = np.log(variances) - special.digamma(dof / 2) + math.log(dof / 2)
    count = len(logs)
    excess = ((logs - logs.mean()) ** 2 * count / (count - 1)).mean() - special.polygamma(1, dof / 2)
    half = optimize.brentq(lambda half: special.polygamma(1, half) - excess, 1e-3, 1e6)
    return 2 * half, math.exp(logs.mean() + special.digamma(half) - math.log(half))


SPREAD = [0.002, 0.03, 0.01, 0.004, 0.08, 0.015, 0.001, 0.02]


def test_the_prior_is_that_of_smyth() -> None:
    prior = Prior.of([of_variance(variance) for variance in SPREAD])
    dof, variance = smyths_prior(SPREAD, 4)
    assert dof < Prior.MAX_DOF
    assert prior.dof == pytest.approx(dof)
    assert prior.variance == pytest.approx(variance)


def test_a_moderated_variance_is_the_weighted_mean() -> None:
    prior = Prior(0.02, 6)
    effect = of_variance(0.05, norm=2.0).moderated(prior)
    assert effect.dof == 10
    assert effect.sd**2 == pytest.approx((6 * 0.02 * 4 + 4 * 0.05) / 10)
    assert effect.estimate == 0
    assert effect.seeds == 5


def test_the_prior_of_alike_variances_has_a_limited_weight_and_the_typical_variance() -> None:
    alike = [0.01, 0.011, 0.009, 0.01]
    prior = Prior.of([of_variance(variance) for variance in alike])
    assert prior.dof == Prior.MAX_DOF
    # The logarithm of a variance with 4 degrees of freedom is too small by this on average.
    bias = special.digamma(2) - math.log(2)
    assert prior.variance == pytest.approx(math.exp(np.log(alike).mean() - bias))


def test_priors_are_per_unit_of_the_weights() -> None:
    plain = Prior.of([of_variance(variance) for variance in SPREAD])
    scaled = Prior.of([of_variance(4 * variance, norm=2.0) for variance in SPREAD])
    assert (scaled.variance, scaled.dof) == pytest.approx((plain.variance, plain.dof))


def test_too_few_contrasts_have_no_prior() -> None:
    unknown = Effect.of([1.0, 1.0, 1.0])
    unpaired = Effect(0.0, 0.1, 7.3, 4, paired=False)
    known = [of_variance(0.01), of_variance(0.02)]
    prior = Prior.of([*known, unknown, unpaired])
    assert prior.dof == 0
    same = known[0].moderated(prior)
    assert (same.standard_error, same.dof) == pytest.approx((known[0].standard_error, 4))
    strong = Prior(0.01, 8)
    assert unpaired.moderated(strong) == unpaired
    assert math.isnan(unknown.moderated(strong).standard_error)


@pytest.mark.parametrize("ratio", [1, 4])
def test_moderated_intervals_together_keep_their_promise(ratio: int) -> None:
    """Four seeds of ten conditions, whose spreads are alike, or differ up to fourfold."""
    rng = np.random.default_rng(3)
    sds = np.geomspace(1, ratio, 10)
    pairs = list(combinations(range(10), 2))
    rounds, covered, missed = 300, 0, 0
    for _ in range(rounds):
        values = rng.normal(size=(4, 10)) * sds
        found = [Effect.of(values[:, a] - values[:, b], norm=math.sqrt(2)) for a, b in pairs]
        prior = Prior.of(found)
        moderated = [effect.moderated(prior) for effect in found]
        covered += sum(effect.p_above() > 0.025 < effect.p_below() for effect in moderated)
        missed += any(min(each.p_above(), each.p_below()) < 0.025 / len(pairs) for each in moderated)
    assert covered / (len(pairs) * rounds) > 0.93
    assert missed / rounds < 0.05
