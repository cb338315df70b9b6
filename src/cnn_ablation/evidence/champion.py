"""The best condition of a study, and whether it is better than the present champion."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cnn_ablation.evidence.effects import Effect, contrast
from cnn_ablation.evidence.verdicts import rounding_step
from cnn_ablation.study.parameters import DataParameters, EvidenceParameters
from cnn_ablation.study.trials import Trial


def choose_winner(
    trials: Mapping[str, list[Trial]],
    trial_metrics: Mapping[str, pd.DataFrame],
    data_summary: Mapping[str, Any],
    data: DataParameters,
) -> dict[str, Any]:
    """The condition with the highest mean final validation accuracy over all experiments.

    Args:
        trials: Per experiment.
        trial_metrics: Per experiment, a row per trial.
        data_summary: See `splits.summarize_splits`.
        data: Parameters of the splits on which the accuracies were measured.

    Returns:
        experiment and condition; model and training, the condition's settings; seed and key of its best
        trial; mean, low and high (95 % t interval; None with one seed) and accuracies by seed, percent;
        step, the smallest difference between two accuracies; data (fingerprint) and protocol. Only
        accuracies with the same data and protocol are comparable.
    """
    tables = [table.assign(experiment=name) for name, table in trial_metrics.items()]
    finished = pd.concat(tables).query("status == 'finished'")
    means = finished.groupby(["experiment", "condition"], sort=False)["final_val_accuracy"].mean()
    experiment, name = means.idxmax()
    rows = finished[(finished["experiment"] == experiment) & (finished["condition"] == name)]
    best = rows.loc[rows["final_val_accuracy"].idxmax()]
    condition = next(t.condition for t in trials[experiment] if t.condition.name == name)
    step = rounding_step("final_val_accuracy", data_summary["images"])
    low, high = Effect.of(rows["final_val_accuracy"], step).interval()
    return {
        "experiment": experiment,
        "condition": name,
        "model": condition.model.model_dump(),
        "training": condition.training.model_dump(),
        "seed": int(best["seed"]),
        "key": str(best["key"]),
        "mean": float(means.max()),
        "low": None if pd.isna(low) else low,
        "high": None if pd.isna(high) else high,
        "accuracies": {str(row.seed): float(row.final_val_accuracy) for row in rows.itertuples()},
        "step": step,
        "data": data_summary["fingerprint"],
        "protocol": data.protocol,
    }


def contest(
    winner: Mapping[str, Any], champion: Mapping[str, Any] | None, evidence: EvidenceParameters
) -> dict[str, Any]:
    """Whether a winner becomes the champion: the first winner does, a later one only if it is better.

    Args:
        winner: See `choose_winner`.
        champion: The present champion in the same form; None if there is none.
        evidence: Level of the test.

    Returns:
        promoted (bool) and reason (text).
    """
    if champion is None:
        return {"promoted": True, "reason": "it is the first one"}
    if any(winner[key] != champion[key] for key in ("data", "protocol")):
        return {"promoted": False, "reason": "not comparable: the champion was scored on other data"}
    if all(winner[key] == champion[key] for key in ("model", "training")):
        return {"promoted": False, "reason": "it has the same configuration as the champion"}
    values = pd.DataFrame({"winner": winner["accuracies"], "champion": champion["accuracies"]})
    effect = contrast(values, {"winner": 1, "champion": -1}, winner["step"])
    promoted = 2 * effect.p_above() <= evidence.level
    low, high = effect.interval()
    verdict = "it is above the champion" if promoted else "it is not shown to be above the champion"
    return {
        "promoted": promoted,
        "reason": f"{verdict}: {effect.estimate:+.2f} points (95 % interval {low:.2f} to {high:.2f}, "
        f"{effect.seeds} seeds)",
    }
