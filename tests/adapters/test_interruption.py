"""Studies that are killed, stopped or run twice at once lose no trial and leave no process."""

import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import (
    ROOT,
    clean_environment,
    empty_database,
    kedro,
    make_project,
    variant,
)
from tests.execution.test_store import age
from tests.reliability.harness import (
    Disturbance,
    attempt,
    checksums,
    make_longer_project,
    processes_of,
    start,
    store_of,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A longer project whose study was completed by two runs at once."""
    project = make_longer_project(tmp_path_factory.mktemp("undisturbed"))
    kedro(project, "run", "--pipeline=data_ingestion")  # creates MLflow's tables
    both = [start(project), start(project)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(outputs)
    return project


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with four trials of one experiment."""
    project = make_project(tmp_path_factory.mktemp("finished"))
    result = kedro(project, "run", "--pipeline=batchnorm")
    assert result.returncode == 0, result.stdout + result.stderr
    return project


def copy_untracked(project: Path, copy: Path) -> Path:
    """Copy a project with its trials, but without MLflow's database, which knows where it is."""
    ignored = shutil.ignore_patterns("mlflow.db", "mlartifacts")
    shutil.copytree(project, copy, symlinks=True, ignore=ignored)
    shutil.copy(empty_database(), copy)
    return copy


def wait_for_trials(project: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(list(store_of(project))) < count:
        assert time.monotonic() < deadline, "no trial was finished in time"
        time.sleep(0.05)


def wait_for_workers_to_end(leader: int) -> None:
    deadline = time.monotonic() + 30
    while processes_of(leader):
        assert time.monotonic() < deadline, "workers outlive their study"
        time.sleep(0.1)


def test_a_killed_study_continues_and_gives_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    project = make_longer_project(tmp_path)
    for count in (1, 3):
        process = start(project)
        wait_for_trials(project, count)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for_workers_to_end(process.pid)
    assert statuses(project) == ["KILLED", "RUNNING"]  # The second run has marked the first one.
    kept = len(list(store_of(project)))
    assert 3 <= kept < 6
    result = kedro(project, "run", "--pipeline=batchnorm")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("(reused)") == kept
    assert statuses(project) == ["KILLED", "KILLED", "FINISHED"]
    assert checksums(project) == checksums(undisturbed)
    tables = [
        pd.read_csv(folder / "data/08_reporting/batchnorm/trial_metrics.csv").drop(
            columns=["seconds_per_epoch", "compute_seconds_per_epoch", "inference_us"]
        )
        for folder in (project, undisturbed)
    ]
    pd.testing.assert_frame_equal(*tables)


def test_a_killed_worker_costs_no_stored_trial(tmp_path: Path, undisturbed: Path) -> None:
    project = make_longer_project(tmp_path)
    outcome = attempt(project, Disturbance("worker", "KILL"), 0.0, checksums(undisturbed))
    assert outcome == (0, 0, 0, 0, 0, 0)


def read_to_the_end(terminal: int) -> str:
    chunks = []
    with suppress(OSError):  # Linux raises it when the other side is closed.
        while chunk := os.read(terminal, 65536):
            chunks.append(chunk)
    return b"".join(chunks).decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_at_once_and_says_how_to_continue(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    project = make_longer_project(tmp_path / "project")
    terminal, other_side = pty.openpty()
    process = start(project, stdout=other_side, stderr=other_side)
    os.close(other_side)
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read_to_the_end, terminal)
        wait_for_trials(project, 1)
        if number == signal.SIGINT:
            # Ctrl-C reaches every process of the terminal's foreground group.
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(timeout=20) == code
        output = reading.result(timeout=30)
    os.close(terminal)
    assert output.rstrip().endswith("the same command continues from there.")
    assert "Traceback" not in output
    assert "resource_tracker" not in output
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert -1 < output.rfind(hidden) < output.rfind(shown), "the cursor is left hidden"
    assert statuses(project) == ["KILLED"]
    wait_for_workers_to_end(process.pid)


def statuses(project: Path) -> list[str]:
    """Status of each tracked run of the pipeline, in the order of their starts."""
    with sqlite3.connect(project / "mlflow.db") as database:
        query = "select status from runs where name = 'batchnorm' order by start_time"
        return [status for (status,) in database.execute(query)]


def interruptible(body: str) -> str:
    """Code that calls the body's `run` interruptibly."""
    return f"""
import os, signal, sys, threading, time
from cnn_ablation.adapters.interrupts import interruptible
{body}
def sleep():
    print("ready", flush=True)
    time.sleep(60)

with interruptible():
    run()
"""


def script(
    body: str, *arguments: str, prepare: Callable[[], object] | None = None
) -> "subprocess.Popen[str]":
    """Start a Python process that calls the body's `run` interruptibly, and wait until it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", interruptible(body), *arguments],
        env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")},
        preexec_fn=prepare,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


INTERRUPTED_WRITE = """
import mlflow, sqlalchemy
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}")
mlflow.start_run()

@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "after_cursor_execute")
def interrupt(connection, cursor, statement, *_):
    if statement.startswith("INSERT"):
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "after_cursor_execute", interrupt)
        os.kill(os.getpid(), signal.SIGINT)

def run():
    print("ready", flush=True)
    mlflow.log_param("written", "not whole")
"""


def test_an_interrupt_in_the_middle_of_a_write_marks_the_run_as_killed(tmp_path: Path) -> None:
    store = shutil.copy(empty_database(), tmp_path)
    process = script(INTERRUPTED_WRITE, str(store))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    with sqlite3.connect(store) as database:
        assert database.execute("select status from runs").fetchall() == [("KILLED",)]
        assert database.execute("select * from params").fetchall() == []


@pytest.mark.parametrize(
    "body",
    [
        """
def run():
    try:
        sleep()
    except KeyboardInterrupt:
        time.sleep(60)
""",
        """
def run():
    try:
        sleep()
    except KeyboardInterrupt:
        raise ValueError("another error")
""",
        """
def run():
    try:
        sleep()
    except KeyboardInterrupt:
        pass
""",
    ],
    ids=["swallowed", "turned into another error", "swallowed at the end"],
)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_that_code_catches_still_ends_the_process(
    body: str, number: signal.Signals, code: int
) -> None:
    process = script(body)
    process.send_signal(number)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == code, errors
    assert errors.strip().endswith("the same command continues from there.")
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "body",
    [
        """
class Session:
    def __del__(self):
        raise AssertionError("left inconsistent")

def run():
    session = Session()
    sleep()
""",
        """
def run():
    interrupted = threading.Event()
    thread = threading.Thread(target=lambda: interrupted.wait() and fail(), daemon=True)
    thread.start()
    try:
        sleep()
    finally:
        interrupted.set()
        thread.join()

def fail():
    raise AssertionError("left inconsistent")
""",
    ],
    ids=["finalizer", "thread"],
)
def test_errors_that_an_interrupt_causes_elsewhere_are_not_shown(body: str) -> None:
    process = script(body)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "left inconsistent" not in errors


def test_threads_do_not_keep_an_interrupted_process_alive() -> None:
    process = script(
        """
def run():
    thread = threading.Thread(target=time.sleep, args=(60,))
    thread.start()
    print("ready", flush=True)
    thread.join()
"""
    )
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 143
    assert "the same command continues from there." in errors


def test_a_closed_terminal_ends_a_process_that_cannot_write_any_more() -> None:
    terminal, other_side = pty.openpty()
    body = """
def run():
    while True:
        print("ready", flush=True)
        time.sleep(0.01)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", interruptible(body)],
        env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")},
        preexec_fn=lambda: os.login_tty(other_side),
    )
    os.close(other_side)
    os.read(terminal, 5)
    os.close(terminal)
    assert process.wait(timeout=20) == 129


def test_hup_stays_ignored_under_nohup() -> None:
    process = script(
        """
def run():
    os.kill(os.getpid(), signal.SIGHUP)
    print("ready", flush=True)
""",
        prepare=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 0, errors


def test_a_second_signal_ends_the_process_immediately() -> None:
    process = script(
        """
def run():
    try:
        sleep()
    finally:
        print("ending", flush=True)
        time.sleep(60)
"""
    )
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=2) == -signal.SIGINT  # A shell reports 130 in this case, too.
    process.communicate()


def test_two_runs_at_once_share_a_store(undisturbed: Path) -> None:
    store = store_of(undisturbed)
    assert len(list(store)) == 6
    assert all(store.get(key) is not None for key in store)
    assert store.leftovers() == []
    assert statuses(undisturbed) == ["FINISHED", "FINISHED"]


def test_a_damaged_trial_is_trained_again(tmp_path: Path, finished: Path) -> None:
    project = copy_untracked(finished, tmp_path / "project")
    before = checksums(project)
    victim = sorted(before)[0]
    file = store_of(project).root / victim / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    result = kedro(project, "run", "--pipeline=batchnorm")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "truncated or altered" in result.stdout
    assert result.stdout.count("(reused)") == 3
    assert checksums(project) == before


def test_a_trial_that_fails_leaves_the_others_alone_and_fails_the_run(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    command = (
        *("run", "--pipeline=dropout"),
        "--params=dropout.factors.model.dropout_rate=[0.1],dropout.claims=null,seeds=1,"
        "dropout.factors.model.fc_units=[[16],[1000000000000]],dropout.condition_name=fc_{fc_units}",
    )
    result = kedro(project, *command)
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "1 trial has failed" in output
    assert "fc_[1000000000000] seed 0: RuntimeError" in output
    assert "Traceback" not in output
    assert "(1 failed)" in result.stdout
    reports = variant(project) / "08_reporting/dropout"
    assert pd.read_csv(reports / "trial_metrics.csv")["status"].tolist() == ["finished", "failed"]
    assert (reports / "dropout_impact.png").is_file()
    only_training = kedro(project, *command, "--tags=training")
    assert only_training.returncode == 1
    assert "1 trial has failed" in only_training.stderr


def test_a_trial_that_diverges_is_recorded_and_the_study_goes_on(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    result = kedro(
        project,
        "run",
        "--pipeline=batchnorm",
        "--params=batchnorm.factors.training.optimizer.learning_rate=[0.001,1e30],seeds=1,"
        "baseline.training.optimizer=sgd,batchnorm.condition_name=bn{use_batch_norm}_lr{learning_rate},"
        "batchnorm.claims=null",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "diverged in epoch 1" in result.stdout
    assert "(1 diverged)" in result.stdout
    reports = variant(project) / "08_reporting/batchnorm"
    assert pd.read_csv(reports / "condition_summary.csv")["diverged"].sum() >= 1
    assert (reports / "batchnorm_comparison.png").is_file()


def test_comments_in_the_training_code_leave_stored_trials_valid(tmp_path: Path, finished: Path) -> None:
    project = copy_untracked(finished, tmp_path / "project")
    for package in ("data", "execution", "kernels", "parts", "study", "training"):
        for file in (project / "src/cnn_ablation" / package).glob("*.py"):
            file.write_text(file.read_text() + "\n# A comment.\n")
    result = kedro(project, "run", "--pipeline=batchnorm")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("(reused)") == 4


def test_the_store_can_be_listed_inspected_and_pruned(tmp_path: Path, finished: Path) -> None:
    project = copy_untracked(finished, tmp_path / "project")
    (store_of(project).root / ".unfinished-abcd1234").mkdir()
    oldest = next(iter(store_of(project)))
    old = age(store_of(project).fetch(oldest))
    listing = kedro(project, "trials", "list")
    assert listing.returncode == 0, listing.stderr
    assert "Mean val." in listing.stdout
    rows = {key: line for line in listing.stdout.splitlines() for key in [line[2:10]]}
    assert "older" in rows[old[:8]]
    for entry in store_of(project).entries():
        assert f"{entry.metrics['mean_val_accuracy']:.2f}" in rows[entry.key[:8]]
        assert ("current" in rows[entry.key[:8]]) == (entry.key != old)
    assert "1 unfinished or damaged" in listing.stdout
    assert "4 trials in" in listing.stdout
    assert "use_batch_norm" in listing.stdout
    key = next(iter(store_of(project)))
    shown = kedro(project, "trials", "show", key[:6])
    assert "model.dropout_rate: 0.5" in shown.stdout
    assert "val_accuracy" in shown.stdout
    missing = kedro(project, "trials", "show", "nothing")
    assert missing.returncode != 0
    assert "no trial matches 'nothing'" in missing.stderr
    pruned = kedro(project, "trials", "prune", "--yes")
    assert "Removed 1 unfinished or damaged and 0 older trials" in pruned.stdout
    pruned = kedro(project, "trials", "prune", "--older", "--yes")
    assert "Removed 0 unfinished or damaged and 1 older trials" in pruned.stdout
    training = project / "src/cnn_ablation/training/loop.py"
    training.write_text(training.read_text().replace("\nVERSION = 2\n", "\nVERSION = 3\n"))
    pruned = kedro(project, "trials", "prune", "--older", "--yes")
    assert "and 3 older trials" in pruned.stdout
    assert list(store_of(project)) == []
