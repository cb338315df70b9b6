"""User settings, in environment variables or files, that keep other libraries from being imported."""

import os
import traceback

from cnn_ablation.errors import one_line

VARIABLES = {
    "mlflow": "MLFLOW_",
    "dask": "DASK_",
    "distributed": "DASK_",
    "numba": "NUMBA_",
    "matplotlib": "MPL",
}
"""Libraries that read their settings when they are imported, and how the variables' names begin."""


def explain_import(error: BaseException) -> str | None:
    """Say which settings stop the import of a library.

    Libraries raise errors of any type, and are imported wherever a module first needs them.

    Args:
        error: Any error.

    Returns:
        An error message, or None if the error has another reason.
    """
    if isinstance(error, ImportError):
        return None  # The library is not installed as it should be.
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    modules = (frame.f_globals["__name__"] for frame in frames if frame.f_code.co_name == "<module>")
    libraries = [name for module in modules if (name := module.partition(".")[0]) in VARIABLES]
    if not libraries:
        return None
    library, prefix = libraries[-1], VARIABLES[libraries[-1]]
    present = sorted(name for name in os.environ if name.startswith(prefix))
    return (
        f"{library} cannot be imported with its settings ({one_line(error)}); correct its variables "
        f"({', '.join(present) or f'{prefix}…: none is set'}) or the files of its configuration"
    )
