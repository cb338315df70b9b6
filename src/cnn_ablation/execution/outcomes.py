"""Outcomes of trials."""

from dataclasses import dataclass
from typing import Any

from cnn_ablation.execution.store import Status, StoredTrial
from cnn_ablation.study.trials import Trial


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial. `stored` is its entry in the store, or None if it failed with `error`."""

    trial: Trial
    key: str
    stored: StoredTrial | None
    reused: bool = False
    error: str = ""


@dataclass(frozen=True)
class TrialRun:
    """A trial of an experiment that has ended, with everything that is tracked.

    `position` is its place among the experiment's trials, which can end in any order. `history` and
    `metrics` are those of `store.StoredTrial`; they are empty if the trial failed with `error`. `reused`
    says whether the result was in the store before.
    """

    trial: Trial
    position: int
    key: str
    status: Status
    settings: dict[str, Any]
    history: list[dict[str, float]]
    metrics: dict[str, float]
    reused: bool = False
    error: str = ""


def describe_result(result: StoredTrial | TrialRun, note: str = "") -> str:
    """The result of a trial that has not failed, in a few words, with a note in parentheses if given."""
    text = (
        f"diverged in epoch {len(result.history)}"
        if result.status == "diverged"
        else f"validation accuracy {result.metrics['mean_val_accuracy']:.2f} %"
    )
    return f"{text} ({note})" if note else text
