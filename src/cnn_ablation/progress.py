"""Progress of a training: bars with the time left on a terminal, a line per trial in a log."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cnn_ablation.parameters import Trial

logger = logging.getLogger(__name__)


class TrainingProgress:
    """Counts epochs of several trials: the unit whose duration hardly varies within a condition."""

    def __init__(self, trials: Sequence[Trial], bars: Progress) -> None:
        self._bars = bars
        self._trials = len(trials)
        self._finished = 0
        self._epochs = sum(trial.condition.training.epochs for trial in trials)
        self._task = bars.add_task("training", total=self._epochs, state="")

    def on_epoch(self, trial: Trial) -> Callable[[dict[str, float]], None]:
        """What `training.train` calls with each epoch of the trial."""

        def advance(row: dict[str, float]) -> None:
            self._bars.update(
                self._task,
                advance=1,
                description=trial.name,
                state=f"validation accuracy {row['val_accuracy']:.2f} %",
            )

        return advance

    def finish(self, trial: Trial, metrics: dict[str, float], reused: bool) -> None:
        """The trial has a result: its own, or one that the store had."""
        self._finished += 1
        if reused:
            # Bars measure their speed by what was trained: epochs reused are not to be counted.
            self._epochs -= trial.condition.training.epochs
            self._bars.update(self._task, total=self._epochs)
        logger.info(
            "%d of %d  %s: validation accuracy %.2f %%%s",
            self._finished,
            self._trials,
            trial.name,
            metrics["final_val_accuracy"],
            " (reused)" if reused else "",
        )


@contextmanager
def training_progress(
    trials: Sequence[Trial], console: Console | None = None
) -> Iterator[TrainingProgress]:
    """Show the progress of these trials while the context lasts."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("epochs"),
        TimeElapsedColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
        console=console,
        transient=True,
    ) as bars:
        yield TrainingProgress(trials, bars)
