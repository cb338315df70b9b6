"""Nodes of evaluation."""

from typing import Any

import numpy as np
import pandas as pd

from cnn_ablation.data.splits import COLUMNS, Arrays
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.study.parameters import DataParameters, EvaluationParameters, EvidenceParameters
from cnn_ablation.study.trials import Trial, conditions_by_name
from cnn_ablation.training.results import HISTORY, METRICS

DESCRIBED = ("condition", "seed", "key", "status", "processor")
"""Columns that identify a trial, its status, and the processor that trained it."""


def collect_histories(runs: pd.DataFrame, store: TrialStore) -> pd.DataFrame:
    """Collect a row per trial and epoch: condition, seed and the history of the training."""
    rows = [
        {"condition": run.condition, "seed": run.seed, **row}
        for run in runs[runs["status"] != "failed"].itertuples()
        for row in store.fetch(run.key).history
    ]
    return pd.DataFrame(rows, columns=["condition", "seed", *HISTORY])


def score_trials(runs: pd.DataFrame, store: TrialStore, splits: Arrays) -> pd.DataFrame:
    """Collect a row per trial: its metrics, and the calibration error of its last predictions.

    Trials that diverged or failed have no metrics.
    """
    from cnn_ablation.evidence.scores import score

    rows = []
    for run in runs.itertuples():
        row = {"condition": run.condition, "seed": run.seed, "key": run.key, "status": run.status}
        if run.status != "failed":
            stored = store.fetch(run.key)
            row |= {"processor": stored.manifest.get("processor"), **stored.metrics}
            if run.status == "finished":
                scores = score(stored.validation_logits(), splits["validation_labels"])
                row["expected_calibration_error"] = scores["expected_calibration_error"]
        rows.append(row)
    # Failed trials have no metrics, and possibly all trials have failed.
    table = pd.DataFrame(rows, columns=[*DESCRIBED, *METRICS, "expected_calibration_error"])
    return table.astype({metric: float for metric in table.columns if metric not in DESCRIBED})


def confuse_classes(
    runs: pd.DataFrame, store: TrialStore, splits: Arrays, data_summary: dict[str, Any]
) -> pd.DataFrame:
    """Count predictions: a row per trial and true class, a column per predicted class."""
    from cnn_ablation.evidence.scores import confusion_matrix

    class_names = data_summary["class_names"]
    tables = []
    for run in runs[runs["status"] == "finished"].itertuples():
        logits = store.fetch(run.key).validation_logits()
        table = pd.DataFrame(confusion_matrix(logits, splits["validation_labels"]), columns=class_names)
        table.insert(0, "condition", run.condition)
        table.insert(1, "seed", run.seed)
        table.insert(2, "true_class", class_names)
        tables.append(table)
    if not tables:
        return pd.DataFrame(columns=[*COLUMNS, *class_names])
    return pd.concat(tables, ignore_index=True)


def score_classes(confusion: pd.DataFrame) -> pd.DataFrame:
    """Compute the top-1 accuracy of each class, percent: a row per trial, a column per class."""
    class_names = [name for name in confusion.columns if name not in COLUMNS]
    if confusion.empty:
        return confusion[["condition", "seed", *class_names]]
    hits = confusion.apply(lambda row: row[row["true_class"]], axis=1)
    accuracy = 100 * hits / confusion[class_names].sum(axis=1)
    table = confusion[["condition", "seed", "true_class"]].assign(accuracy=accuracy)
    wide = table.pivot(index=["condition", "seed"], columns="true_class", values="accuracy")
    order = pd.MultiIndex.from_frame(confusion[["condition", "seed"]].drop_duplicates())
    return wide.loc[order, class_names].reset_index().rename_axis(columns=None)


def summarize_conditions(trial_metrics: pd.DataFrame) -> pd.DataFrame:
    """Compute mean and spread of every metric over seeds, a row per condition."""
    from cnn_ablation.evidence.scores import summarize_conditions

    return summarize_conditions(trial_metrics)


def analyze_noise(
    runs: pd.DataFrame, store: TrialStore, trial_metrics: pd.DataFrame
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Estimate how much of the results' variation comes from the choice of validation images.

    Returns:
        The variation between images, see `noise.ImageNoise.dump`, empty if it is unknown; and the noise
        budget of each condition, see `noise.budget_noise`.
    """
    from cnn_ablation.evidence.noise import ImageNoise, budget_noise

    finished = runs[runs["status"] == "finished"]
    hits = {
        condition: {run.seed: store.fetch(run.key).validation_hits() for run in trials.itertuples()}
        for condition, trials in finished.groupby("condition", sort=False)
    }
    shared = sorted(set.intersection(*map(set, hits.values()))) if hits else []
    noise = None
    if shared:
        noise = ImageNoise.of(
            {
                condition: np.stack([of_seed[seed].mean(axis=0) for seed in shared])
                for condition, of_seed in hits.items()
            }
        )
    final = {name: np.stack([array[-1] for array in of_seed.values()]) for name, of_seed in hits.items()}
    return ({} if noise is None else noise.dump()), budget_noise(trial_metrics, final)


def compare_pairs(
    trials: list[Trial],
    trial_metrics: pd.DataFrame,
    data_summary: dict[str, Any],
    evidence: EvidenceParameters,
    evaluation: EvaluationParameters,
) -> pd.DataFrame:
    """Compare all pairs of conditions, with and without pairing by seed."""
    from cnn_ablation.evidence import pairs

    conditions = conditions_by_name(trials)
    return pairs.compare_pairs(
        trial_metrics, conditions, evidence, data_summary["images"], evaluation.moments
    )


def reproduce_published(
    trials: list[Trial],
    trial_metrics: pd.DataFrame,
    data_summary: dict[str, Any],
    published_runs: pd.DataFrame,
    published_tables: pd.DataFrame,
) -> pd.DataFrame:
    """Compare each published number of these conditions with the results."""
    from cnn_ablation.evidence.published import reproduce

    conditions = conditions_by_name(trials)
    published_runs = published_runs[published_runs["images"] == data_summary["name"]]
    return reproduce(
        list(conditions.values()),
        trial_metrics,
        published_runs,
        published_tables,
        data_summary["images"],
        data_summary["settings"]["protocol"],
    )


def choose_final_model(trial_metrics: pd.DataFrame) -> dict[str, Any]:
    """Choose the trial whose network represents the experiment; see `champion.best_trial`.

    Returns:
        condition, seed and key of the trial, and validation_accuracy of its weights; empty if no trial
        has finished.
    """
    from cnn_ablation.evidence.champion import best_trial

    chosen = best_trial(trial_metrics)
    if chosen is None:
        return {}
    return {
        "condition": str(chosen["condition"]),
        "seed": int(chosen["seed"]),
        "key": str(chosen["key"]),
        "validation_accuracy": float(chosen["final_val_accuracy"]),
    }


def build_final_model(
    final_model_choice: dict[str, Any],
    trials: list[Trial],
    store: TrialStore,
    data_summary: dict[str, Any],
) -> dict[str, Any]:
    """Return the chosen network as `classifier`, and the `key` of its trial; empty without a choice."""
    from cnn_ablation.serving.classifier import Classifier

    if not final_model_choice:
        return {}
    key = final_model_choice["key"]
    model = conditions_by_name(trials)[final_model_choice["condition"]].model
    return {"key": key, "classifier": Classifier.of_trial(model, store.fetch(key), data_summary)}


def score_final_model(
    final_model_choice: dict[str, Any],
    trials: list[Trial],
    store: TrialStore,
    splits: Arrays,
    data_summary: dict[str, Any],
    data: DataParameters,
) -> dict[str, Any]:
    """Score the chosen network on the test images.

    With the protocol `holdout`, no choice has depended on these images.

    Returns:
        The choice, protocol, test (see `scores.score`) and note; without a choice, protocol and note.
    """
    import torch
    from torch import nn

    from cnn_ablation.evidence.scores import score
    from cnn_ablation.serving.classifier import rebuild
    from cnn_ablation.training.prediction import predict

    if not final_model_choice:
        return {"protocol": data.protocol, "note": "No trial has finished, so there is no final model."}
    model = conditions_by_name(trials)[final_model_choice["condition"]].model
    network = rebuild(model, store.fetch(final_model_choice["key"]), data_summary)
    logits = predict(network, torch.from_numpy(splits["test_images"]), nn.Identity())
    note = (
        "The test images are the validation images (protocol journal): this is not an independent test."
        if data.protocol == "journal"
        else "The test images took no part in training or in any choice (protocol holdout)."
    )
    return {
        **final_model_choice,
        "protocol": data.protocol,
        "test": score(logits.numpy(), splits["test_labels"]),
        "note": note,
    }
