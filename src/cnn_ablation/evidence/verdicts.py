"""A verdict for every claim, read off intervals that hold for the whole study at once.

The claims of a study are reduced to distinct contrasts: one contrast has one interval, wherever it is
claimed. The significance level is divided by the number of contrasts (Bonferroni), so that all intervals
together contain all true values with the promised probability. A verdict is what the intervals imply. A
false one needs an interval that misses the truth, whatever the kind of claim.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import pandas as pd

from cnn_ablation.evidence.effects import Effect, Prior, contrast, seeds_to_show
from cnn_ablation.evidence.images import ImageNoise
from cnn_ablation.evidence.planning import seeds_needed
from cnn_ablation.evidence.spending import Look, Looks, Plan
from cnn_ablation.study.claims import Claim, deciding_conditions
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.quantities import (
    PRIMARY_METRIC,
    UNITS,
    Quantity,
    identify_configuration,
)
from cnn_ablation.study.trials import Condition
from cnn_ablation.training.results import EXACT

Verdict = Literal["supported", "among the best", "equivalent", "contradicted", "undecided"]

AVERAGED_METRICS = (PRIMARY_METRIC,)
"""Accuracies that are means over the moments of the last epoch."""

TRAINING_METRICS = (
    *("eval_train_accuracy", "final_train_accuracy"),
    *("generalization_gap", "overfitting_gap"),
)
"""Accuracies of training images, and differences from them."""

COLUMNS = [
    *("claim", "text", "source", "kind", "metric", "comparison", "unit", "verdict", "estimate", "low"),
    *("high", "deciding_low", "deciding_high", "image_low", "image_high", "margin", "p_value", "level"),
    *("seeds", "looks", "paired", "correlation", "claimed", "seeds_needed", "worker_minutes"),
    *("contrasts", "is_difference", "finding"),
]

PAIR_COLUMNS = [
    *("condition", "other", "seeds", "difference", "low", "high", "correlation", "sd", "unpaired_sd"),
    *("seeds_needed", "unpaired_seeds_needed"),
]


class Results(NamedTuple):
    """Results of an experiment, as far as verdicts depend on them.

    Args:
        claims: By name.
        conditions: All conditions, in order.
        trial_metrics: A row per trial: condition, seed, status and metrics.
        histories: A row per trial and epoch: condition, seed, epoch, val_accuracy, seconds.
        images: Number of images by split, `train` and `validation`.
        moments: Number of evaluations in the last epoch.
        image_noise: Variation between images, or None if it is unknown.
    """

    claims: Mapping[str, Claim]
    conditions: Sequence[Condition]
    trial_metrics: pd.DataFrame
    histories: pd.DataFrame
    images: Mapping[str, int]
    moments: int
    image_noise: ImageNoise | None = None


def list_contrasts(claims: Mapping[str, Claim], conditions: Sequence[Condition]) -> list[str]:
    """Keys of the distinct contrasts that the claims of an experiment are about, sorted.

    Two experiments have a key in common if they compare the same settings by the same metric. Metrics
    that do not depend on the seed take no part, because their comparisons need no test.
    """
    identities = {condition.name: identify_configuration(condition) for condition in conditions}
    quantities = (
        quantity for claim in claims.values() for quantity in claim.quantities(list(identities))
    )
    return sorted({each.key(identities) for each in quantities if each.metric not in EXACT})


def judge(
    experiments: Mapping[str, Results],
    family: Collection[str],
    evidence: EvidenceParameters,
    looks: Mapping[str, list[Look]],
    pursued: Sequence[int] = (),
) -> tuple[dict[str, pd.DataFrame], Looks]:
    """A verdict for each claim of some experiments of a study.

    Each claim says that quantities lie in a region; see `claims`. It is supported if the intervals of
    all of them lie in it, and contradicted if one of them lies outside. A claim that something is larger
    is equivalent if all intervals lie within the smallest effect that matters, even if the difference is
    significant. A claim that a condition is the best is `among the best` if no rival is better by what
    matters.

    Variances are moderated over the contrasts of the same metric (Smyth, 2004).

    Args:
        experiments: Results by name.
        family: Keys of all contrasts of the study, see `list_contrasts`; also of those whose experiments
            are not given.
        evidence: Significance level, smallest effect that matters, and plan of the looks.
        looks: Earlier looks by key of the contrast.
        pursued: Numbers of seeds at which a pursuit has looked before.

    Returns:
        For each experiment a table with a row per claim, and all looks including these. Columns: claim;
        text; source; kind; metric; comparison; unit; verdict; estimate; low and high (95 % interval of
        this contrast alone); deciding_low and deciding_high (the interval that decides); image_low and
        image_high (95 % interval over seeds and images); margin; p_value (of the contrast alone); level
        (which p_value is compared with); seeds; looks (number of this look at the contrast); paired;
        correlation; claimed; seeds_needed (total number to decide an undecided claim); worker_minutes
        (time that one worker needs for the missing seeds); contrasts (number of quantities that decide
        the claim); is_difference (whether they are differences of conditions); finding (in words).
    """
    analysis = _Analysis(experiments, family, evidence, looks, pursued)
    return {name: analysis.judge(name) for name in experiments}, analysis.looks


def decide(
    results: Results,
    family: Collection[str],
    evidence: EvidenceParameters,
    looks: Mapping[str, list[Look]],
) -> tuple[dict[str, Verdict], Looks]:
    """Only the verdicts of `judge` for one experiment, by claim."""
    analysis = _Analysis({"": results}, family, evidence, looks)
    return {name: finding.verdict for name, finding in analysis.findings("").items()}, analysis.looks


def rounding_step(metric: str, images: Mapping[str, int], moments: int = 1) -> float:
    """The smallest step between two values of a metric, in its unit; 0 for a continuous metric.

    An accuracy over n images changes in steps of 100 / n percent, the mean of N of them in steps of
    100 / (n N).

    Args:
        metric: A key of `quantities.UNITS`.
        images: Number of images by split, `train` and `validation`.
        moments: Number of evaluations in the last epoch.
    """
    if metric in TRAINING_METRICS:
        return 100 / max(images["train"], images["validation"])
    if metric in AVERAGED_METRICS:
        return 100 / (images["validation"] * moments)
    if metric == "val_accuracy_spread":
        return 0.0
    if UNITS[metric] == "points":
        return 100 / images["validation"]
    return 1.0 if UNITS[metric] == "epochs" else 0.0


def compare_pairs(
    trial_metrics: pd.DataFrame,
    evidence: EvidenceParameters,
    images: Mapping[str, int],
    moments: int = 1,
) -> pd.DataFrame:
    """The effect of pairing by seed on the primary metric, a row per pair of an experiment's conditions.

    Returns:
        Columns: condition; other; seeds; difference, low and high (paired); correlation over seeds; sd
        of differences within seeds; unpaired_sd of differences between independent runs; seeds_needed
        and unpaired_seeds_needed to show a difference as large as the smallest effect that matters.
    """
    values = _by_seed(trial_metrics, PRIMARY_METRIC)
    step = rounding_step(PRIMARY_METRIC, images, moments)
    rows = []
    for one, other in combinations(values.columns, 2):
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
    """A metric of the finished trials: a row per seed and a column per condition, in order.

    An exact metric is known even if the training diverged.
    """
    known = (trial_metrics["status"] == "finished") | (metric in EXACT)
    finished = trial_metrics.assign(value=trial_metrics[metric].where(known))
    conditions = trial_metrics["condition"].drop_duplicates()
    return finished.pivot(index="seed", columns="condition", values="value")[list(conditions)]


class _Measured(NamedTuple):
    """A quantity and its results."""

    quantity: Quantity
    key: str | None
    effect: Effect
    samples: pd.Series
    seeds: list[int]


class _Finding(NamedTuple):
    """A claim's measured quantities and its verdict."""

    claim: Claim
    measured: list[_Measured]
    levels: list[float]
    margin: float
    verdict: Verdict


class _Analysis:
    """The measured contrasts of some experiments, their priors, and the looks at them."""

    def __init__(
        self,
        experiments: Mapping[str, Results],
        family: Collection[str],
        evidence: EvidenceParameters,
        looks: Mapping[str, list[Look]],
        pursued: Sequence[int] = (),
    ) -> None:
        self.looks: Looks = {key: list(before) for key, before in looks.items()}
        self._pursued = pursued
        self._evidence = evidence
        self._plan = Plan(
            evidence.planned_seeds, evidence.spending, evidence.level / max(1, len(family))
        )
        self._experiments = experiments
        self._tables = {name: _Tables(results) for name, results in experiments.items()}
        measured = {
            name: {claim_name: table.measure(claim) for claim_name, claim in results.claims.items()}
            for (name, results), table in zip(experiments.items(), self._tables.values(), strict=True)
        }
        priors = _priors(
            entry for claims in measured.values() for entries in claims.values() for entry in entries
        )
        self._findings = {
            name: {
                claim_name: self._find(
                    experiments[name].claims[claim_name],
                    [
                        entry._replace(effect=entry.effect.moderated(priors[_scale(entry.quantity)]))
                        for entry in entries
                    ],
                )
                for claim_name, entries in claims.items()
            }
            for name, claims in measured.items()
        }

    def findings(self, experiment: str) -> dict[str, _Finding]:
        """The findings of an experiment, by claim."""
        return self._findings[experiment]

    def judge(self, experiment: str) -> pd.DataFrame:
        """See `judge`."""
        seconds = self._tables[experiment].seconds()
        rows = [
            self._row(name, finding, experiment, seconds)
            for name, finding in self._findings[experiment].items()
        ]
        return pd.DataFrame(rows, columns=COLUMNS).astype({"seeds_needed": "Int64"})

    def _find(self, claim: Claim, measured: list[_Measured]) -> _Finding:
        levels = []
        for entry in measured:
            if entry.key is None:
                levels.append(1.0)
                continue
            looks = self.looks.get(entry.key, [])
            for count in self._pursued:
                if count < len(entry.seeds):
                    looks, _ = self._plan.look(looks, sorted(entry.seeds)[:count])
            self.looks[entry.key], level = self._plan.look(
                looks, entry.seeds, correlated=entry.effect.is_moderated
            )
            levels.append(level)
        margin = claim.tolerance_of(self._evidence.smallest_effect)
        ends = [_deciding_interval(entry, level) for entry, level in zip(measured, levels, strict=True)]
        low, high = (np.array([end[place] for end in ends]) for place in (0, 1))
        verdict = cast(Verdict, str(imply(claim, margin, low, high)))
        return _Finding(claim, measured, levels, margin, verdict)

    def _row(self, name: str, finding: _Finding, experiment: str, seconds: pd.Series) -> dict[str, Any]:
        claim, measured, levels, margin, verdict = finding
        weakest = _weakest(claim, margin, measured)
        quantity, key, effect, *_ = shown = measured[weakest]
        needed, minutes = None, None
        if verdict == "undecided":
            needed = self._seeds_needed(finding)
            if needed is not None:
                missing = needed if self._is_spent(finding) else needed - effect.seeds
                names = deciding_conditions(claim, self._tables[experiment].names)
                minutes = missing * seconds.reindex(names).sum() / 60
        noise = self._experiments[experiment].image_noise
        over_images = (math.nan, math.nan)
        if noise is not None and _is_accuracy(quantity) and noise.covers(quantity.conditions):
            over_images = noise.interval(effect, quantity.weights)
        low, high = _in_unit(quantity, np.array(effect.interval()))
        deciding = _deciding_interval(shown, levels[weakest])
        row = {
            "claim": name,
            "text": claim.text,
            "source": claim.source,
            "kind": claim.kind,
            "metric": claim.metric,
            "comparison": claim.describe(quantity),
            "unit": claim.unit,
            "verdict": verdict,
            "estimate": float(_in_unit(quantity, np.array(effect.estimate))),
            "low": float(low),
            "high": float(high),
            "deciding_low": deciding[0],
            "deciding_high": deciding[1],
            "image_low": over_images[0],
            "image_high": over_images[1],
            "margin": margin,
            "p_value": _p_value(finding),
            "level": min(levels),
            "seeds": effect.seeds,
            "looks": _number(self.looks.get(key, []), shown.seeds) if key is not None else 0,
            "paired": effect.paired,
            "correlation": effect.correlation,
            "claimed": claim.claimed_value,
            "seeds_needed": needed,
            "worker_minutes": minutes,
            "contrasts": len(measured),
            "is_difference": len(quantity.weights) > 1,
        }
        return row | {"finding": _finding(row, anew=self._is_spent(finding))}

    def _seeds_needed(self, finding: _Finding) -> int | None:
        claim, measured, *_, margin, _ = finding
        correlations = np.eye(len(measured))
        if len(measured) > 1:
            samples = pd.concat([entry.samples for entry in measured], axis=1).dropna()
            if len(samples) < 2:
                return None
            correlations = np.nan_to_num(np.corrcoef(samples.to_numpy().T), nan=0.0)
            np.fill_diagonal(correlations, 1.0)
        before = [
            (self.looks[entry.key], entry.effect.is_moderated)
            for entry in measured
            if entry.key is not None
        ]
        anew = self._is_spent(finding)

        def level(seeds: int) -> float:
            if anew:
                return self._plan.level
            return min(
                self._plan.next_level(looks, seeds, correlated=moderated) for looks, moderated in before
            )

        quantities = [entry.quantity for entry in measured]
        effects = [entry.effect for entry in measured]
        return seeds_to_decide(claim, margin, quantities, effects, correlations, level)

    def _is_spent(self, finding: _Finding) -> bool:
        """Whether the level of a quantity is used up, so that more seeds cannot decide the claim."""
        looks = (self.looks.get(entry.key, []) for entry in finding.measured if entry.key is not None)
        return any(taken and taken[-1].spent >= 1 for taken in looks)


class _Tables:
    """An experiment's results by metric. Each metric is pivoted once for all claims."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self.names = [condition.name for condition in results.conditions]
        self._identities = {
            condition.name: identify_configuration(condition) for condition in results.conditions
        }
        self._values: dict[str, pd.DataFrame] = {}

    def measure(self, claim: Claim) -> list[_Measured]:
        """The claim's quantities and their results."""
        return [self._measure(quantity) for quantity in claim.quantities(self.names)]

    def seconds(self) -> pd.Series:
        """Mean training time of each condition's trials, s."""
        trials = self._results.histories.groupby(["condition", "seed"])["seconds"].sum()
        means: pd.Series = trials.groupby("condition").mean()
        return means

    def _measure(self, quantity: Quantity) -> _Measured:
        values = self._by_metric(quantity)
        step = rounding_step(quantity.metric, self._results.images, self._results.moments)
        weights = quantity.weights
        if quantity.divisor is not None:
            step *= float(np.linalg.norm([*weights.values()])) / abs(values[quantity.divisor]).mean()
            total = values[list(weights)].mul(pd.Series(weights)).sum(axis="columns", skipna=False)
            values, weights = (total / values[quantity.divisor]).to_frame("ratio"), {"ratio": 1.0}
        elif quantity.relative:
            step /= values.abs().stack().mean()
            values = values.apply(np.log)
        effect = contrast(values, weights, step)
        columns = values[list(weights)]
        samples = columns.dropna() @ np.array(list(weights.values()))
        if quantity.metric in EXACT and effect.seeds:
            # The mean of equal numbers can differ from them by rounding.
            exact = effect.estimate if samples.empty else float(samples.iloc[0])
            effect = replace(effect, estimate=exact, standard_error=0.0)
        seeds = samples.index if effect.paired else columns.dropna(how="all").index
        key = None if quantity.metric in EXACT else quantity.key(self._identities)
        return _Measured(quantity, key, effect, samples, [int(seed) for seed in seeds])

    def _by_metric(self, quantity: Quantity) -> pd.DataFrame:
        """The metric of a quantity's conditions, a row per seed."""
        if quantity.within is not None:
            rows = self._results.histories
            early = rows[rows["epoch"] <= quantity.within]
            best = early.groupby(["seed", "condition"])["val_accuracy"].max().unstack()
            return best.reindex(columns=list(quantity.weights))
        if quantity.metric not in self._values:
            self._values[quantity.metric] = _by_seed(self._results.trial_metrics, quantity.metric)
        return self._values[quantity.metric][list(dict.fromkeys(quantity.conditions))]


class _Scale(NamedTuple):
    """Contrasts of the same scale have comparable variances."""

    metric: str
    relative: bool
    is_ratio: bool
    # What a seed does to all conditions alike cancels in differences, but not in single values.
    is_difference: bool
    within: int | None


def _scale(quantity: Quantity) -> _Scale:
    return _Scale(
        quantity.metric,
        quantity.relative,
        quantity.divisor is not None,
        len(quantity.weights) > 1,
        quantity.within,
    )


def _is_accuracy(quantity: Quantity) -> bool:
    """Whether the quantity is a weighted sum of the accuracies that stored hits are about."""
    return quantity.metric == PRIMARY_METRIC and not quantity.relative and quantity.divisor is None


def _priors(measured: Iterable[_Measured]) -> dict[_Scale, Prior]:
    groups: dict[_Scale, dict[str, Effect]] = {}
    for entry in measured:
        distinct = groups.setdefault(_scale(entry.quantity), {})
        if entry.key is not None:
            distinct[entry.key] = entry.effect
    return {scale: Prior.of(list(effects.values())) for scale, effects in groups.items()}


def _number(looks: Sequence[Look], seeds: Iterable[int]) -> int:
    """The number, from 1, of the look at these seeds; that of the last look if there is none."""
    current = frozenset(seeds)
    return next((n for n, look in enumerate(looks, 1) if look.seeds == current), len(looks))


def _in_unit(quantity: Quantity, values: np.ndarray) -> np.ndarray:
    """Values in the unit of the claim: percent instead of logarithms."""
    return 100 * np.expm1(values) if quantity.relative else values


def _from_unit(quantity: Quantity, value: float) -> float:
    """The inverse of `_in_unit`, for the end of a region."""
    if not quantity.relative:
        return value
    return math.log1p(value / 100) if value > -100 else -math.inf


def _deciding_interval(entry: _Measured, level: float) -> tuple[float, float]:
    """The interval of a quantity that decides, in the unit of the claim."""
    if entry.effect.standard_error > 0 and level == 0:
        return (-math.inf, math.inf)
    low, high = _in_unit(entry.quantity, np.array(entry.effect.interval(1 - level)))
    return float(low), float(high)


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
        within = np.all((low >= region[0]) & (high <= region[1]), axis=-1)
        return np.asarray(np.any(within, axis=-1))

    first, last = claim.region(margin)
    supported = inside((first, last))
    outside = np.any((high < first) | (low > last), axis=-1)
    contradicted = np.asarray(np.all(outside, axis=-1))
    indifference = claim.indifference(margin)
    indifferent = np.zeros_like(supported) if indifference is None else inside(indifference[0])
    return supported, indifferent, contradicted


def _grouped(claim: Claim, values: np.ndarray) -> np.ndarray:
    """Values of a claim's quantities, (..., quantities), as (..., groups, quantities of a group)."""
    return values.reshape(*values.shape[:-1], claim.groups, -1)


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
            np.column_stack([_in_unit(each, end[:, place]) for place, each in enumerate(quantities)])
            for end in (low, high)
        ]
        return np.asarray(imply(claim, margin, *ends) != "undecided")

    return seeds_needed(effects, correlations, level, decides)


def _weakest(claim: Claim, margin: float, measured: Sequence[_Measured]) -> int:
    """Place of the quantity that supports the claim least, in the group that supports it most."""
    first, last = claim.region(margin)
    estimates = np.array(
        [float(_in_unit(entry.quantity, np.array(entry.effect.estimate))) for entry in measured]
    )
    distances = np.maximum(first - estimates, estimates - last)
    distances = _grouped(claim, np.where(np.isnan(distances), -np.inf, distances))
    largest = distances.max(axis=1)
    group = int(np.where(np.isinf(largest), np.inf, largest).argmin())
    return int(group * distances.shape[1] + distances[group].argmax())


def _p_value(finding: _Finding) -> float:
    """The smallest level at which the intervals imply any verdict."""
    claim, measured, _, margin, _ = finding

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


def _p_inside(entry: _Measured, region: tuple[float, float]) -> float:
    first, last = (_from_unit(entry.quantity, end) for end in region)
    if entry.effect.standard_error == 0:
        return 0.0 if first <= entry.effect.estimate <= last else 1.0
    return min(1.0, 2 * max(entry.effect.p_above(first), entry.effect.p_below(last)))


def _p_outside(entry: _Measured, region: tuple[float, float]) -> float:
    first, last = (_from_unit(entry.quantity, end) for end in region)
    return min(1.0, 2 * min(entry.effect.p_below(first), entry.effect.p_above(last)))


def _finding(row: Mapping[str, Any], *, anew: bool) -> str:
    """The finding: estimate, interval, seeds, and the number of seeds that would decide the claim.

    Args:
        row: Of the table of verdicts.
        anew: Whether the level is used up, so that only a study with new seeds can decide the claim.
    """
    unit, signed = row["unit"], row["is_difference"]
    if np.isnan(row["estimate"]):
        return "no result"
    words = f"{row['comparison']}: {quantity(row['estimate'], unit, signed=signed)}"
    if row["claimed"] is not None:
        bound = "at most " if row["kind"] == "at_most" else ""
        words += f", claimed {bound}{quantity(row['claimed'], unit)}"
    if row["seeds"] == 1 and row["verdict"] == "undecided":
        return f"{words}; one seed cannot tell"
    if row["verdict"] == "undecided" and np.isnan(row["low"]):
        return (
            f"{words}; the {row['seeds']} results are equal up to rounding, so their spread is unknown"
        )
    if row["low"] < row["high"]:
        pairing = (", paired" if row["paired"] else ", not paired") if signed else ""
        words += (
            f" (95 % interval {quantity(row['low'], unit, bare=True)} to "
            f"{quantity(row['high'], unit, bare=True)}; {row['seeds']} seeds{pairing})"
        )
    if row["verdict"] == "undecided":
        if row["level"] == 0:
            words += "; earlier looks leave no level for these seeds"
        elif row["seeds_needed"] is None:
            words += "; no number of seeds is known to decide it"
        else:
            seeds = row["seeds_needed"]
            words += (
                f"; the level is used up, and about {seeds} new seeds, planned for one look, would "
                "decide it"
                if anew
                else f"; about {seeds} seeds would decide it"
            )
            if row["worker_minutes"]:
                words += f", {duration(row['worker_minutes'])} of training on one worker"
    return words


def quantity(value: float, unit: str, *, signed: bool = False, bare: bool = False) -> str:
    """A number with its unit. The unit determines the number of digits; `bare` leaves the unit out."""
    digits = {"nats": 3, "parameters": 0, "KiB": 0, "epochs": 1, "s": 1, "µs": 1}.get(unit, 2)
    text = f"{value:{'+' if signed else ''},.{digits}f}".replace("-", "−")
    return text if bare or unit in ("", "ratio") else f"{text} {unit}"


def duration(minutes: float) -> str:
    """A time in words: minutes below two hours, hours above."""
    if minutes < 1:
        return "less than a minute"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
