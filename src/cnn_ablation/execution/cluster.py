"""The Dask cluster that trials run on: a local one, unless the parameters name a scheduler."""

import logging
import math
import shutil
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

import dask
import torch
from dask.distributed import Client, LocalCluster, Security
from dask.system import CPU_COUNT
from dask.utils import parse_timedelta
from distributed.system import MEMORY_LIMIT

from cnn_ablation.errors import ClusterError, ParameterError
from cnn_ablation.study.parameters import ExecutionParameters, TlsParameters
from cnn_ablation.workarounds import start_workers_apart

logger = logging.getLogger(__name__)

WORKER_MEMORY = 1.2 * 2**30
"""Bytes of memory per worker. The base network and the data take 0.9 GiB; see docs/performance.md."""

TRIALS_PER_GPU = 8
"""Number of trials that train at once on a GPU. More do not increase the throughput of an H200."""

START_ATTEMPTS = 2
"""Number of attempts to start a local cluster. The first one fails if a worker is killed meanwhile."""

CONNECT_TIMEOUT = 10
"""Seconds within which a scheduler must answer."""

SHORTEST_TIMEOUTS = {"distributed.comm.timeouts.connect": 0, "distributed.comm.timeouts.tcp": 11}
"""Seconds that Dask's settings must exceed or equal. Dask itself only asserts it, in each connection."""


WORKER_ENVIRONMENT = {
    # Avoid page faults at each step: by default, glibc maps and unmaps memory for each large tensor.
    "MALLOC_TRIM_THRESHOLD_": 2**32,
    # Larger than any tensor of a step and smaller than the data: the buffers that brought the data to
    # the worker are returned to the system.
    "MALLOC_MMAP_THRESHOLD_": 2**25,
    # A worker trains in a thread. By default, the thread has its own arena of 64 MB pieces, into which
    # the gradients of large layers hardly fit: they would still be mapped and unmapped.
    "MALLOC_ARENA_MAX": 1,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}


def trials_at_once(device: str) -> int:
    """The default number of trials that this machine trains at once."""
    return {
        "cuda": TRIALS_PER_GPU * torch.cuda.device_count(),
        "mps": 1,
        "cpu": max(1, min(CPU_COUNT, math.floor(MEMORY_LIMIT / WORKER_MEMORY))),
    }[device]


def connect(execution: ExecutionParameters, device: str, trials: int | None) -> Client:
    """Connect to the scheduler that the parameters name, or start a local cluster.

    A local cluster has a single-threaded worker per core, as memory permits, or a worker with several
    threads per GPU. It listens only on loopback, and accepts only connections with a certificate that is
    made for it.

    Args:
        execution: Cluster parameters.
        device: Type of device that workers train on.
        trials: Number of trials to train; None if it is not known. A local cluster has no more threads
            than trials.

    Raises:
        ClusterError: Workers cannot be started, the scheduler cannot be reached, or one of Dask's own
            settings makes connections impossible.
        ParameterError: A certificate or key cannot be read.
    """
    _check_timeouts()
    if execution.scheduler is not None:
        return _join(execution.scheduler, execution.tls)
    at_once = execution.workers or trials_at_once(device)
    return _start(at_once if trials is None else min(at_once, trials), device)


def _join(scheduler: str, tls: TlsParameters | None) -> Client:
    """Connect to the scheduler at an address."""
    security = None
    if tls is not None:
        for key, file in tls:
            if reason := _cannot_be_read(file):
                raise ParameterError(f"execution.tls.{key}", f"{file} cannot be read: {reason}")
        security = Security(
            tls_ca_file=tls.ca_file,
            tls_client_cert=tls.cert,
            tls_client_key=tls.key,
            require_encryption=True,
        )
    try:
        client = Client(scheduler, security=security, timeout=CONNECT_TIMEOUT)
        client.wait_for_workers(1, timeout=CONNECT_TIMEOUT)
    except ValueError as error:
        raise ClusterError(
            f"execution.scheduler: {scheduler!r} is not an address: {error}; allowed: for example "
            "tcp://10.0.0.5:8786"
        ) from None
    except RuntimeError as error:
        raise ClusterError(
            f"execution.scheduler: {scheduler}: {error}; allowed with execution.tls: an address that "
            "begins with tls://"
        ) from error
    except (OSError, TimeoutError) as error:
        raise ClusterError(
            f"execution.scheduler: no workers at {scheduler} ({error}). Start the scheduler and its "
            "workers, or leave the key out to train on this machine"
        ) from error
    return client


def _cannot_be_read(file: str) -> str:
    """The reason why a file cannot be read; empty if it can."""
    try:
        with Path(file).open("rb"):
            return ""
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def _start(at_once: int, device: str) -> Client:
    """Start a local cluster that trains this number of trials at once."""
    processes = min(at_once, torch.cuda.device_count()) if device == "cuda" else at_once
    for attempt in range(START_ATTEMPTS):
        try:
            return Client(_local_cluster(processes, math.ceil(at_once / processes)))
        except (OSError, RuntimeError) as error:
            reason = error
            logger.warning("Attempt %d of %d to start workers: %s", attempt + 1, START_ATTEMPTS, error)
    raise ClusterError(
        f"No workers can be started on this machine ({reason}). If memory is short, lower "
        "execution.workers"
    ) from reason


def _check_timeouts() -> None:
    for name, shortest in SHORTEST_TIMEOUTS.items():
        value = dask.config.get(name)
        try:
            seconds = parse_timedelta(value, default="seconds")
        except (TypeError, ValueError, KeyError):
            seconds = None
        if seconds is None or seconds < shortest:
            variable = f"DASK_{name.upper().replace('.', '__')}"
            raise ClusterError(
                f"Dask's setting {name} is {value!r}; allowed: at least {shortest} seconds, such as "
                f"'30s'. It is set by the variable {variable} or by a file in one of {dask.config.paths}"
            )


def _local_cluster(processes: int, threads: int) -> LocalCluster:
    # Dask puts its scratch folder first on the path that modules are imported from. Its own choice is a
    # name in /tmp that any user can take beforehand.
    scratch = tempfile.mkdtemp(prefix="cnn-ablation-")
    defaults = dask.config.merge(*dask.config.defaults)["distributed"]
    settings = {
        # A user's own settings are for other clusters. An idle timeout, for example, would end this one.
        **{f"distributed.{role}": defaults[role] for role in ("scheduler", "worker", "nanny")},
        "temporary-directory": scratch,
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        # Dask's profiler, ticks and monitor interrupt the training thread a hundred times a second. The
        # settings are given here, because those of the nanny override a worker's environment.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "5s",
        "distributed.worker.preload": ["cnn_ablation.execution.worker"],
        # A worker gets a trial only when it is free.
        "distributed.scheduler.worker-saturation": 1.0,
        # A worker can also die for other reasons than its trial, which gets more attempts than Dask's 3.
        "distributed.scheduler.allowed-failures": 5,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    start_workers_apart()
    try:
        with dask.config.set(settings):
            cluster = LocalCluster(
                n_workers=processes,
                threads_per_worker=threads,
                host="127.0.0.1",
                security=Security.temporary(),
                # Without an address, Dask would take a fixed port.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                memory_limit=0,
            )
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    # Priority 0: `workarounds.release_semaphores` calls it too, when a run is interrupted.
    Finalize(cluster, shutil.rmtree, (scratch,), {"ignore_errors": True}, exitpriority=0)
    # Dask's pages have no password, and nobody looks at them. Workers close theirs in `dask_setup`.
    scheduler, loop = cluster.scheduler, cluster.loop
    assert scheduler is not None
    assert loop is not None
    loop.add_callback(scheduler.http_server.stop)
    return cluster
