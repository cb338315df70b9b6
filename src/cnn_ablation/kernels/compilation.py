"""Compilation, with Numba, of loops over the elements of feature maps."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import llvmlite.binding
from numba import njit

from cnn_ablation.workarounds import cache_on_disk

# LLVM vectorizes a loop over channels only if
# - it knows the distances between pixels and between rows. Loops are therefore compiled for a shape.
# - no index can be negative, because negative indices count from the end. Hence `& NATURAL`.
# - few arrays can overlap. Values that belong together are therefore stored in one array.
# - the loop has no branch. Factors of 0 or 1 therefore replace conditions.
NATURAL = 2**62 - 1
"""Mask that leaves natural numbers unchanged and tells LLVM that the result is not negative."""

inlined = njit(error_model="numpy", forceinline=True)
"""Decorator for functions that compiled loops call."""

_PROCESSOR = llvmlite.binding.get_host_cpu_name() + llvmlite.binding.get_host_cpu_features().flatten()

# Numba recompiles a loop when the loop's own file changes, but not when this file changes.
_SURROUNDINGS = zlib.crc32(_PROCESSOR.encode() + Path(__file__).read_bytes())


def compiled(*kind: object) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a loop and cache it on disk. The loop may close over numbers only.

    Args:
        kind: Values that the loop closes over and types of its arguments, as part of its name. Numba
            numbers the cache entries of a name. If two processes compiled two kinds of one name at the
            same time, one entry could overwrite the other.

    Returns:
        A decorator that compiles the loop.
    """

    def compile_loop(loop: Callable[..., None]) -> Callable[..., None]:
        loop.__qualname__ = "_".join(map(str, (loop.__name__, *kind, _SURROUNDINGS)))
        compiled_loop = njit(nogil=True, error_model="numpy")(loop)
        cache_on_disk(compiled_loop)
        return cast(Callable[..., None], compiled_loop)

    return compile_loop


@inlined
def pixel_index(image, row, column, height, width, channels):
    """Index of a pixel's first channel in flat maps of shape (images, height, width, channels)."""
    return ((image * height + row) * width + column) * channels & NATURAL
