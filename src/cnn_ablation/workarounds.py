"""Uses of private names of PyTorch, kedro-mlflow and Python, each with the reason.

Each use has a test in `tests/test_workarounds.py`, which says what to do when a release changes it.
PyTorch is imported only when a function needs it.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch.optim import Optimizer


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


def release_semaphores() -> None:
    """Release the semaphores of multiprocessing's queues, as Python does when it exits.

    A process that ends by `os._exit` skips this. Python's resource tracker, a helper process, then
    releases the semaphores and warns on the terminal that they have leaked. Python has no public
    function that releases them.
    """
    from multiprocessing import util

    util._run_finalizers(0)  # type: ignore[attr-defined]
