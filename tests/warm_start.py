"""Kedro commands in processes of their own, which need not import the large libraries again.

A server process imports them once, and each command runs in a fork of it. This module imports nothing of
the project, because a command runs the code of its own copy of the project.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parents[1]

_context = multiprocessing.get_context("forkserver")
# Kedro and Dask read their configuration when they are imported, and a command must do that itself.
_context.set_forkserver_preload(["matplotlib.figure", "mlflow", "pandas", "scipy.stats", "torch"])


def run_kedro(
    arguments: tuple[str, ...], project: Path, environment: Mapping[str, str], timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m kedro` in a folder.

    Raises:
        subprocess.TimeoutExpired: The command runs for longer than `timeout` seconds. It is killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        process = _context.Process(
            target=_command, args=(arguments, str(project), dict(environment), str(output), str(errors))
        )
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout, output.read_text(), errors.read_text())
        assert process.exitcode is not None
        return subprocess.CompletedProcess(
            arguments, process.exitcode, output.read_text(), errors.read_text()
        )


def _command(
    arguments: tuple[str, ...], project: str, environment: dict[str, str], output: str, errors: str
) -> None:
    for file, descriptor in ((output, 1), (errors, 2)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(project)
    tested = {"", str(_ROOT), str(_ROOT / "src")}
    sys.path[:] = [project, *(path for path in sys.path if path not in tested)]
    sys.argv = ["kedro", *arguments]
    try:
        runpy.run_module("kedro", run_name="__main__", alter_sys=True)
    finally:
        # multiprocessing ends its processes without them.
        atexit._run_exitfuncs()
