"""Measured contrasts: the quantities of claims, estimated from the trials of an experiment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd

from cnn_ablation.evidence.effects import Effect, Prior, contrast
from cnn_ablation.evidence.noise import ImageNoise
from cnn_ablation.study.claims import Claim
from cnn_ablation.study.quantities import (
    PRIMARY_METRIC,
    SIGNED,
    UNITS,
    Quantity,
    identify_configuration,
)
from cnn_ablation.study.trials import Condition
from cnn_ablation.training.results import EXACT

TRAINING_ACCURACIES = ("eval_train_accuracy", "final_train_accuracy")
"""Accuracies of training images."""

TIMES = ("seconds_per_epoch", "compute_seconds_per_epoch", "inference_us")
"""Metrics that depend on the processor."""


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


def rounding_step(
    metric: str, conditions: Iterable[Condition], images: Mapping[str, int], moments: int
) -> float:
    """The smallest step between two values of a metric, in its unit; 0 for a continuous metric.

    An accuracy over n images changes in steps of 100 / n percent, the mean of N of them in steps of
    100 / (n N).

    Args:
        metric: A key of `quantities.UNITS`.
        conditions: The conditions whose values are compared. The coarsest counts.
        images: Number of images by split, `train` and `validation`.
        moments: See `Configuration.moments`.
    """
    if metric in TRAINING_ACCURACIES:
        return 100 / images["train"]
    if metric in SIGNED:  # A difference between an accuracy of each kind.
        return 100 / max(images["train"], images["validation"])
    if metric == PRIMARY_METRIC:  # The mean over the moments of the last epoch.
        fewest = min((condition.moments(moments) for condition in conditions), default=moments)
        return 100 / (images["validation"] * fewest)
    if metric == "val_accuracy_spread":
        return 0.0
    if UNITS[metric] == "points":
        return 100 / images["validation"]
    return 1.0 if UNITS[metric] == "epochs" else 0.0


def mask_partial(values: pd.DataFrame, trial_metrics: pd.DataFrame) -> pd.DataFrame:
    """Metrics of trials, without those that a finished trial of the same condition lacks.

    The trials that have a value, such as the epoch in which they reach an accuracy that others never
    reach, are not a fair sample of their condition.

    Args:
        values: Some metrics, a row per trial.
        trial_metrics: The same trials, with condition and status.
    """
    lacking = values.isna().mul(trial_metrics["status"] == "finished", axis="index")
    return values.mask(lacking.groupby(trial_metrics["condition"]).transform("any"))


def by_seed(trial_metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric of the finished trials: a row per seed and a column per condition, in order.

    An exact metric is known even if the training diverged. A condition some of whose finished trials
    have no value has none at all; see `mask_partial`.
    """
    values = trial_metrics[[metric]].replace([np.inf, -np.inf], np.nan)
    known = (trial_metrics["status"] == "finished") | (metric in EXACT)
    finished = trial_metrics.assign(value=mask_partial(values, trial_metrics)[metric].where(known))
    conditions = trial_metrics["condition"].drop_duplicates()
    return finished.pivot(index="seed", columns="condition", values="value")[list(conditions)]


def several_processors(metric: str, trials: pd.DataFrame) -> str:
    """The reason why a metric of trials is not compared if it is a time and their processors differ.

    Args:
        metric: A key of `quantities.UNITS`.
        trials: A row per finished trial. Trials of older versions of this package have no `processor`.

    Returns:
        The reason, or an empty text if the trials can be compared.
    """
    if metric not in TIMES or "processor" not in trials or trials["processor"].nunique() < 2:
        return ""
    processors = sorted(trials["processor"].dropna().unique())
    return f"the trials were trained on several processors: {', '.join(processors)}"


class Measured(NamedTuple):
    """A quantity and its results.

    Args:
        quantity: The quantity.
        key: See `Quantity.key`; None for a quantity that needs no test.
        effect: Its estimate over seeds.
        samples: Its values, by seed.
        seeds: The seeds behind the estimate.
        fault: The reason why there is no estimate, if it is not the lack of finished trials; or empty.
    """

    quantity: Quantity
    key: str | None
    effect: Effect
    samples: pd.Series
    seeds: list[int]
    fault: str = ""


class MeasuredExperiment:
    """An experiment's results by metric. Each metric is pivoted once for all claims."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self.names = [condition.name for condition in results.conditions]
        self._identities = {
            condition.name: identify_configuration(condition) for condition in results.conditions
        }
        self._values: dict[str, pd.DataFrame] = {}

    def measure(self, claim: Claim) -> list[Measured]:
        """The claim's quantities and their results."""
        return [self._measure(quantity) for quantity in claim.quantities(self.names)]

    def seconds(self) -> pd.Series:
        """Mean training time of each condition's trials, s."""
        trials = self._results.histories.groupby(["condition", "seed"])["seconds"].sum()
        means: pd.Series = trials.groupby("condition").mean()
        return means

    def _measure(self, quantity: Quantity) -> Measured:
        values, results = self._by_metric(quantity), self._results
        fault = self._fault(quantity)
        if fault:
            values = values * np.nan
        compared = [each for each in results.conditions if each.name in quantity.conditions]
        step = rounding_step(quantity.metric, compared, results.images, results.moments)
        weights = quantity.weights
        if quantity.divisor is not None:
            divisors = values[quantity.divisor]
            step *= float(np.linalg.norm([*weights.values()])) / divisors.abs().mean()
            total = values[list(weights)].mul(pd.Series(weights)).sum(axis="columns", skipna=False)
            values, weights = (total / divisors).to_frame("ratio"), {"ratio": 1.0}
        elif quantity.relative:
            step /= values.abs().stack().mean()
            values = np.log(values)
        effect = contrast(values, weights, step)
        columns = values[list(weights)]
        samples = columns.dropna() @ np.array(list(weights.values()))
        if quantity.metric in EXACT and effect.seeds:
            # The mean of equal numbers can differ from them by rounding.
            exact = effect.estimate if samples.empty else float(samples.iloc[0])
            effect = replace(effect, estimate=exact, standard_error=0.0)
        seeds = samples.index if effect.paired else columns.dropna(how="all").index
        key = None if quantity.metric in EXACT else quantity.key(self._identities)
        return Measured(quantity, key, effect, samples, [int(seed) for seed in seeds], fault)

    def _fault(self, quantity: Quantity) -> str:
        """The reason why the quantity has no estimate, although trials have finished; or empty."""
        metric, trials = quantity.metric, self._results.trial_metrics
        compared = trials["condition"].isin(quantity.conditions)
        finished = trials[compared & (trials["status"] == "finished")]
        if mixed := several_processors(metric, finished):
            return mixed
        if quantity.within is not None:
            return ""
        lacking = ~np.isfinite(finished[metric])
        if quantity.relative:
            lacking |= finished[metric] <= 0
        elif quantity.divisor is not None:
            lacking |= (finished["condition"] == quantity.divisor) & (finished[metric] == 0)
        count = int(lacking.sum())
        return f"{metric} is undefined for {count} of {len(finished)} finished trials" if count else ""

    def _by_metric(self, quantity: Quantity) -> pd.DataFrame:
        """The metric of a quantity's conditions, a row per seed."""
        if quantity.within is not None:
            rows, trials = self._results.histories, self._results.trial_metrics
            early = rows[rows["epoch"] <= quantity.within]
            best = early.groupby(["condition", "seed"])["val_accuracy"].max()
            finished = trials.loc[trials["status"] == "finished", ["condition", "seed"]]
            best = best[best.index.isin(pd.MultiIndex.from_frame(finished))]
            return best.unstack("condition").reindex(columns=list(quantity.weights))
        if quantity.metric not in self._values:
            self._values[quantity.metric] = by_seed(self._results.trial_metrics, quantity.metric)
        return self._values[quantity.metric][list(dict.fromkeys(quantity.conditions))]


class _Scale(NamedTuple):
    """Contrasts of the same scale have comparable variances."""

    metric: str
    relative: bool
    is_ratio: bool
    # An effect of the seed on all conditions alike cancels in differences, but not in single values.
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


def moderate(claims: Sequence[Sequence[Measured]]) -> list[list[Measured]]:
    """Moderate the variances over the distinct contrasts of the same scale (Smyth, 2004).

    Args:
        claims: The measured quantities of each claim.

    Returns:
        The same quantities with moderated effects.
    """
    contrasts: dict[_Scale, dict[str, Effect]] = {}
    for entry in chain.from_iterable(claims):
        distinct = contrasts.setdefault(_scale(entry.quantity), {})
        if entry.key is not None:
            distinct[entry.key] = entry.effect
    priors = {scale: Prior.of(list(effects.values())) for scale, effects in contrasts.items()}
    return [
        [
            entry._replace(effect=entry.effect.moderated(priors[_scale(entry.quantity)]))
            for entry in entries
        ]
        for entries in claims
    ]
