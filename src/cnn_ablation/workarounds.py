"""Uses of private names of PyTorch, Numba, kedro-mlflow and Python, each with the reason.

Each use has a test in `tests/test_workarounds.py`, which says what to do when a release changes it.
PyTorch is imported only when a function needs it.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch.optim import Optimizer

DASK_WORKER = "Dask Worker process (from Nanny)"
"""Name of the processes in which Dask starts its workers."""


def light_optimizer(kind: "type[Optimizer]") -> "Callable[..., Optimizer]":
    """The optimizer class without the decorators that import torch.compile.

    PyTorch decorates `step` and `add_param_group` for torch.compile. The decorators import the compiler
    even if nothing is compiled, which costs each worker 2.7 s and 142 MiB. The updates of the weights
    are the same, bit for bit.

    Args:
        kind: A class of `torch.optim`, such as `torch.optim.Adam`.

    Returns:
        A subclass of `kind`, with the same arguments.
    """
    import torch

    methods: dict[str, Any] = {
        "add_param_group": inspect.unwrap(kind.add_param_group),
        # One of the removed decorators turns gradients off.
        "step": torch.no_grad()(inspect.unwrap(kind.step)),
        # Suppress a warning: steps before a CUDA graph is recorded run without it on purpose.
        "_warned_capturable_if_run_uncaptured": True,
    }
    return cast("Callable[..., Optimizer]", type(kind.__name__, (kind,), methods))


def cpu_multiplies_bf16() -> bool:
    """Whether this machine's CPU has instructions for matrix products in bf16 (AVX-512 BF16).

    The public `torch.cpu.get_capabilities` reports the same, but PyTorch 2.9 does not have it.
    """
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported())


def cpu_prefers_bf16() -> bool:
    """Whether matrix products in bf16 are faster than the fast layers in fp32 on this machine's CPU.

    They are with AMX and on AMD's Zen 4 and later. On Intel's processors without AMX, instructions for
    bf16 exist and take longer than Winograd's convolutions in fp32.
    """
    import torch
    from llvmlite import binding

    amx = bool(torch.cpu._is_amx_tile_supported())
    return amx or (cpu_multiplies_bf16() and binding.get_host_cpu_name().startswith("znver"))


class TrackingSwitch:
    """Base of datasets that log to MLflow. `tracking_enabled` is False if conf disables tracking.

    `tracking.disable_tracking.pipelines` in mlflow.yml names pipelines that are not tracked. Before such
    a pipeline runs, kedro-mlflow sets `_logging_activated` to False on each dataset whose class name
    begins with "Mlflow". It documents no other way to find out.
    """

    _logging_activated = True

    @property
    def tracking_enabled(self) -> bool:
        """Whether a save logs to MLflow."""
        return self._logging_activated


def set_variables(module: Any) -> list[Any]:
    """The environment variables that MLflow reads and that are set. MLflow does not list them itself.

    Args:
        module: `mlflow.environment_variables`.
    """
    kind = module._EnvironmentVariable
    known = [value for value in vars(module).values() if isinstance(value, kind)]
    return [variable for variable in known if variable.is_set()]


def protocol_of(loader: Any) -> str:
    """The protocol by which Kedro's loader reads conf: `file` for a folder, `zip` for an archive.

    Kedro falls back to `file` for whatever it does not know, and keeps its choice to itself.
    """
    protocol: str = loader._protocol
    return protocol


def stop_kedro_mlflow(hook: Any) -> None:
    """Let kedro-mlflow's hooks do nothing more in this run.

    kedro-mlflow can be switched off only before a run, by its configuration. Its hooks would contact the
    server again at each node.

    Args:
        hook: The `MlflowHook`.
    """
    hook.run_id = None
    hook._is_mlflow_enabled = False


def save_then_track(
    tracked: Any, is_tracked: Callable[[], bool], give_up: Callable[[Exception], object]
) -> Any:
    """A dataset of kedro-mlflow that writes its file even if MLflow fails.

    kedro-mlflow makes a class per dataset, whose `_save` writes the file and then logs it, and raises if
    either fails. MLflow has failed only if the same without logging does not.

    Args:
        tracked: A `MlflowArtifactDataset`.
        is_tracked: Whether the run is tracked at the moment.
        give_up: Called with the error if MLflow has failed.

    Returns:
        A dataset with the same arguments. Its class has the same name, by which kedro-mlflow finds it.
    """
    kind = type(tracked)

    def save(self: Any, data: Any) -> None:
        enabled = self._logging_activated
        fault = None
        if enabled and is_tracked():
            try:
                kind._save(self, data)
            except Exception as error:
                fault = error
            else:
                return
        self._logging_activated = False
        try:
            # Raises again if it is the file that cannot be written.
            kind._save(self, data)
        finally:
            self._logging_activated = enabled
        if fault is not None:
            give_up(fault)

    guarded = type(kind.__name__, (kind,), {"_save": save})
    return guarded(tracked.run_id, tracked.artifact_path, tracked.metadata)


def release_semaphores() -> None:
    """Release the semaphores of multiprocessing's queues, as Python does when it exits.

    A process that ends by `os._exit` skips this. Python's resource tracker, a helper process, then
    releases the semaphores and warns on the terminal that they have leaked. Python has no public
    function that releases them.
    """
    from multiprocessing import util

    util._run_finalizers(0)  # type: ignore[attr-defined]


def start_workers_apart() -> None:
    """Start Dask's workers without the script that started this process, and with Ctrl-C blocked.

    multiprocessing imports the script again in each process that it spawns. Workers need nothing of it:
    Dask pickles the script's functions by value. A script that calls `session.run` outside of
    `if __name__ == "__main__":` would run once more in each worker, and `kedro` would load its commands.

    The thread that spawns a worker is Dask's own for that purpose. The worker inherits its mask of
    signals, so it ignores Ctrl-C from its first moment, also when Dask starts it again later.
    """
    import signal
    from multiprocessing import spawn

    prepare = spawn.get_preparation_data
    if hasattr(prepare, "__wrapped__"):
        return

    @wraps(prepare)
    def prepare_apart(name: str) -> dict[str, Any]:
        prepared = prepare(name)
        if name == DASK_WORKER:
            prepared.pop("init_main_from_name", None)
            prepared.pop("init_main_from_path", None)
            if hasattr(signal, "pthread_sigmask"):  # Not on Windows.
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        return prepared

    spawn.get_preparation_data = prepare_apart


def cache_on_disk(compiled: Any) -> None:
    """Cache what Numba compiles for a function, as its option `cache=True` does, but trust no file.

    Numba fails on a file of the cache that is empty or truncated, on a folder that it cannot write to,
    and on a full disk. It runs machine code that was altered. Here, every entry has a checksum. An entry
    that cannot be read is compiled and written again, and one that cannot be written is not cached.

    Args:
        compiled: A function that `numba.njit` returned.
    """
    import hashlib
    import pickle

    from numba.core.caching import CompileResultCacheImpl, FunctionCache
    from numba.core.serialize import dumps

    class Checked(CompileResultCacheImpl):
        def reduce(self, cres: Any) -> tuple[bytes, bytes]:
            code = dumps(super().reduce(cres))
            return hashlib.sha256(code).digest(), code

        def rebuild(self, target_context: Any, payload: tuple[bytes, bytes]) -> Any:
            digest, code = payload
            if hashlib.sha256(code).digest() != digest:
                raise ValueError("altered")
            return super().rebuild(target_context, pickle.loads(code))

    class MendedCache(FunctionCache):
        _impl_class = Checked

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            try:
                return super().load_overload(sig, target_context)
            except Exception:  # pickle raises almost any error for a file that is not its own.
                with suppress(OSError):
                    self.flush()
                return None

        def save_overload(self, sig: Any, data: Any) -> None:
            with suppress(Exception):
                super().save_overload(sig, data)

    # Numba says by this error that it can write neither beside the file nor to the user's cache.
    with suppress(RuntimeError):
        compiled._cache = MendedCache(compiled.py_func)
