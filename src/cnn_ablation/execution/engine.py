"""Training of many trials on a Dask cluster: this machine's cores by default, or any other.

The engine trains what the store does not have, and keeps every result as soon as a worker has one. Each
trial has its own fate: what fails or diverges does so alone. A trial's bits depend neither on the worker
nor on how many there are: each trains on one thread (or GPU), from streams of random numbers of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import Any

from dask.distributed import Client, Future, as_completed
from distributed.scheduler import KilledWorker

from cnn_ablation.errors import ClusterError
from cnn_ablation.execution.cluster import connect
from cnn_ablation.execution.identity import identify
from cnn_ablation.execution.progress import StudyProgress
from cnn_ablation.execution.store import StoredTrial, TrialStore, trial_key
from cnn_ablation.execution.worker import EPOCHS_TOPIC, DataOnWorker, TrialData, train_on_worker
from cnn_ablation.schema import ImageShape
from cnn_ablation.study.parameters import ExecutionParameters
from cnn_ablation.study.trials import Trial
from cnn_ablation.training.devices import resolve_device, resolve_layers, resolve_precision
from cnn_ablation.training.results import TrainedTrial

SENDS = 6
"""How often the data is sent where workers are lost meanwhile, as often as a trial is tried."""

JOIN_TIMEOUT = 60
"""Seconds within which a worker must join where all were lost."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: `stored` is its entry in the store, None where it failed with `error`."""

    trial: Trial
    key: str
    stored: StoredTrial | None
    reused: bool = False
    error: str = ""


@dataclass(frozen=True)
class _Task:
    key: str
    trial: Trial
    identity: dict[str, Any]


class Engine:
    """A cluster, started when there is something to train, and the trials that are on it.

    Args:
        progress: Is told how far the trials are.
        work: What a worker does for a trial, with the arguments of `train_on_worker`.
    """

    def __init__(self, progress: StudyProgress, work: Callable[..., TrainedTrial] | None = None) -> None:
        self.planned: Sequence[Trial] = ()
        """Trials that later calls of `train` will ask for: workers that would be idle begin them."""

        self._progress = progress
        self._work = work or train_on_worker
        self._lock = Lock()
        self._client: Client | None = None
        self._on_workers: set[str] = set()
        self._tasks: dict[str, _Task] = {}
        self._futures: dict[str, Future[TrainedTrial]] = {}
        self._unclaimed: dict[str, str] = {}  # errors ("" for none) of trials trained ahead

    def train(
        self,
        trials: Sequence[Trial],
        data: TrialData,
        store: TrialStore,
        execution: ExecutionParameters,
    ) -> Iterator[Outcome]:
        """The outcome of each trial as soon as there is one; those that the store has come first.

        Raises:
            ClusterError: Workers cannot be started, or the scheduler cannot be reached.
        """
        # One caller at a time: the others' trials are likely to be planned ones.
        with self._lock, self._progress.shown():
            waiting: dict[str, list[_Task]] = {}
            for task in self._resolve(trials, data, execution):
                stored = None if task.key in self._futures else store.get(task.key)
                error = self._unclaimed.pop(task.key, None)
                if stored is not None:
                    if error is None:
                        self._progress.reuse()
                    yield Outcome(task.trial, task.key, stored, reused=error is None)
                elif error:
                    yield Outcome(task.trial, task.key, None, error=error)
                else:
                    waiting.setdefault(task.key, []).append(task)
            if waiting:
                asked = list(chain.from_iterable(waiting.values()))
                ahead = self._resolve(self.planned, data, execution)
                self.planned = ()
                self._submit(
                    {
                        task.key: task
                        for part in (asked, ahead)
                        for task in _longest_first(part, data.image_shape)
                        if task.key not in self._futures
                        and (task.key in waiting or store.get(task.key) is None)
                    },
                    data,
                    execution,
                )
                yield from self._collect(waiting, store)

    def time_left(self) -> str:
        """Estimate for all trials that are on the cluster, in words; empty before there is one."""
        return self._progress.time_left()

    def close(self) -> None:
        """Let go of the cluster; a local one ends, and what runs on it is lost."""
        self._futures.clear()
        self._on_workers.clear()
        if self._client is not None:
            cluster = self._client.cluster
            self._client.close()
            if cluster is not None:
                cluster.close()
            self._client = None

    def _resolve(
        self, trials: Sequence[Trial], data: TrialData, execution: ExecutionParameters
    ) -> list[_Task]:
        device = resolve_device(execution.device, here=execution.scheduler is None)
        precision = resolve_precision(execution.precision, device)
        tasks = []
        for trial in trials:
            layers = resolve_layers(execution.layers, device, trial.condition.model)
            identity = identify(trial, data.fingerprint, device, precision, layers)
            tasks.append(_Task(trial_key(identity), trial, identity))
        return tasks

    def _submit(
        self, tasks: Mapping[str, _Task], data: TrialData, execution: ExecutionParameters
    ) -> None:
        if not tasks:
            return
        device = next(iter(tasks.values())).identity["device"]
        if self._client is None:
            self._client = connect(execution, device, len(tasks))
            self._client.subscribe_topic(EPOCHS_TOPIC, self._on_epoch)
        plugin = DataOnWorker(data, device)
        if plugin.name not in self._on_workers:
            _send(plugin, self._client)
            self._on_workers.add(plugin.name)
        self._tasks.update(tasks)
        self._progress.begin({key: task.trial for key, task in tasks.items()}, data.image_shape)
        for place, (key, task) in enumerate(tasks.items()):
            self._futures[key] = self._client.submit(
                self._work,
                key,
                task.trial,
                task.identity,
                plugin.name,
                # Tasks of a group wait at the scheduler until a worker is free. Others are dealt out at
                # once, by guesses of how long they take, and workers run dry beside full ones.
                key=("trial", key),
                pure=True,
                priority=-place,
            )

    def _collect(self, waiting: dict[str, list[_Task]], store: TrialStore) -> Iterator[Outcome]:
        for future in as_completed(list(self._futures.values())):
            _, key = future.key
            task = self._tasks[key]
            stored, error = None, ""
            try:
                result = future.result()
            except Exception as failure:
                if future.status != "error":
                    raise ClusterError(
                        "The cluster is gone. What was trained is kept: run the same command again."
                    ) from failure
                error = _describe(failure)
            else:
                stored = store.put(key, task.identity, result)
            del self._futures[key]
            self._progress.end(key, error)
            if key in waiting:
                # The trials that have this key may go by several names.
                for asked in waiting.pop(key):
                    yield Outcome(asked.trial, key, stored, error=error)
            else:
                self._unclaimed[key] = error
            if not waiting:
                return

    def _on_epoch(self, event: tuple[float, dict[str, Any]]) -> None:
        key = event[1]["key"]
        if key in self._tasks:
            self._progress.epoch(key, event[1]["row"])


def _send(plugin: DataOnWorker, client: Client) -> None:
    """Take the data to all workers that there are; Dask does so for those that join later.

    Raises:
        ClusterError: The workers cannot hold the data, or no longer answer.
    """
    lost: object = "no worker"
    for _ in range(SENDS):
        try:
            # A worker that dies of the data joins again and dies again: only an answer counts.
            client.wait_for_workers(1, timeout=JOIN_TIMEOUT)
            if client.register_plugin(plugin):
                return
        except OSError as error:
            lost = error
        except Exception as error:
            raise ClusterError(
                f"The workers cannot hold the data ({type(error).__name__}: {error}). Install the "
                "project on each of them, or, if memory is short, lower execution.workers"
            ) from error
    raise ClusterError(
        f"Workers were lost {SENDS} times while the data was sent to them ({lost}), most likely out of "
        "memory: lower execution.workers. What was trained is kept"
    )


def _longest_first(tasks: Sequence[_Task], image_shape: ImageShape) -> list[_Task]:
    """In an order in which workers end together: a long trial at the end keeps the others waiting."""
    return sorted(tasks, key=lambda task: task.trial.relative_cost(image_shape), reverse=True)


def _describe(error: BaseException) -> str:
    if isinstance(error, KilledWorker):
        return (
            f"its worker died {error.allowed_failures + 1} times, most likely out of memory: lower "
            "training.batch_size or execution.workers"
        )
    return f"{type(error).__name__}: {error}"
