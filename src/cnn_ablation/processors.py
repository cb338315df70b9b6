"""Names of processors, which reports show as provenance."""

import platform
from typing import TYPE_CHECKING

from llvmlite import binding

if TYPE_CHECKING:
    import torch


def cpu_name() -> str:
    """LLVM's name of this machine's CPU and its instruction set, such as `znver3 (x86_64)`."""
    return f"{binding.get_host_cpu_name()} ({platform.machine()})"


def processor_name(device: "torch.device") -> str:
    """Name of the processor that computes on the device: the GPU's or the CPU's."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
