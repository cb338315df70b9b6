"""Significance levels for looking at growing data more than once.

Testing growing data repeatedly at the full level, and stopping at the first significant result,
eventually finds an effect that does not exist (Armitage, McPherson & Rowe, 1969). A spending function
says which share of the level may be used up when a share of the planned seeds is there (Lan & DeMets,
1983). The number and the times of the looks need not be fixed in advance.

Intervals at these levels are repeated confidence intervals (Jennison & Turnbull, 1989): the intervals of
all looks contain the true value with the promised probability.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

SPENDING: Mapping[str, Callable[[float, float], float]] = {
    "pocock": lambda share, level: level * math.log1p((math.e - 1) * share),
    "obrien_fleming": lambda share, level: float(
        2 * ndtr(ndtri(level / 2) / math.sqrt(share)) if share > 0 else 0
    ),
}
"""Level that is spent when a share of the seeds is there, by name (Lan & DeMets, 1983).

With Pocock's function, the nominal level is about the same at every look. That of O'Brien and Fleming
leaves nearly the whole level for the last look.
"""

LARGEST = 38.0
"""Largest bound, in standard deviations. Beyond it, probabilities are 0 in floating point."""

EDGE = 8.5
"""End of the numerical integration, in standard deviations. The rest has a probability of 1e-17."""

NODES = 100
"""Smallest number of nodes of the numerical integration."""

NODES_PER_STEP = 3
"""Nodes per standard deviation of the change between two looks. More change no level by 0.1 %."""


@dataclass(frozen=True)
class Look:
    """A look at a contrast.

    Args:
        seeds: The seeds of its results.
        spent: Share of the level that was used up by this look and all before it, 0 to 1.
    """

    seeds: frozenset[int]
    spent: float


Looks = dict[str, list[Look]]
"""Looks at each contrast, in order, by the contrast's key."""


def dump_looks(looks: Mapping[str, Sequence[Look]]) -> dict[str, list[dict[str, Any]]]:
    """The looks in types that JSON can hold."""
    return {
        key: [{"seeds": sorted(look.seeds), "spent": look.spent} for look in taken]
        for key, taken in looks.items()
    }


def load_looks(content: Mapping[str, Sequence[Mapping[str, Any]]]) -> Looks:
    """The inverse of `dump_looks`."""
    return {
        key: [Look(frozenset(look["seeds"]), float(look["spent"])) for look in taken]
        for key, taken in content.items()
    }


@dataclass(frozen=True)
class Plan:
    """The plan of the looks at each contrast.

    Args:
        seeds: Largest number of seeds.
        spending: A key of `SPENDING`.
        level: Level of each contrast over all looks.
    """

    seeds: int
    spending: str
    level: float

    def look(
        self, before: Sequence[Look], seeds: Iterable[int], *, correlated: bool = True
    ) -> tuple[list[Look], float]:
        """Look at the results of these seeds.

        A look at results that were looked at before spends nothing and has the level that it had. Any
        other look must have all seeds of the last one and more; otherwise its level is 0.

        Args:
            before: Earlier looks, in order.
            seeds: Seeds of the results.
            correlated: Whether the level may use the correlation between looks, which assumes that
                statistics are nearly normal. A t statistic whose spread comes from a few seeds alone is
                not. Without, the level is what the look spends: the sum bounds the probability of an
                error, whatever the statistic (Bonferroni).

        Returns:
            All looks, and the nominal significance level of this one, to be compared with a p value.
        """
        current = frozenset(seeds)
        looks = list(before)
        known = [place for place, look in enumerate(looks) if look.seeds == current]
        if known:
            return looks, self._nominal(looks[: known[0] + 1], correlated)
        if len(current) < 2 or (looks and not current > looks[-1].seeds):
            return looks, 0.0
        spent = looks[-1].spent if looks else 0.0
        share = min(1.0, len(current) / self.seeds)
        allowed = 1.0 if share == 1 else SPENDING[self.spending](share, self.level) / self.level
        looks.append(Look(current, max(spent, allowed)))
        return looks, self._nominal(looks, correlated)

    def next_level(self, before: Sequence[Look], seeds: int, *, correlated: bool = True) -> float:
        """Level of a look at this many seeds, those of the last look among them."""
        current = set(before[-1].seeds) if before else set()
        if seeds < len(current):
            return 0.0
        others = (seed for seed in count() if seed not in current)
        wanted = [*current, *islice(others, seeds - len(current))]
        return self.look(before, wanted, correlated=correlated)[1]

    def _nominal(self, looks: Sequence[Look], correlated: bool) -> float:
        if not correlated:
            earlier = looks[-2].spent if len(looks) > 1 else 0.0
            return self.level * (looks[-1].spent - earlier)
        times = tuple(len(look.seeds) for look in looks)
        return nominal_levels(times, tuple(self.level * look.spent for look in looks))[-1]


def _bound(allowed: float, root: float, step: float, places: np.ndarray, masses: np.ndarray) -> float:
    """Bound that the statistic exceeds with the allowed probability if it never did before.

    Args:
        allowed: The probability.
        root: Square root of the number of seeds.
        step: Square root of the seeds since the last look.
        places: Nodes of the sum of the observations at the last look, without an error so far.
        masses: Their probabilities.

    Returns:
        The bound, in standard deviations; infinity if nothing is allowed.
    """

    def excess(bound: float) -> float:
        edge = bound * root
        tails = ndtr((places - edge) / step) + ndtr((-edge - places) / step)
        return float(masses @ tails) - allowed

    return math.inf if excess(LARGEST) >= 0 else float(brentq(excess, 0.0, LARGEST))


@lru_cache(maxsize=64)
def _quadrature(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the Gauss-Legendre rule, whose computation takes most of the time."""
    nodes, weights = leggauss(size)
    return nodes, weights


@lru_cache(maxsize=4096)
def nominal_levels(times: tuple[int, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """Two-sided nominal levels of looks, so that the probability of any error is as spent.

    Test statistics at two looks have the correlation sqrt(earlier / later time). The density of the
    statistic without an error so far is integrated from look to look (Armitage, McPherson & Rowe, 1969).

    Args:
        times: Number of seeds at each look, rising.
        spent: Probability of an error up to each look, not falling.

    Returns:
        Level per look. Levels for normal statistics are used for Student's t as well (Jennison &
        Turnbull, 2000, section 3.8).
    """
    levels: list[float] = []
    places, masses, before, used = np.zeros(1), np.ones(1), 0, 0.0
    for time, following, total in zip(times, [*times[1:], math.inf], spent, strict=True):
        step, root = math.sqrt(time - before), math.sqrt(time)
        bound = _bound(total - used, root, step, places, masses)
        levels.append(float(2 * ndtr(-bound)))
        end = min(bound, EDGE) * root
        size = max(NODES, math.ceil(NODES_PER_STEP * end / math.sqrt(following - time)))
        nodes, weights = _quadrature(size)
        grid = nodes * end
        kernel = np.exp(-(((grid[:, None] - places) / step) ** 2) / 2) / (step * math.sqrt(2 * math.pi))
        places, masses = grid, (kernel @ masses) * weights * end
        before, used = time, total
    return tuple(levels)
