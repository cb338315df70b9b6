"""Verdicts that the intervals of a claim's quantities imply."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from cnn_ablation.evidence.effects import FLOAT_ROUNDING, Effect
from cnn_ablation.evidence.measuring import Measured
from cnn_ablation.evidence.planning import seeds_needed
from cnn_ablation.study.claims import Claim
from cnn_ablation.study.quantities import Quantity


def imply(claim: Claim, margin: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The verdicts that intervals imply.

    Args:
        claim: The claim.
        margin: Its margin, see `tolerance_of`.
        low: Lower ends of the intervals of its quantities, in its unit, (..., quantities).
        high: Upper ends.

    Returns:
        str, (...).
    """
    supported, indifferent, contradicted = _implications(claim, margin, low, high)
    _, indifference = claim.indifference(margin) or (None, "undecided")
    ranks = [(supported, "supported"), (indifferent, indifference), (contradicted, "contradicted")]
    if claim.indifference_first:
        ranks[:2] = ranks[1::-1]
    conditions, verdicts = zip(*ranks, strict=True)
    return np.select(conditions, verdicts, "undecided")


def seeds_to_decide(
    claim: Claim,
    margin: float,
    quantities: Sequence[Quantity],
    effects: Sequence[Effect],
    correlations: np.ndarray,
    level: Callable[[int], float],
) -> int | None:
    """Number of seeds that decides a claim with 80 % probability; see `planning.seeds_needed`.

    Args:
        claim: The claim.
        margin: Its margin.
        quantities: Its quantities.
        effects: Effect on each quantity; of logarithms, if the quantity is relative.
        correlations: Correlations of the effects over seeds, (quantities, quantities).
        level: Significance level of each quantity by number of seeds.
    """

    def decides(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        ends = [
            np.column_stack([in_unit(each, end[:, place]) for place, each in enumerate(quantities)])
            for end in (low, high)
        ]
        return np.asarray(imply(claim, margin, *ends) != "undecided")

    return seeds_needed(effects, correlations, level, decides)


def weakest(claim: Claim, margin: float, measured: Sequence[Measured]) -> int:
    """Place of the quantity that supports the claim least, in the group that supports it most."""
    first, last = claim.region(margin)
    estimates = np.array(
        [float(in_unit(entry.quantity, np.array(entry.effect.estimate))) for entry in measured]
    )
    distances = np.maximum(first - estimates, estimates - last)
    distances = _grouped(claim, np.where(np.isnan(distances), -np.inf, distances))
    largest = distances.max(axis=1)
    group = int(np.where(np.isinf(largest), np.inf, largest).argmin())
    return int(group * distances.shape[1] + distances[group].argmax())


def p_value(claim: Claim, margin: float, measured: Sequence[Measured]) -> float:
    """The smallest level at which the intervals imply any verdict."""

    def inside(region: tuple[float, float]) -> float:
        p_values = np.array([_p_inside(entry, region) for entry in measured])
        return float(_grouped(claim, p_values).max(axis=-1).min())

    region = claim.region(margin)
    outside = np.array([_p_outside(entry, region) for entry in measured])
    smallest = [inside(region), float(_grouped(claim, outside).min(axis=-1).max())]
    indifference = claim.indifference(margin)
    if indifference is not None:
        smallest.append(inside(indifference[0]))
    return min(smallest)


def deciding_interval(entry: Measured, level: float) -> tuple[float, float]:
    """The interval of a quantity that decides, in the unit of the claim."""
    if entry.effect.standard_error > 0 and level == 0:
        return (-math.inf, math.inf)
    low, high = in_unit(entry.quantity, np.array(entry.effect.interval(1 - level)))
    return float(low), float(high)


def in_unit(quantity: Quantity, values: np.ndarray) -> np.ndarray:
    """Values in the unit of the claim: percent instead of logarithms."""
    return 100 * np.expm1(values) if quantity.relative else values


def _from_unit(quantity: Quantity, value: float) -> float:
    """The inverse of `in_unit`, for the end of a region."""
    if not quantity.relative:
        return value
    return math.log1p(value / 100) if value > -100 else -math.inf


def _implications(
    claim: Claim, margin: float, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether intervals imply that the claim holds, that it does not matter, that it does not hold.

    The claim holds if all quantities of one group lie in its region. It does not hold if each group has
    a quantity outside. Both follow from intervals that contain all true values at once.

    Args:
        claim: The claim.
        margin: Its margin.
        low: Lower ends, (..., quantities).
        high: Upper ends.
    """
    low, high = _grouped(claim, low), _grouped(claim, high)

    def inside(region: tuple[float, float]) -> np.ndarray:
        within = np.all(_at_most(region[0], low) & _at_most(high, region[1]), axis=-1)
        return np.asarray(np.any(within, axis=-1))

    first, last = claim.region(margin)
    supported = inside((first, last))
    outside = np.any(_below(high, first) | _below(last, low), axis=-1)
    contradicted = np.asarray(np.all(outside, axis=-1))
    indifference = claim.indifference(margin)
    indifferent = np.zeros_like(supported) if indifference is None else inside(indifference[0])
    return supported, indifferent, contradicted


def _at_most(low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Whether numbers are at most as large as others, up to the rounding of floating point."""
    return np.less_equal(low, high) | np.isclose(low, high, rtol=FLOAT_ROUNDING, atol=0)


def _below(low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Whether numbers are smaller than others by more than the rounding of floating point."""
    return np.less(low, high) & ~np.isclose(low, high, rtol=FLOAT_ROUNDING, atol=0)


def _grouped(claim: Claim, values: np.ndarray) -> np.ndarray:
    """Values of a claim's quantities, (..., quantities), as (..., groups, quantities of a group)."""
    return values.reshape(*values.shape[:-1], claim.groups, -1)


def _is_outside(value: float, first: float, last: float) -> bool:
    return bool(_below(value, first) or _below(last, value))


def _p_inside(entry: Measured, region: tuple[float, float]) -> float:
    first, last = (_from_unit(entry.quantity, end) for end in region)
    if entry.effect.standard_error == 0:
        return float(_is_outside(entry.effect.estimate, first, last))
    return min(1.0, 2 * max(entry.effect.p_above(first), entry.effect.p_below(last)))


def _p_outside(entry: Measured, region: tuple[float, float]) -> float:
    first, last = (_from_unit(entry.quantity, end) for end in region)
    if entry.effect.standard_error == 0:
        return float(not _is_outside(entry.effect.estimate, first, last))
    return min(1.0, 2 * min(entry.effect.p_below(first), entry.effect.p_above(last)))
