"""Runs are marked as killed if their process has ended. All other runs are left alone."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from cnn_ablation.adapters.abandoned_runs import INITIAL_NAMESPACE, Process, mark_abandoned
from tests.conftest import empty_database

HERE = Process.current()
EARLIER_BOOT = replace(HERE, boot="earlier", machine="ours", namespace=INITIAL_NAMESPACE)
AFTER_REBOOT = replace(HERE, boot="later", machine="ours", namespace=INITIAL_NAMESPACE)

needs_proc = pytest.mark.skipif(not HERE.boot, reason="only Linux identifies processes")


@pytest.fixture(scope="module")
def ended() -> Process:
    """A process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(HERE, pid=str(process.pid))


@needs_proc
def test_a_running_process_has_not_ended() -> None:
    assert not HERE.has_ended(HERE)
    assert not replace(HERE, pid=str(os.getppid()), started="").has_ended(replace(HERE, host="other"))


@needs_proc
def test_a_process_that_does_not_exist_has_ended(ended: Process) -> None:
    assert ended.has_ended(HERE)


@needs_proc
def test_a_process_whose_id_was_reused_has_ended() -> None:
    assert replace(HERE, started="1").has_ended(HERE)


@needs_proc
def test_a_zombie_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # Read to the end. Moments later, the process is a zombie.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    assert replace(HERE, pid=str(process.pid), started=started).has_ended(HERE)
    process.wait()
    process.stdout.close()


def test_a_restart_of_the_host_ends_its_processes() -> None:
    assert EARLIER_BOOT.has_ended(AFTER_REBOOT)


@pytest.mark.parametrize(
    ("process", "here"),
    [
        (replace(EARLIER_BOOT, host="other"), AFTER_REBOOT),
        (replace(EARLIER_BOOT, machine="another"), AFTER_REBOOT),
        (replace(EARLIER_BOOT, machine=""), replace(AFTER_REBOOT, machine="")),
        (replace(EARLIER_BOOT, namespace="pid:[1]"), replace(AFTER_REBOOT, namespace="pid:[1]")),
        (
            replace(HERE, boot="ours", namespace="pid:[1]"),
            replace(HERE, boot="ours", namespace="pid:[2]"),
        ),
        (replace(HERE, boot=""), replace(HERE, boot="")),
    ],
    ids=["host", "name", "unknown machine", "container", "container of the host", "other system"],
)
def test_a_process_of_unknown_state_is_left_alone(
    process: Process, here: Process, ended: Process
) -> None:
    assert not replace(process, pid=ended.pid).has_ended(here)


@needs_proc
def test_only_runs_of_ended_processes_are_marked(tmp_path: Path, ended: Process) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{shutil.copy(empty_database(), tmp_path)}")
    experiments = [client.create_experiment(name) for name in ("one", "another")]

    def started(process: Process | None, experiment: str, parent: str | None = None) -> str:
        tags = {f"process.{field}": value for field, value in vars(process).items()} if process else {}
        if parent:
            tags["mlflow.parentRunId"] = parent
        return str(client.create_run(experiment, tags=tags).info.run_id)

    gone = started(ended, experiments[0])
    trial = started(None, experiments[0], parent=gone)
    gone_elsewhere = started(ended, experiments[1])
    alive = started(HERE, experiments[0])
    others = [
        started(replace(ended, host="other"), experiments[0]),
        started(None, experiments[0]),
        started(None, experiments[0], parent=alive),
    ]
    finished = started(ended, experiments[0])
    client.set_terminated(finished)

    assert set(mark_abandoned(client, HERE)) == {gone, gone_elsewhere}
    assert mark_abandoned(client, HERE) == []
    status = {
        run.info.run_id: run.info.status
        for experiment in experiments
        for run in client.search_runs([experiment])
    }
    assert {status[run] for run in (gone, trial, gone_elsewhere)} == {"KILLED"}
    assert {status[run] for run in (alive, *others)} == {"RUNNING"}
    assert status[finished] == "FINISHED"
