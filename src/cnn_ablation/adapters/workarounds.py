"""Private parts of kedro-mlflow and of Python that the edge uses, each with the reason.

Every one has a test in `tests/adapters/test_workarounds.py` that says what to do when a release changes
it. Workarounds for PyTorch stand in `cnn_ablation.workarounds`.
"""

from multiprocessing import util


class TrackingSwitch:
    """Base of datasets that log to MLflow: `tracking_enabled` is False where conf disables tracking.

    `tracking.disable_tracking.pipelines` in mlflow.yml names pipelines that are not tracked. Before it
    runs one of them, kedro-mlflow sets `_logging_activated` to False on each dataset whose class has a
    name that begins with "Mlflow". It documents no other way to learn of it.
    """

    _logging_activated = True

    @property
    def tracking_enabled(self) -> bool:
        """Whether a save logs to MLflow."""
        return self._logging_activated


def release_semaphores() -> None:
    """Release the semaphores of multiprocessing's queues, as Python does when it exits.

    A process that ends by `os._exit` skips this. Python's resource tracker, a helper process, then
    releases the semaphores and complains on the terminal that they have leaked. No public function of
    Python releases them.
    """
    util._run_finalizers(0)  # type: ignore[attr-defined]
