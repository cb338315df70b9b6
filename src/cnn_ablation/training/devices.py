"""Choice of the device, the precision and the layers of a training."""

import numba
import torch

from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.architectures import Architecture
from cnn_ablation.workarounds import cpu_multiplies_bf16, cpu_prefers_bf16


def resolve_device(name: str, *, here: bool = True) -> torch.device:
    """The device with this name. `auto` selects CUDA, MPS or the CPU, in this order.

    Args:
        name: auto, cpu, cuda or mps.
        here: Whether the device must be on this machine.

    Raises:
        ParameterError: This machine has no such device.
    """
    if not here:
        return torch.device(name)
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, present in available.items() if present))
    if not available[name]:
        present = ", ".join(["auto", *(kind for kind, here in available.items() if here)])
        raise ParameterError(
            "execution.device", f"{name} is not available on this machine; allowed here: {present}"
        )
    return torch.device(name)


def resolve_precision(name: str, device: torch.device) -> str:
    """The precision with this name. `auto` selects bf16 if it is faster on the device."""
    if name != "auto":
        return name
    faster = cpu_prefers_bf16() if device.type == "cpu" else multiplies_bf16(device)
    return "bf16" if faster else "fp32"


def resolve_layers(name: str, device: torch.device, architecture: Architecture) -> str:
    """`fast` if requested, on a CPU, for an architecture that supports it; otherwise `torch`."""
    fast = name == "fast" and device.type == "cpu" and architecture.fast_layers
    return "fast" if fast else "torch"


def check_layers(name: str, device: torch.device) -> None:
    """Reject fast layers if they cannot be compiled on this machine.

    Raises:
        ParameterError: Numba's compiler is switched off.
    """
    if name == "fast" and device.type == "cpu" and not compiles():
        raise ParameterError(
            "execution.layers",
            "fast needs Numba's compiler, which the variable NUMBA_DISABLE_JIT switches off; allowed: "
            "torch, or fast without this variable",
        )


def compiles() -> bool:
    """Whether Numba compiles the fast layers. Otherwise, it would run their loops in Python."""
    return not numba.config.DISABLE_JIT  # type: ignore[attr-defined]  # Set at import.


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for products in bf16. Without them, fp32 is faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and cpu_multiplies_bf16()
