"""The switch that lets a run go on untracked after MLflow has failed."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar

from cnn_ablation.secret_texts import hide_secrets

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@contextmanager
def impatient(timeout: int) -> Iterator[None]:
    """Let MLflow's requests fail without another attempt, within the context.

    Args:
        timeout: Seconds in which the server must answer.
    """
    values = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Tracking:
    """Whether the runs of this process are tracked. MLflow's active run is global, too."""

    def __init__(self) -> None:
        self.fault = ""
        """The reason why the current run is no longer tracked; empty while it is."""

        self.local_page = ""
        """Address of MLflow's page if `kedro tracking` serves it on this machine."""

        self._patience = ExitStack()

    def begin(self) -> None:
        """Track again: a new run begins."""
        self.fault = ""
        self._patience.close()

    def attempt(self, log: Callable[[], Result], otherwise: Result) -> Result:
        """Log something to MLflow. If that fails, now or before, return `otherwise`.

        MLflow and the clients of artifact stores raise many types of errors, all of which count.
        """
        if self.fault:
            return otherwise
        try:
            return log()
        except Exception as error:
            self.give_up(error)
            return otherwise

    def give_up(self, error: BaseException) -> None:
        """Go on untracked after an error. MLflow's active run ends."""
        if self.fault:
            return
        import mlflow

        reason = hide_secrets(" ".join((getattr(error, "message", None) or str(error)).split()))
        self.fault = reason[:300] or type(error).__name__
        self._patience.enter_context(impatient(timeout=1))
        logger.warning(
            "Tracking in MLflow failed (%s). The run goes on untracked; its results are stored",
            self.fault,
        )
        # MLflow forgets its active run even if the server cannot be told.
        with suppress(Exception):
            mlflow.end_run("FAILED")


tracking = Tracking()
"""The tracking of this process."""
