"""Progress bars of a study, with an estimate of the remaining time."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.study.trials import Trial

SPEED_WINDOW = 1800
"""Length of the period from which the remaining time is estimated, seconds."""


class StudyProgress:
    """Counts epochs of trials, weighted by their cost.

    Args:
        console: Where to draw; None: standard output.
        clock: Returns the seconds since an arbitrary moment.
    """

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            transient=True,
            speed_estimate_period=SPEED_WINDOW,
            get_time=clock,
        )
        self._study: TaskID | None = None
        self._running: dict[str, TaskID] = {}
        self._trials: dict[str, Trial] = {}
        self._costs: dict[str, float] = {}
        self._epochs: dict[str, int] = {}
        self._completed = 0.0
        self._ended: set[str] = set()
        self._failed = self._reused = 0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw the bars while the context is active."""
        with self._bars:
            yield

    def begin(self, trials: Mapping[str, Trial], image_shape: ImageShape) -> None:
        """Add trials, by key, that will be trained on images of this shape."""
        self._trials.update(trials)
        self._costs.update({key: trial.relative_cost(image_shape) for key, trial in trials.items()})
        self._epochs.update(dict.fromkeys(trials, 0))
        total = sum(self._costs.values())
        if self._study is None:
            self._study = self._bars.add_task("training", total=total, state="")
        self._bars.update(self._study, total=total, state=self._state())
        # rich measures speed from the first advance on. Workers end their first epochs at nearly the
        # same time, so the speed between those would be far too high. A tiny advance starts the
        # measurement here.
        self._bars.update(self._study, completed=self._completed + total * 1e-9)

    def reuse(self) -> None:
        """Count a trial that was taken from the store."""
        self._reused += 1

    def epoch(self, key: str, row: dict[str, float]) -> None:
        """Record that a trial has finished an epoch."""
        trial, epoch = self._trials[key], int(row["epoch"])
        if key in self._ended:
            return  # Results and events arrive independently, so an event can be late.
        if key not in self._running:
            self._running[key] = self._bars.add_task(
                trial.name, total=trial.condition.training.epochs, state=""
            )
        self._bars.update(
            self._running[key],
            completed=epoch,
            state=f"epoch {epoch}: validation accuracy {row['val_accuracy']:.2f} %",
        )
        # If a worker is lost, its trial starts again. Repeated epochs count once.
        self._advance(key, epoch)

    def end(self, key: str, error: str) -> None:
        """Record that a trial has ended. The error is empty if it was successful."""
        self._ended.add(key)
        self._failed += bool(error)
        if key in self._running:
            self._bars.remove_task(self._running.pop(key))
        self._advance(key, self._trials[key].condition.training.epochs)

    def time_left(self) -> str:
        """Estimated time for the remaining trials, in words; empty if there is no estimate yet."""
        task = next((task for task in self._bars.tasks if task.id == self._study), None)
        seconds = task.time_remaining if task is not None else None
        if seconds is None or task is None or task.finished:
            return ""
        minutes = math.ceil(seconds / 60)
        return f"about {minutes} min left" if minutes > 1 else "less than a minute left"

    def _advance(self, key: str, epoch: int) -> None:
        trial = self._trials[key]
        gained = (epoch - self._epochs[key]) / trial.condition.training.epochs
        if gained > 0 and self._study is not None:
            self._epochs[key] = epoch
            self._completed += gained * self._costs[key]
            self._bars.update(self._study, completed=self._completed, state=self._state())

    def _state(self) -> str:
        parts = [f"{len(self._ended)} of {len(self._trials)} trials", f"{len(self._running)} running"]
        if self._reused:
            parts.append(f"{self._reused} reused")
        if self._failed:
            parts.append(f"{self._failed} failed")
        return ", ".join(parts)
