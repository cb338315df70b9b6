"""The number of seeds that will decide a claim, by simulation of the decision itself."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from scipy import stats

from cnn_ablation.evidence.effects import Effect, smallest

ROUNDS = 1_000
"""Number of simulated studies per number of seeds."""


class Decides(Protocol):
    """Says which simulated studies decide the claim.

    Args:
        low: Lower ends of the intervals, (rounds, contrasts).
        high: Upper ends.

    Returns:
        bool, (rounds,).
    """

    def __call__(self, low: np.ndarray, high: np.ndarray, /) -> np.ndarray:
        """See class."""


def seeds_needed(
    effects: Sequence[Effect],
    correlations: np.ndarray,
    level: Callable[[int], float],
    decides: Decides,
) -> int | None:
    """Smallest number of seeds that decides a claim with 80 % probability.

    The true values, their spreads and their correlations are assumed to be as measured. The simulated
    studies are judged like real ones, so that the number holds for every kind of claim and for claims
    that depend on several contrasts.

    Args:
        effects: The contrasts that decide the claim, with moderated spreads.
        correlations: Their correlations over seeds, (contrasts, contrasts).
        level: Nominal significance level of each contrast by number of seeds.
        decides: Says which studies decide the claim.

    Returns:
        The total number, larger than the present one; None if a spread is unknown, if more seeds than
        `parameters.MAX_SEEDS` are needed, or if no number is enough because the truth lies on a border.
    """
    sds = np.array([effect.sd for effect in effects])
    if not (sds > 0).all():
        return None
    rng = np.random.default_rng(0)
    estimates = np.array([effect.estimate for effect in effects])
    # Degrees of freedom beyond those of the seeds are the prior's.
    borrowed = np.array([max(0.0, effect.dof - (effect.seeds - 1)) for effect in effects])
    normal = rng.multivariate_normal(
        np.zeros(len(effects)), correlations, ROUNDS, method="eigh", check_valid="ignore"
    )
    quantiles = rng.random((ROUNDS, len(effects)))

    def power(seeds: int) -> float:
        alpha = level(seeds)
        if not alpha > 0:
            return 0.0
        own = seeds - 1
        ratio = (borrowed + stats.chi2.ppf(quantiles, own)) / (borrowed + own)
        critical = stats.t.isf(alpha / 2, borrowed + own)
        centres = estimates + normal * sds / np.sqrt(seeds)
        reach = critical * sds * np.sqrt(ratio / seeds)
        return float(decides(centres - reach, centres + reach).mean())

    return smallest(power, above=min(effect.seeds for effect in effects))
