"""Private or undocumented parts of PyTorch that the core uses, each with the reason.

Every one has a test in `tests/test_workarounds.py` that says what to do when a release of PyTorch
changes it. Those for Kedro, kedro-mlflow, kedro-datasets and MLflow stand in `adapters.workarounds`.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch.optim import Optimizer


def light_optimizer(kind: "type[Optimizer]") -> "Callable[..., Optimizer]":
    """The optimizer class without the decorators that import torch.compile.

    PyTorch decorates `step` and `add_param_group` for torch.compile. The decorators import the compiler
    even if nothing is compiled, which takes each worker 2.7 s and 142 MiB. Weights are updated in the
    same way, bit for bit.

    Args:
        kind: A class of `torch.optim`, such as `torch.optim.Adam`.

    Returns:
        A subclass of `kind`, with the same arguments.
    """
    import torch

    methods: dict[str, Any] = {
        "add_param_group": inspect.unwrap(kind.add_param_group),
        # One of the decorators that are left out turns gradients off.
        "step": torch.no_grad()(inspect.unwrap(kind.step)),
        # The steps before a CUDA graph is recorded are meant to run without it: no warning.
        "_warned_capturable_if_run_uncaptured": True,
    }
    return cast("Callable[..., Optimizer]", type(kind.__name__, (kind,), methods))


def cpu_multiplies_bf16() -> bool:
    """Whether this machine's CPU has instructions for matrix products in bf16 (AVX-512 BF16).

    The public `torch.cpu.get_capabilities` says the same, but PyTorch 2.9 does not have it.
    """
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported())
