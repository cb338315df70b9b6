"""Training of many trials on a Dask cluster.

The engine trains the trials that the store does not have, and stores each result as soon as a worker
returns it. A trial that fails or diverges does not affect the others. A trial's bits do not depend on
the worker or on the number of workers: each trial trains in one thread and draws from its own random
streams.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from queue import SimpleQueue
from threading import Lock
from typing import Any

from dask.distributed import Client, Future
from distributed.scheduler import KilledWorker

from cnn_ablation.base_parameters import ImageShape
from cnn_ablation.errors import ClusterError, StoreError
from cnn_ablation.execution.cluster import connect
from cnn_ablation.execution.identity import identify
from cnn_ablation.execution.outcomes import Outcome, describe_result
from cnn_ablation.execution.progress import StudyProgress
from cnn_ablation.execution.store import StoredTrial, TrialStore, trial_key
from cnn_ablation.execution.worker import EPOCHS_TOPIC, DataOnWorker, TrialData, train_on_worker
from cnn_ablation.study.parameters import EvaluationParameters, ExecutionParameters
from cnn_ablation.study.trials import Trial
from cnn_ablation.training.devices import resolve_device, resolve_layers, resolve_precision
from cnn_ablation.training.results import TrainedTrial

logger = logging.getLogger(__name__)

FORWARD = 0.25
"""Time of evaluating an image, as a share of that of training on it."""

SENDS = 6
"""Number of times that the data is sent if workers are lost meanwhile; a trial has as many attempts."""

JOIN_TIMEOUT = 60
"""Seconds within which a worker must join if all were lost."""


@dataclass(frozen=True)
class _Task:
    key: str
    trial: Trial
    identity: dict[str, Any]


@dataclass(frozen=True)
class _Ended:
    """A trial that has ended. `failure` is an error that ends the study, such as a lost cluster."""

    key: str
    stored: StoredTrial | None = None
    error: str = ""
    failure: Exception | None = None


class Engine:
    """Trains trials on a cluster, to which it connects when there is something to train.

    Args:
        progress: Shows the progress of the trials.
        work: Function that a worker calls to train a trial; None: `train_on_worker`.
    """

    def __init__(self, progress: StudyProgress, work: Callable[..., TrainedTrial] | None = None) -> None:
        self.planned: Sequence[Trial] = ()
        """Trials that later calls of `train` will ask for. Workers that would be idle start them."""

        self.open_ended = False
        """Whether later calls can also ask for trials that nobody knows yet, as a pursuit does."""

        self._progress = progress
        self._work = work or train_on_worker
        self._lock = Lock()
        self._client: Client | None = None
        self._on_workers: set[str] = set()
        self._tasks: dict[str, _Task] = {}
        self._futures: dict[str, Future[TrainedTrial]] = {}
        self._ended: SimpleQueue[_Ended] = SimpleQueue()
        self._unclaimed: dict[str, str] = {}  # error, or "", of each trial that was trained ahead

    def train(
        self,
        trials: Sequence[Trial],
        data: TrialData,
        store: TrialStore,
        execution: ExecutionParameters,
        evaluation: EvaluationParameters,
    ) -> Iterator[Outcome]:
        """Train the trials that are not in the store. Yield each outcome as soon as it is known.

        Trials that are in the store come first.

        Raises:
            StoreError: The store cannot be written, so that nothing is trained.
            ClusterError: Workers cannot be started, or the scheduler cannot be reached.
            ParameterError: A certificate or key for the scheduler cannot be read.
        """
        # One caller at a time. Trials of the other callers are probably planned, and train meanwhile.
        with self._lock, self._progress.shown():
            waiting: dict[str, list[_Task]] = {}
            resolved = self._resolve(trials, data, execution, evaluation)
            for task in resolved:
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
                ahead = self._resolve(self.planned, data, execution, evaluation)
                known = {task.key for task in (*resolved, *ahead)} - self._futures.keys()
                self.planned = ()
                tasks = {
                    task.key: task
                    for part in (asked, ahead)
                    for task in _longest_first(part, data.image_shape)
                    if task.key not in self._futures
                    and (task.key in waiting or store.get(task.key) is None)
                }
                if tasks:
                    store.check_writable(tasks)
                    logger.info(
                        "Trials to train: %d, to reuse: %d", len(tasks), len(known - tasks.keys())
                    )
                self._submit(tasks, data, store, execution, evaluation)
                yield from self._collect(waiting)

    def time_left(self) -> str:
        """Estimated time for all trials on the cluster, in words; empty if there is no estimate yet."""
        return self._progress.time_left()

    def close(self) -> None:
        """Disconnect from the cluster. A local cluster ends, and the trials that it trains are lost."""
        self._futures.clear()
        self._ended = SimpleQueue()
        self._on_workers.clear()
        if self._client is not None:
            cluster = self._client.cluster
            self._client.close()
            if cluster is not None:
                cluster.close()
            self._client = None

    def _resolve(
        self,
        trials: Sequence[Trial],
        data: TrialData,
        execution: ExecutionParameters,
        evaluation: EvaluationParameters,
    ) -> list[_Task]:
        device = resolve_device(execution.device, here=execution.scheduler is None)
        precision = resolve_precision(execution.precision, device)
        tasks = []
        identities: dict[int, dict[str, Any]] = {}
        for trial in trials:
            # Trials share conditions, which cannot be keys themselves because they contain lists.
            condition = id(trial.condition)
            if condition not in identities:
                layers = resolve_layers(execution.layers, device, trial.condition.model)
                identities[condition] = identify(
                    trial, data.fingerprint, evaluation.moments, device, precision, layers
                )
            identity = {**identities[condition], "seed": trial.seed}
            tasks.append(_Task(trial_key(identity), trial, identity))
        return tasks

    def _submit(
        self,
        tasks: Mapping[str, _Task],
        data: TrialData,
        store: TrialStore,
        execution: ExecutionParameters,
        evaluation: EvaluationParameters,
    ) -> None:
        if not tasks:
            return
        device = next(iter(tasks.values())).identity["device"]
        if self._client is None:
            logger.info("Starting workers and sending them the data")
            self._client = connect(execution, device, None if self.open_ended else len(tasks))
            self._client.subscribe_topic(EPOCHS_TOPIC, self._on_epoch)
        plugin = DataOnWorker(data, device)
        if plugin.name not in self._on_workers:
            _send(plugin, self._client)
            self._on_workers.add(plugin.name)
        self._tasks.update(tasks)
        places = max(1, sum(self._client.nthreads().values()))
        logger.info("Compiling loops that are not in the cache, then training %d at once", places)
        self._progress.begin(
            {key: task.trial for key, task in tasks.items()},
            data.image_shape,
            places=places,
            last_evaluations=_last_evaluations(data, evaluation.moments),
        )
        for place, (key, task) in enumerate(tasks.items()):
            future = self._client.submit(
                self._work,
                key,
                task.trial,
                task.identity,
                plugin.name,
                # Tasks of one group wait at the scheduler until a worker is free. Dask assigns other
                # tasks at once, by guessed durations, so that some workers are idle while others have a
                # queue.
                key=("trial", key),
                pure=True,
                priority=-place,
            )
            # Results are stored even while nobody waits for them, so that no interrupt can lose them.
            future.add_done_callback(partial(self._end, task, store, self._ended))
            self._futures[key] = future

    def _collect(self, waiting: dict[str, list[_Task]]) -> Iterator[Outcome]:
        while waiting:
            ended = self._ended.get()
            del self._futures[ended.key]
            if ended.failure is not None:
                raise ended.failure
            if ended.key in waiting:
                # Several trials, with different names, can have this key.
                for task in waiting.pop(ended.key):
                    yield Outcome(task.trial, ended.key, ended.stored, error=ended.error)
            else:
                self._unclaimed[ended.key] = ended.error
                self._log_ahead(self._tasks[ended.key].trial, ended.stored)

    def _end(
        self, task: _Task, store: TrialStore, ended: "SimpleQueue[_Ended]", future: Future[TrainedTrial]
    ) -> None:
        """Store a trial's result. Dask calls this in a thread of its own when the trial has ended."""
        try:
            ended.put(self._keep(task, store, future))
        except Exception as failure:
            # The call of `train` that waits for the trial raises it.
            ended.put(_Ended(task.key, failure=failure))

    def _keep(self, task: _Task, store: TrialStore, future: Future[TrainedTrial]) -> _Ended:
        stored, error = None, ""
        try:
            result = future.result()
        except Exception as failure:
            if future.status != "error":
                raise ClusterError(
                    "The cluster is gone. Finished trials are kept: run the same command again."
                ) from failure
            error = _describe(failure)
        else:
            try:
                stored = store.put(task.key, task.identity, result)
            except StoreError as reason:
                error = str(reason)
        self._progress.end(task.key, error)
        return _Ended(task.key, stored, error)

    def _log_ahead(self, trial: Trial, stored: StoredTrial | None) -> None:
        # The experiment that asks for a trial reports its error.
        if stored is not None:
            logger.info("Trained ahead  %s: %s", trial.name, describe_result(stored, self.time_left()))

    def _on_epoch(self, event: tuple[float, dict[str, Any]]) -> None:
        key = event[1]["key"]
        if key in self._tasks:
            self._progress.epoch(key, event[1]["row"])


def _send(plugin: DataOnWorker, client: Client) -> None:
    """Send the data to all present workers. Dask sends it to those that join later.

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
        "memory: lower execution.workers. Finished trials are kept"
    )


def _last_evaluations(data: TrialData, moments: int) -> float:
    """Time of the evaluations in and after a trial's last epoch, in epochs."""
    train, validation = (len(data.arrays[f"{part}_labels"]) for part in ("train", "validation"))
    # Each epoch ends with an evaluation of the validation images, which is one of the moments.
    epoch = train + FORWARD * validation
    return FORWARD * ((moments - 1) * validation + train) / epoch


def _longest_first(tasks: Sequence[_Task], image_shape: ImageShape) -> list[_Task]:
    """Sort the tasks, so that workers finish together: no long trial starts last."""
    return sorted(tasks, key=lambda task: task.trial.relative_cost(image_shape), reverse=True)


def _describe(error: BaseException) -> str:
    if isinstance(error, KilledWorker):
        return (
            f"its worker died {error.allowed_failures + 1} times, most likely out of memory: lower "
            "training.batch_size or execution.workers"
        )
    return f"{type(error).__name__}: {error}"
