"""Estimates over seeds: means, differences and their confidence intervals.

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
from scipy.special import digamma, polygamma, stdtr, stdtrit
from statsmodels.stats.power import TTestIndPower, TTestPower

from cnn_ablation.study.parameters import MAX_SEEDS

CONFIDENCE = 0.95
"""Confidence level of reported intervals. Verdicts use stricter ones."""

POWER = 0.8
"""Power that planned numbers of seeds have (Cohen, 1988)."""

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
        norm: Euclidean norm of the weights of the conditions. The spread of independent results grows in
            proportion to it, so that `sd / norm` can be compared between contrasts.
    """

    estimate: float
    standard_error: float
    dof: float
    seeds: int
    paired: bool = True
    correlation: float = float("nan")
    norm: float = 1.0

    @classmethod
    def of(
        cls,
        values: Sequence[float] | np.ndarray | pd.Series,
        resolution: float = 0.0,
        correlation: float = float("nan"),
        norm: float = 1.0,
    ) -> Self:
        """The mean of a sample (Student, 1908).

        Args:
            values: The sample.
            resolution: Step to which the values are rounded. The standard deviation of rounding, step /
                sqrt(12) (Sheppard, 1897), is a lower bound for that of the sample.
            correlation: See class.
            norm: See class.
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
        return cls(float(array.mean()), error, count - 1, count, True, correlation, norm)

    @property
    def sd(self) -> float:
        """Standard deviation of the values whose mean is the estimate."""
        return self.standard_error * math.sqrt(self.seeds)

    @property
    def is_moderated(self) -> bool:
        """Whether the spread borrows from other contrasts; see `moderated`."""
        return self.paired and self.dof > self.seeds - 1

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Two-sided t interval."""
        if not self.standard_error > 0:
            known = self.standard_error == 0
            return (self.estimate, self.estimate) if known else (float("nan"), float("nan"))
        reach = abs(float(stdtrit(self.dof, (1 - confidence) / 2))) * self.standard_error
        return self.estimate - reach, self.estimate + reach

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

    def moderated(self, prior: "Prior") -> Self:
        """The same estimate, with a variance that borrows from other contrasts (Smyth, 2004).

        The variance is a weighted mean of its own and the prior's. The weights are their degrees of
        freedom, which add up. Estimates whose own spread is unknown stay as they are.
        """
        if not (self.standard_error > 0 and self.paired):
            return self
        expected = prior.variance * self.norm**2
        total = prior.dof + self.dof
        variance = (prior.dof * expected + self.dof * self.sd**2) / total
        return replace(self, standard_error=math.sqrt(variance / self.seeds), dof=total)


def contrast(values: pd.DataFrame, weights: Mapping[str, float], resolution: float = 0.0) -> Effect:
    """A weighted sum of conditions' means.

    It is computed within seeds if the conditions share at least two of them. Two conditions that share
    fewer are compared with Welch's test (1947).

    Args:
        values: A metric, with a row per seed and a column per condition; NaN for a missing result.
        weights: Per condition.
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
    norm = float(np.linalg.norm(factors))
    return Effect.of(shared @ factors, resolution * norm, correlation, norm)


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
        norm=math.sqrt(2),
    )


def prediction_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Interval that a single further result falls into with 95 % probability (Hahn & Meeker, 1991)."""
    mean = Effect.of(values)
    return replace(mean, standard_error=math.hypot(mean.sd, mean.standard_error)).interval()


def seeds_to_show(difference: float, sd: float, *, paired: bool = True) -> int | None:
    """Number of seeds with which a t test has 80 % power to show a difference (Cohen, 1988).

    Args:
        difference: True difference.
        sd: Standard deviation of differences within seeds or, if results are not paired, of one
            condition's results.
        paired: Whether the conditions share seeds. If not, each of them needs the returned number.

    Returns:
        The number; None if the spread is unknown or 10,000 seeds are not enough.
    """
    if not sd > 0:
        return None
    test = TTestPower() if paired else TTestIndPower()
    return smallest(lambda seeds: test.power(abs(difference) / sd, seeds, 1 - CONFIDENCE))


def smallest(power: Callable[[int], float], above: int = 1) -> int | None:
    """The smallest number of seeds above a number with enough power, which grows with the number."""
    seeds = range(above + 1, MAX_SEEDS + 1)
    place = bisect_left(seeds, POWER, key=power)
    return seeds[place] if place < len(seeds) else None


@dataclass(frozen=True)
class Prior:
    """A scaled inverse chi-squared prior of variances.

    Args:
        variance: Typical variance of a contrast whose weights have norm 1.
        dof: Its weight, in degrees of freedom; 0 for no prior.
    """

    variance: float
    dof: float

    MAX_DOF = 8
    """Most degrees of freedom of a prior.

    Contrasts share conditions, so that their variances look more alike than they are. Without a limit
    the variances could be pooled outright, which gives false verdicts where they are unequal.
    """

    MIN_CONTRASTS = 3
    """Fewest contrasts from which a prior can be estimated."""

    @classmethod
    def of(cls, effects: Sequence[Effect]) -> Self:
        """Estimate the prior from contrasts of one metric by the method of moments (Smyth, 2004).

        The logarithm of a sample variance has a variance that is known from its degrees of freedom. What
        the logarithms of the contrasts' variances vary beyond that determines the degrees of freedom.

        Args:
            effects: Distinct contrasts. Those without a known spread, and unpaired ones, are left out.
        """
        known = [effect for effect in effects if effect.standard_error > 0 and effect.paired]
        if len(known) < cls.MIN_CONTRASTS:
            return cls(0.0, 0.0)
        halves = np.array([effect.dof / 2 for effect in known])
        logs = np.log([(effect.sd / effect.norm) ** 2 for effect in known])
        centred = logs - digamma(halves) + np.log(halves)
        excess = float(centred.var(ddof=1) - polygamma(1, halves).mean())
        typical = float(centred.mean())
        if not excess > 0:
            return cls(math.exp(typical), cls.MAX_DOF)
        half = _inverse_trigamma(excess)
        # The limit applies to the weight alone: it would make the typical variance too small.
        return cls(math.exp(typical + digamma(half) - math.log(half)), min(cls.MAX_DOF, 2 * half))


def _inverse_trigamma(value: float) -> float:
    """The number whose trigamma function has this positive value, by Newton's method (Smyth, 2004)."""
    number = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, number))
        change = trigamma * (1 - trigamma / value) / float(polygamma(2, number))
        number += change
        if -change / number < FLOAT_ROUNDING:
            break
    return number
