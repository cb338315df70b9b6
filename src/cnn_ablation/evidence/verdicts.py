"""A verdict for every claim: supported, contradicted, equivalent or undecided."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from cnn_ablation.evidence.effects import Effect, contrast, holm, seeds_to_decide, seeds_to_show
from cnn_ablation.study.claims import (
    PRIMARY_METRIC,
    SINGLE_CONDITION_KINDS,
    UNITS,
    Claim,
    Reaches,
    Value,
    Weights,
    deciding_conditions,
)
from cnn_ablation.study.parameters import EvidenceParameters

Verdict = Literal["supported", "contradicted", "equivalent", "undecided"]

TRAINING_METRICS = ("final_train_accuracy", "overfitting_gap")
"""Accuracies of training images, and differences from them."""

EXACT = ("total_params",)
"""Metrics that do not depend on the seed."""

COLUMNS = [
    *("claim", "text", "source", "kind", "metric", "comparison", "unit", "verdict", "estimate", "low"),
    *("high", "margin", "p_value", "seeds", "paired", "correlation", "claimed", "seeds_needed"),
    *("worker_minutes", "finding"),
]

PAIR_COLUMNS = [
    *("condition", "other", "seeds", "difference", "low", "high", "correlation", "sd", "unpaired_sd"),
    *("seeds_needed", "unpaired_seeds_needed"),
]


@dataclass(frozen=True)
class _Assessment:
    """The results for one claim, before p values are adjusted for the number of claims.

    `effect` is reported. If there are several comparisons, it is the one that supports the claim least.
    """

    label: str
    unit: str
    effect: Effect
    comparisons: list[Effect]
    conditions: list[str]
    margin: float
    p_supported: float
    p_contradicted: float
    p_equivalent: float | None = None


def judge(
    claims: Mapping[str, Claim],
    trial_metrics: pd.DataFrame,
    histories: pd.DataFrame,
    evidence: EvidenceParameters,
    images: Mapping[str, int],
    looks: int = 1,
) -> pd.DataFrame:
    """A verdict for each claim of an experiment, a row per claim.

    A claim that something is larger is supported if a two-sided t test shows it, and contradicted if the
    test shows the opposite. A claim with several comparisons is supported if each of them is supported
    (intersection-union test; Berger, 1982), and contradicted if any of them is (Bonferroni). A claim is
    equivalent if two one-sided tests (Schuirmann, 1987) place every comparison within the smallest
    effect that matters, even if the difference is significant. A claim of no difference is supported by
    equivalence and contradicted by a difference beyond the smallest effect. P values are adjusted for
    the number of the experiment's claims (Holm, 1979), separately for equivalence and the other tests.

    Args:
        claims: By name.
        trial_metrics: A row per trial: condition, seed, status and metrics.
        histories: A row per trial and epoch: condition, seed, epoch, val_accuracy, seconds.
        evidence: Significance level and smallest effect that matters.
        images: Number of images by split, `train` and `validation`; see `rounding_step`.
        looks: Total number of times that the claims are judged if seeds are added until they are
            decided. Each time uses an equal share of the significance level (Bonferroni).

    Returns:
        Columns: claim; text; source; kind; metric; comparison; unit; verdict; estimate; low and high
        (95 % t interval, not adjusted); margin; p_value (adjusted); seeds; paired; correlation; claimed;
        seeds_needed (total number to decide an undecided claim); worker_minutes (time that one worker
        needs for the missing seeds); finding (in words).
    """
    results = _Results(trial_metrics, histories, images)
    assessed = {name: _assess(claim, results, evidence) for name, claim in claims.items()}
    level = evidence.level / looks
    seconds = histories.groupby(["condition", "seed"])["seconds"].sum().groupby("condition").mean()
    rows = []
    for (name, found), (verdict, p_value) in zip(
        assessed.items(), _decide(list(assessed.values()), level), strict=True
    ):
        claim = claims[name]
        needed, minutes = None, None
        if verdict == "undecided":
            needed = _seeds_needed(found, level / len(claims))
            if needed is not None:
                # Planning assumes Holm's strictest level, while an equivalence test may need less than
                # it: the planned number can be below the existing one.
                needed = max(needed, found.effect.seeds + 1)
                missing = needed - found.effect.seeds
                minutes = missing * seconds.reindex(found.conditions).sum() / 60
        low, high = found.effect.interval()
        row = {
            "claim": name,
            "text": claim.text,
            "source": claim.source,
            "kind": claim.kind,
            "metric": claim.metric,
            "comparison": found.label,
            "unit": found.unit,
            "verdict": verdict,
            "estimate": found.effect.estimate,
            "low": low,
            "high": high,
            "margin": found.margin,
            "p_value": p_value,
            "seeds": found.effect.seeds,
            "paired": found.effect.paired,
            "correlation": found.effect.correlation,
            "claimed": _claimed(claim),
            "seeds_needed": needed,
            "worker_minutes": minutes,
        }
        rows.append(row | {"finding": _finding(row)})
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seeds_needed": "Int64"})


def decide(
    claims: Mapping[str, Claim],
    trial_metrics: pd.DataFrame,
    histories: pd.DataFrame,
    evidence: EvidenceParameters,
    images: Mapping[str, int],
    looks: int = 1,
) -> dict[str, Verdict]:
    """Only the verdicts of `judge`, by claim."""
    results = _Results(trial_metrics, histories, images)
    assessed = [_assess(claim, results, evidence) for claim in claims.values()]
    decisions = _decide(assessed, evidence.level / looks)
    return {name: verdict for name, (verdict, _) in zip(claims, decisions, strict=True)}


def _decide(assessed: Sequence[_Assessment], level: float) -> list[tuple[Verdict, float]]:
    """Each claim's verdict and its p value, adjusted for the number of claims."""
    decided = holm([min(found.p_supported, found.p_contradicted) for found in assessed])
    equivalent = iter(holm([found.p_equivalent for found in assessed if found.p_equivalent is not None]))
    verdicts: list[tuple[Verdict, float]] = []
    for found, p_decided in zip(assessed, decided, strict=True):
        p_equivalent = 1.0 if found.p_equivalent is None else next(equivalent)
        if p_equivalent <= level:
            verdicts.append(("equivalent", p_equivalent))
        elif p_decided <= level:
            supported = found.p_supported <= found.p_contradicted
            verdicts.append(("supported" if supported else "contradicted", p_decided))
        else:
            verdicts.append(("undecided", p_decided))
    return verdicts


def rounding_step(metric: str, images: Mapping[str, int]) -> float:
    """The smallest step between two values of a metric, in its unit; 0 for a continuous metric.

    An accuracy over n images changes in steps of 100 / n percent.

    Args:
        metric: A key of `claims.UNITS`.
        images: Number of images by split, `train` and `validation`.
    """
    if metric in TRAINING_METRICS:
        return 100 / max(images["train"], images["validation"])
    if UNITS[metric] == "points":
        return 100 / images["validation"]
    return 1.0 if UNITS[metric] == "epochs" else 0.0


def compare_pairs(
    trial_metrics: pd.DataFrame, evidence: EvidenceParameters, images: Mapping[str, int]
) -> pd.DataFrame:
    """The effect of pairing by seed on final accuracy, a row per pair of an experiment's conditions.

    Returns:
        Columns: condition; other; seeds; difference, low and high (paired); correlation over seeds; sd
        of differences within seeds; unpaired_sd of differences between independent runs; seeds_needed
        and unpaired_seeds_needed to show a difference as large as the smallest effect that matters.
    """
    values = _by_seed(trial_metrics, PRIMARY_METRIC)
    step = rounding_step(PRIMARY_METRIC, images)
    rows = []
    for index, one in enumerate(values.columns):
        for other in values.columns[index + 1 :]:
            shared = values[[one, other]].dropna()
            effect = contrast(values, {one: 1, other: -1}, step)
            unpaired = float(np.hypot(*shared.std())) if len(shared) > 1 else float("nan")
            low, high = effect.interval()
            rows.append(
                {
                    "condition": one,
                    "other": other,
                    "seeds": effect.seeds,
                    "difference": effect.estimate,
                    "low": low,
                    "high": high,
                    "correlation": effect.correlation,
                    "sd": effect.sd,
                    "unpaired_sd": unpaired,
                    "seeds_needed": seeds_to_show(evidence.smallest_effect, effect.sd),
                    "unpaired_seeds_needed": seeds_to_show(
                        evidence.smallest_effect, unpaired / math.sqrt(2), paired=False
                    ),
                }
            )
    table = pd.DataFrame(rows, columns=PAIR_COLUMNS)
    return table.astype({"seeds_needed": "Int64", "unpaired_seeds_needed": "Int64"})


def _by_seed(trial_metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric of the finished trials: a row per seed and a column per condition, in order."""
    finished = trial_metrics.assign(
        value=trial_metrics[metric].where(trial_metrics["status"] == "finished")
    )
    conditions = trial_metrics["condition"].drop_duplicates()
    return finished.pivot(index="seed", columns="condition", values="value")[list(conditions)]


class _Results:
    """An experiment's results. Each metric is pivoted once for all claims."""

    def __init__(
        self, trial_metrics: pd.DataFrame, histories: pd.DataFrame, images: Mapping[str, int]
    ) -> None:
        self.images = images
        self.conditions = list(trial_metrics["condition"].drop_duplicates())
        self._trial_metrics = trial_metrics
        self._histories = histories
        self._values: dict[str, pd.DataFrame] = {}

    def values(self, metric: str) -> pd.DataFrame:
        """See `_by_seed`."""
        if metric not in self._values:
            self._values[metric] = _by_seed(self._trial_metrics, metric)
        return self._values[metric]

    def best_accuracy(self, condition: str, within: int) -> pd.Series:
        """Per seed, the highest validation accuracy within a condition's first epochs."""
        rows = self._histories[self._histories["condition"] == condition]
        early = rows[rows["epoch"] <= within]
        best: pd.Series = early.groupby("seed")["val_accuracy"].max()
        return best


def _assess(claim: Claim, results: _Results, evidence: EvidenceParameters) -> _Assessment:
    conditions, values = results.conditions, results.values(claim.metric)
    unit = UNITS[claim.metric]
    if isinstance(claim, Reaches):
        best = results.best_accuracy(claim.condition, claim.within)
        effect = Effect.of(best - claim.accuracy, rounding_step("best_val_accuracy", results.images))
        return _Assessment(
            f"best of {claim.condition}'s first {claim.within} epochs − {claim.accuracy:g} %",
            "points",
            effect,
            [effect],
            deciding_conditions(claim, conditions),
            0.0,
            *_sides(effect),
        )
    if isinstance(claim, Value):
        measured, label = values[claim.condition], claim.condition
        resolution = rounding_step(claim.metric, results.images)
        if claim.metric.endswith("accuracy"):
            unit = "%"
        if claim.relative_to is not None:
            measured = measured / values[claim.relative_to]
            label, unit = f"{label} / {claim.relative_to}", "ratio"
            resolution /= abs(values[claim.relative_to]).mean()
        effect = Effect.of(measured.dropna(), resolution)
        if claim.metric in EXACT and effect.seeds:
            effect = replace(effect, standard_error=0.0)
        return _Assessment(
            label,
            unit,
            effect,
            [replace(effect, estimate=effect.estimate - claim.value)],
            deciding_conditions(claim, conditions),
            claim.tolerance,
            effect.p_within(claim.tolerance, claim.value),
            effect.p_outside(claim.tolerance, claim.value),
        )
    margin = claim.smallest_effect or evidence.smallest_effect
    comparisons = claim.comparisons(conditions)
    step = rounding_step(claim.metric, results.images)
    effects = [_contrast(values, weights, claim.metric, step) for weights in comparisons]
    within = [effect.p_within(margin) for effect in effects]
    if claim.expects_nothing:
        supported, contradicted = within, [effect.p_outside(margin) for effect in effects]
        distances = [abs(effect.estimate) for effect in effects]
    else:
        supported, contradicted = map(list, zip(*map(_sides, effects), strict=True))
        distances = [-effect.estimate for effect in effects]
    weakest = int(np.nanargmax(distances)) if not np.isnan(distances).all() else 0
    return _Assessment(
        claim.describe(comparisons[weakest]),
        unit,
        effects[weakest],
        effects,
        deciding_conditions(claim, conditions),
        margin,
        max(supported),
        min(1.0, len(effects) * min(contradicted)),
        None if claim.expects_nothing else max(within),
    )


def _sides(effect: Effect) -> tuple[float, float]:
    """Two-sided p values of being above and below 0."""
    return min(1.0, 2 * effect.p_above()), min(1.0, 2 * effect.p_below())


def _contrast(values: pd.DataFrame, weights: Weights, metric: str, step: float) -> Effect:
    effect = contrast(values, weights, step)
    return replace(effect, standard_error=0.0) if metric in EXACT and effect.seeds else effect


def _seeds_needed(found: _Assessment, level: float) -> int | None:
    """The largest number that any comparison needs; None if one cannot be decided by more seeds."""
    needed = [seeds_to_decide(effect, level, found.margin) for effect in found.comparisons]
    known = [seeds for seeds in needed if seeds is not None]
    return max(known) if known and len(known) == len(needed) else None


def _claimed(claim: Claim) -> float | None:
    return claim.value if isinstance(claim, Value) else getattr(claim, "claimed", None)


def _finding(row: dict[str, Any]) -> str:
    """The finding: estimate, interval, seeds, and the number of seeds that would decide the claim."""
    unit = row["unit"]
    if np.isnan(row["estimate"]):
        return "no result"
    words = f"{row['comparison']}: {quantity(row['estimate'], unit, signed=row['kind'] != 'value')}"
    if row["claimed"] is not None:
        words += f", claimed {quantity(row['claimed'], unit)}"
    if row["seeds"] == 1 and row["verdict"] == "undecided":
        return f"{words}; one seed cannot tell"
    if row["verdict"] == "undecided" and np.isnan(row["low"]):
        return (
            f"{words}; the {row['seeds']} results are equal up to rounding, so their spread is unknown"
        )
    if row["low"] < row["high"]:
        pairing = ", paired" if row["paired"] else ", not paired"
        words += (
            f" (95 % interval {quantity(row['low'], '')} to {quantity(row['high'], '')}; "
            f"{row['seeds']} seeds{'' if row['kind'] in SINGLE_CONDITION_KINDS else pairing})"
        )
    if row["verdict"] == "undecided":
        if row["seeds_needed"] is None:
            words += "; no number of seeds is known to decide it"
        else:
            words += f"; about {row['seeds_needed']} seeds would decide it"
            if row["worker_minutes"]:
                words += f", {duration(row['worker_minutes'])} of training on one worker"
    return words


def quantity(value: float, unit: str, *, signed: bool = False) -> str:
    """A number with its unit. The unit determines the number of digits."""
    digits = {"points": 2, "nats": 3, "parameters": 0, "epochs": 1, "s": 1, "ratio": 2}.get(unit, 2)
    text = f"{value:{'+' if signed else ''},.{digits}f}".replace("-", "−")
    return text if unit in ("", "ratio") else f"{text} {unit}"


def duration(minutes: float) -> str:
    """A time in words: minutes below two hours, hours above."""
    if minutes < 1:
        return "less than a minute"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
