"""The content of a chapter of the journal, and reading it. Accuracies are percentages."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd
from pydantic import BaseModel

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.errors import StudyError
from cnn_ablation.study.claims import Verdict
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.quantities import PRIMARY_METRIC
from cnn_ablation.study.trials import Condition
from cnn_ablation.training.results import METRICS

Figure = tuple[str, bytes]
"""Path and content of a PNG file."""

Columns = dict[str, list[Any]]
"""A table as the values of each column."""

Number = float | None
"""None if it is not known, for example without results or from a single seed."""


class ConditionRow(BaseModel):
    """A condition and the means of its seeds, with a 95 % interval from `low` to `high`."""

    name: str
    settings: dict[str, Any]
    evaluated_once: bool
    seeds: int
    diverged: int
    failed: int
    total_params: Number
    mean_val_accuracy: Number
    final_val_accuracy: Number
    best_val_accuracy: Number
    eval_train_accuracy: Number
    generalization_gap: Number
    mean_val_loss: Number
    seconds_per_epoch: Number
    sd: Number
    final_sd: Number
    low: Number
    high: Number


class PairRow(BaseModel):
    """Two conditions and the difference of their accuracies; see `pairs.compare_pairs`."""

    condition: str
    other: str
    difference: Number
    low: Number
    high: Number
    correlation: Number
    seeds_needed: Number
    unpaired_seeds_needed: Number


class NoiseRow(BaseModel):
    """Standard deviations of a condition's accuracy, by where they come from."""

    condition: str
    last_step_sd: Number
    seed_sd: Number
    final_sd: Number
    images_sd: Number
    distribution_sd: Number
    images_se: Number


class ReproductionRow(BaseModel):
    """A published number and the one measured here; see `published.reproduce`."""

    condition: str
    metric: str
    printed: str | None
    published: float
    mean: Number
    prediction_low: Number
    prediction_high: Number
    agrees: bool | None
    note: str | None


class ConfusionRow(BaseModel):
    """Percentage of a class's images that have a predicted class."""

    condition: str
    true: str
    predicted: str
    percent: Number


class VerdictRow(BaseModel):
    """A claim and its verdict; see `verdicts.judge`."""

    claim: str
    text: str
    source: str
    metric: str
    comparison: str
    unit: str
    verdict: Verdict
    estimate: Number
    low: Number
    high: Number
    image_low: Number
    image_high: Number
    seeds: int
    claimed: Number
    seeds_needed: Number
    worker_minutes: Number
    is_difference: bool
    finding: str


class Tables(BaseModel):
    """The tables that are read again. The file has more."""

    trial_metrics: Columns
    histories: Columns
    condition_summary: Columns


class Results(BaseModel):
    """All results of an experiment, as its JSON file has them.

    The parameters of the experiment are in `experiment`, the settings of each condition in
    `configurations`, and the ID of each trial's MLflow run in `mlflow_runs`. `final_model` reports on
    the trial whose network MLflow has under the URI `model`. `figures` has a path per figure.
    """

    title: str
    question: str
    hypothesis: str
    conditions: list[ConditionRow]
    shared_settings: dict[str, str]
    seeds: list[int]
    trials: int
    pairs: list[PairRow]
    noise_budget: list[NoiseRow]
    reproduction: list[ReproductionRow]
    confusion: list[ConfusionRow]
    final_model: dict[str, Any]
    image_set: str
    images: dict[str, int]
    image_shape: ImageShape
    class_names: list[str]
    data_fingerprint: str
    environment: dict[str, list[str]]
    experiment: ExperimentParameters
    moments: int
    image_noise: dict[str, Any]
    configurations: list[Condition]
    mlflow_runs: list[str]
    tables: Tables
    figures: dict[str, str]
    model: str | None


class Chapter(Results):
    """The results of an experiment, and the verdicts on its claims.

    `evidence` has the parameters of the verdicts, `contrasts` the number of distinct contrasts of the
    study, and `description` the chapter in a few lines of Markdown.
    """

    evidence: dict[str, Any]
    contrasts: int
    verdicts: list[VerdictRow]
    description: str


COMMON = {
    "data_fingerprint": "the images, or in how they are split",
    "class_names": "the names of the classes",
    "moments": "the number of evaluations in an epoch (evaluation.moments)",
    "evidence": "the rules for verdicts (evidence)",
}
"""Keys of `Chapter` whose values must be equal in all chapters of a study, with descriptions."""


def conditions_of(results: Mapping[str, Any]) -> dict[str, Condition]:
    """The conditions of an experiment by name, in its order."""
    conditions = map(Condition.model_validate, results["configurations"])
    return {condition.name: condition for condition in conditions}


def trial_metrics_of(results: Mapping[str, Any]) -> pd.DataFrame:
    """A row per trial of an experiment, see `evaluation.nodes.score_trials`."""
    table = pd.DataFrame(results["tables"]["trial_metrics"])
    # A column without any number comes from JSON as objects.
    return table.astype({metric: float for metric in METRICS if metric in table})


def histories_of(results: Mapping[str, Any]) -> pd.DataFrame:
    """A row per epoch of each trial of an experiment."""
    return pd.DataFrame(results["tables"]["histories"])


def run_chapters(chapters: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Mapping[str, Any]]:
    """The chapters of the experiments that were run.

    Raises:
        StudyError: Two of them differ in their data, the way of measuring or the rules for verdicts, so
            that nothing can be concluded from both.
    """
    written = {name: chapter for name, chapter in chapters.items() if chapter is not None}
    for (first, reference), (name, chapter) in pairwise(written.items()):
        for key, term in COMMON.items():
            if chapter[key] != reference[key]:
                raise StudyError(
                    f"{first} and {name} cannot be compared: their results differ in {term}. Run both "
                    f"again with the same settings: kedro run --pipelines={first},{name}"
                )
    return written


def require_all(chapters: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Mapping[str, Any]]:
    """Return the chapters.

    Raises:
        StudyError: One is None: its experiment was not run.
    """
    written = run_chapters(chapters)
    missing = [name for name in chapters if name not in written]
    if missing:
        raise StudyError(
            f"Not run yet: {', '.join(missing)}. Run it first: kedro run --pipeline={missing[0]}"
        )
    return written


def is_complete(condition: Mapping[str, Any]) -> bool:
    """Whether all trials of a condition, given as a `ConditionRow`, have finished."""
    return not (condition["diverged"] or condition["failed"])


def best_condition(conditions: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The condition with the highest mean, by the rule of `champion.best_trial`.

    Args:
        conditions: See `ConditionRow`.

    Returns:
        The best condition; None if no trial has finished.
    """
    measured = [condition for condition in conditions if condition[PRIMARY_METRIC] is not None]
    complete = [condition for condition in measured if is_complete(condition)]
    return max(complete or measured, key=lambda condition: condition[PRIMARY_METRIC], default=None)
