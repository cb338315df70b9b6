"""Statistics over seeds: intervals, differences, equivalence, and the number of seeds that they need.

A condition's results are a sample over seeds. Conditions that share seeds are compared in pairs. A seed
gives both of them the same order of batches and, where shapes agree, the same initial weights. The part
of the random variation that comes from these is common to both results and cancels in the difference.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import stdtr
from statsmodels.stats.power import TTestIndPower, TTestPower

CONFIDENCE = 0.95
"""Confidence level of every interval."""

POWER = 0.8
"""Power that planned numbers of seeds have (Cohen, 1988)."""

MAX_SEEDS = 10_000
"""Largest number of seeds that planning considers."""

FLOAT_ROUNDING = 1e-9
"""Relative difference up to which two results count as equal, because floating point is not exact."""


@dataclass(frozen=True)
class Effect:
    """An estimate over seeds, with intervals and tests from Student's t distribution.

    The spread of a single result, or of results that are equal up to rounding, is unknown. The standard
    error is then NaN, every p value is 1 and the interval is (NaN, NaN). The standard error is 0 for a
    metric that does not depend on the seed.

    Args:
        estimate: Estimate, in the metric's unit.
        standard_error: Standard error, in the metric's unit.
        dof: Degrees of freedom.
        seeds: Number of seeds behind the estimate: pairs of results or, if results are not paired, those
            of the condition with fewer.
        paired: Whether the estimate is a mean of differences within seeds.
        correlation: Pearson correlation over seeds of the two conditions compared; NaN if it is unknown.
    """

    estimate: float
    standard_error: float
    dof: float
    seeds: int
    paired: bool = True
    correlation: float = float("nan")

    @classmethod
    def of(
        cls,
        values: Sequence[float] | np.ndarray | pd.Series,
        resolution: float = 0.0,
        correlation: float = float("nan"),
    ) -> Self:
        """The mean of a sample (Student, 1908).

        Args:
            values: The sample.
            resolution: Step to which the values are rounded. The standard deviation of rounding, step /
                sqrt(12) (Sheppard, 1897), is a lower bound for that of the sample.
            correlation: See class.
        """
        array = np.asarray(values, dtype=float)
        count = len(array)
        if count == 0:
            return cls(math.nan, math.nan, 0, 0)
        error = math.nan
        # Equal results happen by chance, so they do not show that all results are equal.
        if count > 1 and np.ptp(array) > max(resolution / 2, FLOAT_ROUNDING * np.abs(array).max()):
            spread = max(float(array.std(ddof=1)), resolution / math.sqrt(12))
            error = spread / math.sqrt(count)
        return cls(float(array.mean()), error, count - 1, count, True, correlation)

    @property
    def sd(self) -> float:
        """Standard deviation of the values whose mean is the estimate."""
        return self.standard_error * math.sqrt(self.seeds)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Two-sided t interval."""
        if not self.standard_error > 0:
            known = self.standard_error == 0
            return (self.estimate, self.estimate) if known else (float("nan"), float("nan"))
        low, high = stats.t.interval(confidence, self.dof, self.estimate, self.standard_error)
        return float(low), float(high)

    def p_above(self, threshold: float = 0.0) -> float:
        """P value of the one-sided test that the effect is above the threshold."""
        if self.standard_error > 0:
            return float(stdtr(self.dof, (threshold - self.estimate) / self.standard_error))
        return 0.0 if self.standard_error == 0 and self.estimate > threshold else 1.0

    def p_below(self, threshold: float = 0.0) -> float:
        """P value of the one-sided test that the effect is below the threshold."""
        if self.standard_error > 0:
            return float(stdtr(self.dof, (self.estimate - threshold) / self.standard_error))
        return 0.0 if self.standard_error == 0 and self.estimate < threshold else 1.0

    def p_within(self, margin: float, centre: float = 0.0) -> float:
        """P value of two one-sided tests that it lies within centre ± margin (Schuirmann, 1987)."""
        return max(self.p_above(centre - margin), self.p_below(centre + margin))

    def p_outside(self, margin: float, centre: float = 0.0) -> float:
        """P value of two one-sided tests that it lies outside centre ± margin (Bonferroni)."""
        return min(1.0, 2 * min(self.p_above(centre + margin), self.p_below(centre - margin)))


def contrast(values: pd.DataFrame, weights: Mapping[str, float], resolution: float = 0.0) -> Effect:
    """A weighted sum of conditions' means.

    It is computed within seeds if the conditions share at least two of them. Two conditions that share
    fewer are compared with Welch's test (1947).

    Args:
        values: A metric, with a row per seed and a column per condition; NaN for a missing result.
        weights: Per condition. The weights sum to 0.
        resolution: Step to which the values are rounded; see `Effect.of`.
    """
    columns = values[list(weights)]
    shared = columns.dropna().to_numpy()
    if len(shared) < 2 and sorted(weights.values()) == [-1, 1]:
        second, first = (
            columns[name].dropna() for name in sorted(weights, key=lambda name: weights[name])
        )
        if min(len(first), len(second)) > 1:
            return _welch(Effect.of(first, resolution), Effect.of(second, resolution))
    correlation = float("nan")
    if len(weights) == 2 and len(shared) > 2 and (shared.std(axis=0) > 0).all():
        correlation = float(np.corrcoef(shared.T)[0, 1])
    factors = np.array(list(weights.values()))
    return Effect.of(shared @ factors, resolution * float(np.linalg.norm(factors)), correlation)


def _welch(first: Effect, second: Effect) -> Effect:
    """The difference of two independent means, with Welch's degrees of freedom (1947)."""
    errors = np.array([first.standard_error, second.standard_error])
    total = float((errors**2).sum())
    return Effect(
        first.estimate - second.estimate,
        math.sqrt(total),
        total**2 / float((errors**4 / np.array([first.dof, second.dof])).sum()),
        min(first.seeds, second.seeds),
        paired=False,
    )


def prediction_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Interval that a single further result falls into with 95 % probability (Hahn & Meeker, 1991)."""
    mean = Effect.of(values)
    return replace(mean, standard_error=math.hypot(mean.sd, mean.standard_error)).interval()


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for their number, which controls the family-wise error rate (Holm, 1979)."""
    # The function of statsmodels runs the garbage collector at each call: half a second in a run.
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(factors * np.asarray(p_values)[order]).clip(max=1)
    return [float(p) for p in adjusted]


def seeds_to_show(
    difference: float, sd: float, *, level: float = 0.05, paired: bool = True
) -> int | None:
    """Number of seeds with which a two-sided t test has 80 % power to show a difference (Cohen, 1988).

    Args:
        difference: True difference.
        sd: Standard deviation of differences within seeds or, if results are not paired, of one
            condition's results.
        level: Significance level of the test.
        paired: Whether the conditions share seeds. If not, each of them needs the returned number.

    Returns:
        The number; None if the spread is unknown or 10,000 seeds are not enough.
    """
    if not sd > 0:
        return None
    test = TTestPower() if paired else TTestIndPower()
    return _smallest(lambda seeds: test.power(abs(difference) / sd, seeds, level))


def seeds_to_decide(effect: Effect, level: float, margin: float) -> int | None:
    """Number of seeds that gives 80 % power to show a difference or its absence.

    The true difference and its spread are assumed to be as measured. The result is the smaller of the
    numbers for two verdicts: the two-sided t test, and two one-sided tests for equivalence within the
    margin (Phillips, 1990).

    Returns:
        The total number, including existing seeds; None as in `seeds_to_show`.
    """
    if not effect.sd > 0:
        return None

    def equivalence(seeds: int) -> float:
        critical = stats.t.isf(level, seeds - 1)
        distances = np.array([margin - effect.estimate, margin + effect.estimate])
        return float(stats.nct.sf(critical, seeds - 1, distances * seeds**0.5 / effect.sd).sum() - 1)

    known = [
        seeds
        for seeds in (seeds_to_show(effect.estimate, effect.sd, level=level), _smallest(equivalence))
        if seeds is not None
    ]
    return min(known, default=None)


def _smallest(power: Callable[[int], float]) -> int | None:
    """The smallest number of seeds with enough power; power grows with the number."""
    seeds = range(2, MAX_SEEDS + 1)
    place = bisect_left(seeds, POWER, key=power)
    return seeds[place] if place < len(seeds) else None
