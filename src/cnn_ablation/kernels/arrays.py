"""Conversion of tensors to arrays for loops that Numba compiles."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def flat_array(maps: Tensor) -> NDArray[Any]:
    """View maps as the flat array that the loops expect, with bf16 as int16."""
    flat = maps.flatten()
    return (flat.view(torch.int16) if flat.dtype == torch.bfloat16 else flat).numpy()
