"""The best condition of a study, and whether it is better than the present champion."""

import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnn_ablation.evidence.effects import Effect, contrast
from cnn_ablation.evidence.measuring import rounding_step
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.quantities import PRIMARY_METRIC
from cnn_ablation.study.trials import Condition

logger = logging.getLogger(__name__)


class _Scored(BaseModel):
    """The entries of a winner that a contest needs."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    model: dict[str, Any]
    training: dict[str, Any]
    accuracies: Annotated[dict[str, Annotated[float, Field(ge=0, le=100)]], Field(min_length=1)]
    step: float = Field(default=0.0, ge=0)
    moments: int
    data: str
    protocol: str
    class_names: list[str] | None = None


UNREAD: dict[str, Any] = {"unread": True}
"""Stands for a champion that could not be read."""

LOST: dict[str, Any] = {"lost": True}
"""Stands for a champion whose files are gone or damaged, so that nothing can classify with it."""


class Contender(NamedTuple):
    """An experiment whose best condition can win.

    Args:
        conditions: All conditions of the experiment.
        trial_metrics: A row per trial.
        images: Number of images in each split.
        moments: Number of evaluations in the last epoch.
        data: Fingerprint of the images.
        protocol: Protocol that the accuracies were measured by.
        class_names: Name per label.
    """

    conditions: Sequence[Condition]
    trial_metrics: pd.DataFrame
    images: Mapping[str, int]
    moments: int
    data: str
    protocol: str
    class_names: list[str]


def best_trial(trial_metrics: pd.DataFrame) -> "pd.Series[Any] | None":
    """Choose the trial that represents the best condition.

    The best condition has the highest mean of the primary metric among those all of whose trials have
    finished: a mean over the few trials that did not diverge would be too favourable. If there is no
    such condition, all compete. Its trial with the highest final validation accuracy is chosen, because
    that is the accuracy of the stored weights.

    Args:
        trial_metrics: A row per trial, with a unique index; if there is a column experiment, conditions
            of different experiments are different ones.

    Returns:
        The row of the trial; None if none has finished.
    """
    finished = trial_metrics["status"] == "finished"
    by = [column for column in ("experiment", "condition") if column in trial_metrics]
    whole = finished.groupby([trial_metrics[column] for column in by]).transform("all")
    competing = trial_metrics[whole if whole.any() else finished]
    if competing.empty:
        return None
    accuracies = competing["final_val_accuracy"]
    means = competing.groupby(by)[PRIMARY_METRIC].transform("mean")
    best = competing.loc[means.idxmax(), by]
    return competing.loc[accuracies[(competing[by] == best).all(axis=1)].idxmax()]


def choose_winner(experiments: Mapping[str, Contender]) -> dict[str, Any]:
    """Choose the best condition of all experiments, see `best_trial`.

    Args:
        experiments: Results by name of the experiment.

    Returns:
        experiment and condition; model and training, the condition's settings; seed and key of its best
        trial; mean, low and high (95 % t interval; None with one seed) and accuracies by seed, percent;
        step, the smallest difference between two accuracies; moments; data (fingerprint), protocol and
        class_names. Only accuracies with the same moments, data and protocol are comparable. Empty if
        no trial has finished.
    """
    finished = {
        name: results.trial_metrics[results.trial_metrics["status"] == "finished"]
        for name, results in experiments.items()
    }
    left_out = [name for name, table in finished.items() if table.empty]
    if left_out:
        logger.warning("No trial has finished, so that it cannot win: %s", ", ".join(left_out))
    tables = [
        results.trial_metrics.assign(experiment=name)
        for name, results in experiments.items()
        if name not in left_out
    ]
    best = best_trial(pd.concat(tables, ignore_index=True)) if tables else None
    if best is None:
        return {}
    results = experiments[best["experiment"]]
    rows = finished[best["experiment"]].query("condition == @best['condition']")
    condition = next(c for c in results.conditions if c.name == best["condition"])
    step = rounding_step(PRIMARY_METRIC, [condition], results.images, results.moments)
    low, high = Effect.of(rows[PRIMARY_METRIC], step).interval()
    return {
        "experiment": best["experiment"],
        "condition": condition.name,
        "model": condition.model.model_dump(),
        "training": condition.training.model_dump(),
        "seed": int(best["seed"]),
        "key": str(best["key"]),
        "mean": float(rows[PRIMARY_METRIC].mean()),
        "low": None if pd.isna(low) else low,
        "high": None if pd.isna(high) else high,
        "accuracies": {
            str(seed): float(value)
            for seed, value in zip(rows["seed"], rows[PRIMARY_METRIC], strict=True)
        },
        "moments": results.moments,
        "step": step,
        "data": results.data,
        "protocol": results.protocol,
        "class_names": results.class_names,
    }


def contest(
    winner: Mapping[str, Any], champion: Mapping[str, Any] | None, evidence: EvidenceParameters
) -> dict[str, Any]:
    """Decide whether a winner becomes the champion.

    It does if it is better, and if there is no champion or its files are lost.

    Args:
        winner: See `choose_winner`; empty if there is none.
        champion: The present champion in the same form; None if there is none; `UNREAD` or `LOST`.
            Users can make any version of the model the champion, so other forms are possible.
        evidence: Significance level of the test.

    Returns:
        promoted (bool) and reason (text).
    """
    if not winner:
        return {"promoted": False, "reason": "no trial of the study has finished"}
    if champion is None:
        return {"promoted": True, "reason": "it is the first one"}
    if champion == UNREAD:
        return {"promoted": False, "reason": "the champion is not known, because it cannot be read"}
    if champion == LOST:
        return {"promoted": True, "reason": "the files of the champion are gone or damaged"}
    try:
        scored = _Scored.model_validate(champion)
    except ValidationError:
        return {
            "promoted": False,
            "reason": "not comparable: the champion's version has no results of a study in its tags",
        }
    if any(winner[key] != getattr(scored, key) for key in ("moments", "data", "protocol")):
        return {
            "promoted": False,
            "reason": "not comparable: the champion was scored on other data or in another way",
        }
    if all(winner[key] == getattr(scored, key) for key in ("model", "training")):
        if scored.class_names not in (None, winner["class_names"]):
            return {"promoted": True, "reason": "the champion has other names for the same classes"}
        return {"promoted": False, "reason": "it has the same configuration as the champion"}
    values = pd.DataFrame({"winner": winner["accuracies"], "champion": scored.accuracies})
    step = max(winner["step"], scored.step)
    effect = contrast(values, {"winner": 1, "champion": -1}, step)
    promoted = 2 * effect.p_above() <= evidence.level
    verdict = "it is above the champion" if promoted else "it is not shown to be above the champion"
    return {"promoted": promoted, "reason": f"{verdict}: {_finding(effect)}"}


def _finding(effect: Effect) -> str:
    """The difference between winner and champion in words, with its interval if that is known."""
    if not effect.seeds:
        return "they have no seed in common, and one of them has only one seed"
    seeds = "1 seed" if effect.seeds == 1 else f"{effect.seeds} seeds"
    low, high = effect.interval()
    known = "interval unknown" if pd.isna(low) else f"95 % interval {low:.2f} to {high:.2f}"
    return f"{effect.estimate:+.2f} points ({known}, {seeds})"
