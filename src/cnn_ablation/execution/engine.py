"""Training of many trials on a Dask cluster: this machine's cores by default, or any other.

The engine trains what the store does not have, and keeps every result as soon as a worker has one. Each
trial has its own fate: what fails or diverges does so alone. A trial's bits depend neither on the worker
nor on how many there are: each trains on one thread (or GPU), from streams of random numbers of its own.
"""

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import Any, cast

import dask
import torch
from dask.distributed import (
    Client,
    Future,
    LocalCluster,
    Security,
    WorkerPlugin,
    as_completed,
    get_worker,
)
from dask.system import CPU_COUNT
from distributed.scheduler import KilledWorker
from distributed.system import MEMORY_LIMIT

from cnn_ablation.data.splits import Arrays
from cnn_ablation.errors import ClusterError
from cnn_ablation.execution.progress import StudyProgress, relative_cost
from cnn_ablation.execution.store import StoredTrial, TrialStore, trial_key
from cnn_ablation.study.parameters import ExecutionParameters, Trial
from cnn_ablation.training.loop import (
    CODE_VERSION,
    TRAINING_ARRAYS,
    TrainingData,
    resolve_device,
    resolve_precision,
    train,
)
from cnn_ablation.training.results import TrainedTrial

WORKER_MEMORY = 1.2 * 2**30
"""Bytes that a worker may take on the base network, its data included."""

CONNECT_TIMEOUT = 10
"""Seconds in which a scheduler must answer."""

EPOCHS_TOPIC = "cnn-ablation-epochs"

WORKER_ENVIRONMENT = {
    # Else glibc maps and unmaps memory for each large tensor, and every step pays for page faults.
    "MALLOC_TRIM_THRESHOLD_": 2**32,
    # Above any tensor of a step, below the data: what carried it to the worker is given back.
    "MALLOC_MMAP_THRESHOLD_": 2**25,
    # A worker trains in a thread, whose own arena would be in pieces of 64 MB: gradients of large layers
    # hardly fit, and would be mapped and unmapped all the same.
    "MALLOC_ARENA_MAX": 1,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}


@dataclass(frozen=True)
class TrialData:
    """What trials train on: the arrays of `splits.split_images` and their summary."""

    arrays: Arrays
    summary: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Hash of all that a training sees."""
        return str(self.summary["fingerprint"])


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: `stored` is its entry in the store, None where it failed with `error`."""

    trial: Trial
    key: str
    stored: StoredTrial | None
    reused: bool = False
    error: str = ""


class DataOnWorker(WorkerPlugin):
    """Takes the data to each worker once; also to one that joins, or comes back, later."""

    def __init__(self, data: TrialData, device: str) -> None:
        self.name = f"cnn-ablation-{device}-{data.fingerprint}"
        self._arrays = {name: data.arrays[name] for name in TRAINING_ARRAYS}
        self._summary = data.summary
        self._device = device

    def setup(self, worker: Any) -> None:
        """Move the data to the worker's device: of several GPUs, the one of the worker's number."""
        device = torch.device(self._device)
        if device.type == "cuda":
            number = int(worker.name) if str(worker.name).isdigit() else 0
            device = torch.device("cuda", number % torch.cuda.device_count())
        self.images = TrainingData.from_arrays(
            self._arrays, self._summary["mean"], self._summary["std"], device
        )
        self.num_classes = len(self._summary["class_names"])
        # What is here by now stays: the collector need not look at it again in each of many steps.
        gc.freeze()


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
                        for task in [*_longest_first(asked), *_longest_first(ahead)]
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
        shared = {
            "data": data.fingerprint,
            "device": device.type,
            "precision": resolve_precision(execution.precision, device),
            "code": CODE_VERSION,
        }
        identities = [{**trial.settings(), **shared} for trial in trials]
        return [
            _Task(trial_key(identity), trial, identity)
            for trial, identity in zip(trials, identities, strict=True)
        ]

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
            self._client.register_plugin(plugin)
            self._on_workers.add(plugin.name)
        self._tasks.update(tasks)
        self._progress.begin({key: task.trial for key, task in tasks.items()})
        for place, (key, task) in enumerate(tasks.items()):
            self._futures[key] = self._client.submit(
                self._work,
                key,
                task.trial,
                task.identity["precision"],
                plugin.name,
                task.identity["code"],
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
            if future.status == "cancelled":
                raise ClusterError(
                    "The cluster is gone. What was trained is kept: run the same command again."
                )
            stored, error = None, ""
            if future.status == "finished":
                stored = store.put(key, task.identity, future.result())
            else:
                error = _describe(future.exception())
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


def connect(execution: ExecutionParameters, device: str, trials: int) -> Client:
    """A client of the scheduler that the parameters name, or of a local cluster.

    A local cluster has a worker of one thread per core, memory permitting, or one per GPU; none listens
    beyond loopback.

    Args:
        execution: Cluster parameters.
        device: Type of device that workers train on.
        trials: How many there are to train: more workers would be idle.

    Raises:
        ClusterError: Workers cannot be started, or the scheduler cannot be reached.
    """
    if execution.scheduler is not None:
        tls = execution.tls
        security = None
        if tls is not None:
            security = Security(
                tls_ca_file=tls.ca_file,
                tls_client_cert=tls.cert,
                tls_client_key=tls.key,
                require_encryption=True,
            )
        try:
            client = Client(execution.scheduler, security=security, timeout=CONNECT_TIMEOUT)
            client.wait_for_workers(1, timeout=CONNECT_TIMEOUT)
        except (OSError, TimeoutError) as error:
            raise ClusterError(
                f"execution.scheduler: no workers at {execution.scheduler} ({error}). Start the "
                "scheduler and its workers, or leave the key out to train on this machine"
            ) from error
        return client
    available = {
        "cuda": torch.cuda.device_count(),
        "mps": 1,
        "cpu": max(1, min(CPU_COUNT, math.floor(MEMORY_LIMIT / WORKER_MEMORY))),
    }
    settings = {
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        # Dask's profiler, ticks and monitor interrupt the one thread that trains, a hundred times a
        # second. Workers take this from here: the nanny's settings override their environment.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "5s",
        "distributed.worker.preload": ["cnn_ablation.execution.local_worker"],
        # A worker gets a trial when it is free, none beforehand.
        "distributed.scheduler.worker-saturation": 1.0,
        # A trial is worth more tries than the default's three where machines come and go.
        "distributed.scheduler.allowed-failures": 5,
    }
    with dask.config.set(settings):
        cluster = LocalCluster(
            n_workers=min(execution.workers or available[device], trials),
            threads_per_worker=1,
            host="127.0.0.1",
            # Dask serves pages whether anyone looks or not: at ports that disturb nobody.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,
        )
        return Client(cluster)


def train_on_worker(key: str, trial: Trial, precision: str, data: str, code: str) -> TrainedTrial:
    """Train a trial on the worker that runs this.

    Args:
        key: Of the trial in the store.
        trial: What to train.
        precision: fp32 or bf16.
        data: Name of the plugin that holds the data.
        code: Version of the training code that the result will be kept under.

    Raises:
        RuntimeError: The worker has another version of the code.
    """
    if code != CODE_VERSION:
        raise RuntimeError(
            "this worker has another version of the training code or of PyTorch than the machine that "
            "runs Kedro: install the same ones"
        )
    # In the thread that trains: OpenMP keeps the number of threads per thread.
    torch.set_num_threads(1)
    worker = get_worker()
    plugin = cast(DataOnWorker, worker.plugins[data])
    return train(
        trial.condition.model,
        trial.condition.training,
        trial.seed,
        plugin.images,
        plugin.num_classes,
        precision=precision,
        on_epoch=lambda row: worker.log_event(EPOCHS_TOPIC, {"key": key, "row": row}),
    )


def _longest_first(tasks: Sequence[_Task]) -> list[_Task]:
    """In an order in which workers end together: a long trial at the end keeps the others waiting."""
    return sorted(tasks, key=lambda task: relative_cost(task.trial), reverse=True)


def _describe(error: BaseException) -> str:
    if isinstance(error, KilledWorker):
        return (
            f"its worker died {error.allowed_failures + 1} times, most likely out of memory: lower "
            "training.batch_size or execution.workers"
        )
    return f"{type(error).__name__}: {error}"
