"""Runs that MLflow shows as running although their process is gone, after SIGKILL or a power cut."""

import logging
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from kedro.framework.hooks import hook_impl

from cnn_ablation.datasets.tracking import tracking

logger = logging.getLogger(__name__)

TAGS = "process."
"""Prefix of the tags that say which process a run belongs to."""

RUNNING = "attributes.status = 'RUNNING'"

INITIAL_NAMESPACE = "pid:[4026531836]"
"""Namespace of process ids outside of containers. Its number is fixed in Linux."""


@dataclass(frozen=True)
class Process:
    """The facts that identify a process. Fields are empty if the system does not provide them.

    Most facts are read from Linux's /proc. On other systems, only the host's name and the id are known,
    so that a process cannot be distinguished from an earlier one with the same id.

    Args:
        host: Name of the host.
        machine: Id of the system's installation, which a restart does not change.
        boot: Id of the system's current start.
        namespace: Namespace of process ids. Each container can have its own.
        pid: Id of the process.
        started: When the process started, in ticks since the system's start.
    """

    host: str
    machine: str
    boot: str
    namespace: str
    pid: str
    started: str

    @classmethod
    def current(cls) -> Self:
        """The current process."""
        stat = _stat("self")
        return cls(
            host=socket.gethostname(),
            machine=_read("/etc/machine-id"),
            boot=_read("/proc/sys/kernel/random/boot_id"),
            namespace=str(Path("/proc/self/ns/pid").readlink()) if stat else "",
            pid=str(os.getpid()),
            started=stat[1] if stat else "",
        )

    def has_ended(self, here: "Process") -> bool:
        """Whether the process has certainly ended.

        False also if this cannot be determined, because the process belongs to another host or
        container, or the system is not Linux.

        Args:
            here: The current process.
        """
        if self.host != here.host or not self.boot or not here.boot:
            return False
        if self.boot != here.boot:
            # The host was restarted, or it is another host with the same name. Containers can share both
            # the name and the id of a machine.
            same_machine = self.machine == here.machine != ""
            return same_machine and self.namespace == here.namespace == INITIAL_NAMESPACE
        if self.namespace != here.namespace:
            return False
        try:
            os.kill(int(self.pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # It belongs to another user.
        stat = _stat(self.pid)
        # A process with the same id and another start is a different process.
        return stat is not None and (stat[0] in "ZX" or stat[1] != self.started)


class AbandonedRunHooks:
    """Tag each run with its process, and mark runs whose process has ended as killed."""

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Tag the run that kedro-mlflow has started, if conf does not disable tracking."""
        tracking.attempt(self._mark, None)

    def _mark(self) -> None:
        import mlflow
        from mlflow.exceptions import MlflowException

        run = mlflow.active_run()
        if run is None:
            return
        here = Process.current()
        try:
            tags = {f"{TAGS}{field}": value for field, value in asdict(here).items() if value}
            mlflow.set_tags(tags)
            mark_abandoned(mlflow.MlflowClient(), here)
        except MlflowException as error:
            logger.warning("Runs that were killed are not marked in MLflow: %s", error.message)


def mark_abandoned(client: Any, here: Process) -> list[str]:
    """Mark runs whose process has ended as killed, together with their trials.

    Args:
        client: A `mlflow.MlflowClient`.
        here: The current process.

    Returns:
        Ids of the marked runs, without those of their trials.
    """
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    marked = []
    for run in client.search_runs(experiments, f"{RUNNING} and tags.`{TAGS}host` = '{here.host}'"):
        tags = {key.removeprefix(TAGS): value for key, value in run.data.tags.items()}
        owner = Process(**{field: tags.get(field, "") for field in asdict(here)})
        if owner.has_ended(here):
            mark_killed(client, run)
            marked.append(run.info.run_id)
    return marked


def mark_killed(client: Any, run: Any) -> None:
    """Mark a `mlflow.entities.Run` as killed, and those of its trials that have the status RUNNING."""
    parent = run.info.run_id
    trials = f"{RUNNING} and tags.`mlflow.parentRunId` = '{parent}'"
    for trial in client.search_runs([run.info.experiment_id], trials):
        client.set_terminated(trial.info.run_id, "KILLED")
    client.set_terminated(parent, "KILLED")


def _stat(process: str) -> tuple[str, str] | None:
    """State and start of a process, or None if the system does not provide them."""
    # The name, in parentheses, can contain any character.
    fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    return (fields[0], fields[19]) if fields else None


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
