"""Compiling loops over the elements of maps, by Numba."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import llvmlite.binding
from numba import njit

# LLVM vectorizes a loop over channels only where it knows
# - the distance between pixels and between rows: so loops are compiled for a shape;
# - that no index is negative, which would count from the end: so `& NATURAL`;
# - that few arrays may overlap: so what goes together is in one;
# - no branch: so factors of 0 or 1 instead of conditions.
NATURAL = 2**62 - 1

inlined = njit(error_model="numpy", forceinline=True)
"""For functions that loops call."""

_PROCESSOR = llvmlite.binding.get_host_cpu_name() + llvmlite.binding.get_host_cpu_features().flatten()

# Numba compiles a loop anew when the loop's own file has changed, not when this one has.
_SURROUNDINGS = zlib.crc32(_PROCESSOR.encode() + Path(__file__).read_bytes())


def compiled(*kind: object) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a loop, and keep it on disk, if it closes over nothing but numbers.

    Args:
        kind: What it closes over, and the types that it is called with. Numba numbers what it keeps by
            name: of two processes that compile two kinds of one name at once, one might keep its own
            as the other's.
    """

    def compile_loop(loop: Callable[..., None]) -> Callable[..., None]:
        loop.__qualname__ = "_".join(map(str, (loop.__name__, *kind, _SURROUNDINGS)))
        return cast(Callable[..., None], njit(nogil=True, cache=True, error_model="numpy")(loop))

    return compile_loop


@inlined
def pixel_index(image, row, column, height, width, channels):
    """Index of a pixel's first channel in flat maps, (images, height, width, channels)."""
    return ((image * height + row) * width + column) * channels & NATURAL
