"""Private names of PyTorch that this package depends on, each with its reason.

`tests/test_workarounds.py` says in plain words what a new release has changed.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch.optim import Optimizer


def light_optimizer(kind: "type[Optimizer]") -> "Callable[..., Optimizer]":
    """An optimizer of PyTorch without its decorators for torch.compile.

    The decorators import the compiler whether it is used or not, which costs each worker 2.7 s and
    142 MiB.
    """
    import torch

    methods: dict[str, Any] = {
        "add_param_group": inspect.unwrap(kind.add_param_group),
        # One of the decorators was no_grad in other words.
        "step": torch.no_grad()(inspect.unwrap(kind.step)),
    }
    return cast("Callable[..., Optimizer]", type(kind.__name__, (kind,), methods))


def cpu_multiplies_bf16() -> bool:
    """Whether the processor has instructions for products in bf16: AVX-512 BF16.

    PyTorch has no public name for it.
    """
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported())
