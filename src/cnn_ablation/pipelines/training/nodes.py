"""Nodes of training."""

import logging
from collections.abc import Iterator
from typing import Any

from cnn_ablation.data.splits import Arrays
from cnn_ablation.execution.outcomes import Outcome, TrialRun, describe_result
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import DataParameters, EvaluationParameters, ExecutionParameters
from cnn_ablation.study.trials import Trial

logger = logging.getLogger(__name__)


def train_trials(
    experiment: ExperimentParameters,
    trials: list[Trial],
    splits: Arrays,
    data_summary: dict[str, Any],
    store: TrialStore,
    engine: Any,
    data: DataParameters,
    execution: ExecutionParameters,
    evaluation: EvaluationParameters,
) -> Iterator[TrialRun]:
    """Train the trials that are not in the store. Yield each trial as soon as it ends.

    `engine` is an `execution.engine.Engine`. The annotation would import torch at start-up.
    """
    from cnn_ablation.execution.worker import TrialData

    positions = {trial.name: position for position, trial in enumerate(trials)}
    outcomes = engine.train(trials, TrialData(splits, data_summary), store, execution, evaluation)
    for count, outcome in enumerate(outcomes, start=1):
        run = _describe(outcome, positions[outcome.trial.name], data)
        _log(run, f"{experiment.title}, {count} of {len(trials)}", engine.time_left())
        yield run


def _describe(outcome: "Outcome", position: int, data: DataParameters) -> TrialRun:
    settings = outcome.trial.settings() | {f"data.{k}": v for k, v in data.model_dump().items()}
    stored = outcome.stored
    return TrialRun(
        trial=outcome.trial,
        position=position,
        key=outcome.key,
        status=stored.status if stored else "failed",
        settings=settings,
        history=stored.history if stored else [],
        metrics=stored.metrics if stored else {},
        reused=outcome.reused,
        error=outcome.error,
    )


def _log(run: TrialRun, count: str, time_left: str) -> None:
    if run.status == "failed":
        logger.error("%s  %s failed: %s", count, run.trial.name, run.error)
        return
    note = "reused" if run.reused else time_left
    logger.info("%s  %s: %s", count, run.trial.name, describe_result(run, note))
