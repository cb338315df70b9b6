"""Progress bars of a study, with an estimate of the remaining time."""

import heapq
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.study.trials import Trial

REFRESH = 1.0
"""Least time between two estimates, seconds. With many trials, an estimate takes milliseconds."""


class _TimeLeft(ProgressColumn):
    """Counts down to the estimated end of a bar."""

    def render(self, task: Task) -> Text:
        """See base class."""
        ends = task.fields["ends"]
        if ends is None:
            return Text("-:--:--", style="progress.remaining")
        minutes, seconds = divmod(max(0, math.ceil(ends - task.get_time())), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours:d}:{minutes:02d}:{seconds:02d}", style="progress.remaining")


@dataclass
class _Work:
    """The state of a trial. All amounts are in epochs, to which evaluations at the end are converted."""

    trial: Trial
    cost: float  # of an epoch
    total: float
    done: float = 0.0
    seen: float | None = None  # time of the last event
    ended: bool = False


class StudyProgress:
    """Counts epochs of trials, and estimates when the last trial ends.

    Epochs of equal cost are assumed to take equally long. If no epoch of some cost has been measured
    yet, its time is estimated from all measurements, in proportion to the cost. The estimated end is
    that of a schedule in which each free place takes the next trial. The measurement of a trial starts
    with the clock of its first epoch, so that start-up and compilation do not count.

    Args:
        console: Where to draw; None: standard output.
        clock: Returns the seconds since an arbitrary moment.
    """

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("left"),
            _TimeLeft(),
            TextColumn("{task.fields[state]}", markup=False),
            console=console,
            transient=True,
            get_time=clock,
        )
        self._clock = clock
        # Epochs are reported by Dask's thread.
        self._lock = RLock()
        self._study: TaskID | None = None
        self._running: dict[str, TaskID] = {}
        self._work: dict[str, _Work] = {}
        self._measured: dict[float, tuple[float, float]] = {}  # seconds and epochs by cost of an epoch
        self._places = 1
        self._ends: float | None = None
        self._estimated = -math.inf
        self._failed = self._reused = 0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw the bars while the context is active."""
        with self._bars:
            yield

    def begin(
        self,
        trials: Mapping[str, Trial],
        image_shape: ImageShape,
        *,
        places: int = 1,
        last_evaluations: float = 0.0,
    ) -> None:
        """Add trials that will be trained.

        Args:
            trials: Trials by key, in the order in which they start.
            image_shape: Channels, height and width of an image, pixels.
            places: Number of trials that train at once.
            last_evaluations: Time of a trial's evaluations in and after its last epoch, in epochs.
        """
        with self._lock:
            for key, trial in trials.items():
                epochs = trial.condition.training.epochs
                cost = trial.relative_cost(image_shape) / epochs
                self._work[key] = _Work(trial, cost, epochs + last_evaluations)
            self._places = max(self._places, places)
            if self._study is None:
                self._study = self._bars.add_task("training", total=None, state="", ends=None)
            self._update()

    def reuse(self) -> None:
        """Count a trial that was taken from the store."""
        self._reused += 1

    def epoch(self, key: str, row: Mapping[str, float]) -> None:
        """Record that a trial has finished an epoch.

        Args:
            key: Key of the trial.
            row: The epoch's row of the history: epoch, val_accuracy, and seconds, its wall-clock time.
        """
        with self._lock:
            # Results and events arrive independently, so an event can be late.
            if not self._work[key].ended:
                self._advance(key, int(row["epoch"]), row)

    def end(self, key: str, error: str) -> None:
        """Record that a trial has ended. The error is empty if it was successful."""
        with self._lock:
            work = self._work[key]
            work.ended, work.done = True, work.total
            self._failed += bool(error)
            if key in self._running:
                self._bars.remove_task(self._running.pop(key))
            self._update()

    def time_left(self) -> str:
        """Estimated time for the remaining trials, in words; empty if there is no estimate yet."""
        with self._lock:
            if all(work.ended for work in self._work.values()):
                return ""
            self._estimate()
        if self._ends is None:
            return ""
        minutes = math.ceil((self._ends - self._clock()) / 60)
        return f"about {minutes} min left" if minutes > 1 else "less than a minute left"

    def _advance(self, key: str, epoch: int, row: Mapping[str, float]) -> None:
        work, now = self._work[key], self._clock()
        seconds = row["seconds"] if work.seen is None else now - work.seen
        work.seen = now
        if key not in self._running:
            self._running[key] = self._bars.add_task(
                work.trial.name, total=work.total, state="", ends=None
            )
        # A trial's last epoch includes its evaluations.
        done = work.total if epoch == work.trial.condition.training.epochs else epoch
        # If a worker is lost, its trial starts again. Repeated epochs count once.
        if done > work.done:
            known_seconds, known_epochs = self._measured.get(work.cost, (0.0, 0.0))
            gained = done - work.done
            self._measured[work.cost] = known_seconds + seconds, known_epochs + gained
            work.done = done
        self._update()
        self._bars.update(
            self._running[key],
            completed=work.done,
            ends=now + self._epoch_seconds(work.cost) * (work.total - work.done),
            state=f"epoch {epoch}: validation accuracy {row['val_accuracy']:.2f} %",
        )

    def _update(self) -> None:
        if self._study is None:
            return
        if self._clock() - self._estimated >= REFRESH:
            self._estimate()
        self._bars.update(
            self._study,
            total=sum(work.total * work.cost for work in self._work.values()),
            completed=sum(work.done * work.cost for work in self._work.values()),
            ends=self._ends,
            state=self._state(),
        )

    def _estimate(self) -> None:
        """Compute when the last trial ends, if an epoch has been measured."""
        now = self._estimated = self._clock()
        if not self._measured:
            return
        left = []
        waiting = []
        for work in self._work.values():
            if work.ended:
                continue
            seconds = self._epoch_seconds(work.cost) * (work.total - work.done)
            if work.seen is not None:
                left.append(max(0.0, seconds - (now - work.seen)))
            else:
                waiting.append(seconds)
        left += [0.0] * (self._places - len(left))
        heapq.heapify(left)
        for seconds in waiting:
            heapq.heapreplace(left, left[0] + seconds)
        self._ends = now + max(left)

    def _epoch_seconds(self, cost: float) -> float:
        """Estimated time of an epoch with this cost, seconds."""
        if cost in self._measured:
            seconds, epochs = self._measured[cost]
            return seconds / epochs
        total = sum(seconds for seconds, _ in self._measured.values())
        return cost * total / sum(cost * epochs for cost, (_, epochs) in self._measured.items())

    def _state(self) -> str:
        ended = sum(work.ended for work in self._work.values())
        parts = [f"{ended} of {len(self._work)} trials"]
        if self._measured or ended:
            parts.append(f"{len(self._running)} running")
        else:
            parts.append("compiling loops and training the first epochs")
        if self._reused:
            parts.append(f"{self._reused} reused")
        if self._failed:
            parts.append(f"{self._failed} failed")
        return ", ".join(parts)
