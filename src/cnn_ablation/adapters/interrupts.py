"""Ctrl-C, TERM and HUP: a run that is stopped ends quickly and is marked as killed in MLflow."""

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click
from rich.console import Console

from cnn_ablation.adapters.abandoned_runs import mark_killed
from cnn_ablation.workarounds import release_semaphores

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

PATIENCE = 3.0
"""Seconds that an interrupted run may take to stop, and then to be marked in MLflow."""


@contextmanager
def interruptible() -> Iterator[None]:
    """End the process in an orderly way if Ctrl-C, TERM or HUP arrives within the context.

    The exit code is 130 after Ctrl-C, 143 after TERM, and 129 after HUP, which arrives when the terminal
    is closed. A second signal ends the process at once. HUP stays ignored if it was ignored before, as
    under nohup.

    The first signal raises KeyboardInterrupt in the main thread. The exception lets the interrupted code
    release its locks, such as that of the tracking store, before the run is marked. The code can also
    catch the exception, replace it, or wait for threads, as Kedro's ThreadRunner does. A timer therefore
    raises it again until it arrives here, and any end after a signal counts as interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread can handle signals.
        return
    received: list[int] = []

    def interrupt(number: int, _: Any) -> None:
        received.append(number)
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        _silence_consequences()
        _every(PATIENCE, _raise_interrupt)
        raise KeyboardInterrupt

    heeded = [number for number in SIGNALS if not _is_left_alone(number)]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    error: BaseException | None = None
    try:
        yield
    except BaseException as arrived:
        if not received:
            raise
        error = arrived
    finally:
        if not received:
            for number, handler in before.items():
                signal.signal(number, handler)
    if received:
        _end(received[0], error)


def _is_left_alone(number: int) -> bool:
    # A shell also starts background processes with SIGINT ignored. A run still ends by it.
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) == signal.SIG_IGN


def _silence_consequences() -> None:
    """Keep Python from printing the errors of finalizers, weak references and threads from now on.

    The exception can leave a library's objects inconsistent, such as SQLAlchemy's sessions, which then
    raise errors while they are discarded. The process ends, so none of these errors matters.
    """
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda _: None


def _end(number: int, error: BaseException | None) -> NoReturn:
    _every(PATIENCE, _raise_interrupt)
    # If the store cannot be written now, the next run marks this one.
    with suppress(Exception, KeyboardInterrupt):
        _close_generators(error)
        _mark_killed()
    _every(0, signal.SIG_DFL)
    with suppress(OSError):  # The terminal may be closed.
        Console().show_cursor()  # A progress bar that has just started may have hidden it.
        click.echo(
            "\nStopped. All finished trials are kept: the same command continues from there.",
            err=True,
        )
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    # Python's normal exit waits for threads, such as nodes of a ThreadRunner. It also calls Dask's exit
    # handler, which waits for training workers, and fails with a traceback if the cluster is starting.
    for child in multiprocessing.active_children():
        child.kill()
    release_semaphores()
    os._exit(128 + number)


def _close_generators(error: BaseException | None) -> None:
    """Close the generators whose frames the error refers to.

    The exception did not pass through all of them. The engine's, for example, would still draw its
    progress bars and hold its lock.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _mark_killed() -> None:
    """Mark the active run and its trials, even if the interrupt has already ended the run as failed."""
    if "mlflow" not in sys.modules:
        return
    import mlflow

    run = mlflow.last_active_run()
    mlflow.end_run("KILLED")
    if run is not None and run.info.status != "FINISHED":
        mark_killed(mlflow.MlflowClient(), run)


def _raise_interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _every(seconds: float, handler: Any) -> None:
    """Call the handler in the main thread at this interval from now on; 0 stops the calls."""
    if hasattr(signal, "setitimer"):  # Not on Windows.
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
