"""A study on a cluster of several hosts, over a network that delays, loses and interrupts."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, clean_environment, write_yaml
from tests.reliability.harness import (
    PATIENCE,
    RUN,
    TRIALS,
    checksums,
    make_longer_project,
    run_to_the_end,
)
from tests.reliability.network import Network, unavailable

PORT = "8786"
HOSTS = ["head", "scheduler", "worker-1", "worker-2"]

GIVE_UP = "12s"
"""Time after which Dask closes a connection whose packets are not acknowledged."""

ENVIRONMENT = clean_environment() | {
    "PYTHONPATH": str(ROOT / "src"),
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": GIVE_UP,
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
}


@pytest.fixture
def network() -> Iterator[Network]:
    if reason := unavailable():
        pytest.skip(reason)
    with Network(HOSTS, latency=0.02, loss=0.01) as network:
        yield network


@contextmanager
def running(command: list[str], folder: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=ENVIRONMENT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(condition: Callable[[], bool], run: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition() and run.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_study_survives_a_bad_network(network: Network, tmp_path: Path) -> None:
    undisturbed = make_longer_project(tmp_path / "undisturbed")
    run_to_the_end(undisturbed)
    project = make_longer_project(tmp_path / "project")
    file = project / "conf/local/parameters.yml"
    address = f"tcp://{network.address('scheduler')}:{PORT}"
    parameters = yaml.safe_load(file.read_text())
    parameters["execution"] = {"scheduler": address, "device": "cpu", "precision": "fp32"}
    write_yaml(file, parameters)

    dask = [sys.executable, "-m", "dask"]
    scheduler = [*dask, "scheduler", "--host", network.address("scheduler"), "--port", PORT]
    workers = [
        [*dask, "worker", address, "--host", network.address(host), "--nthreads", "1"]
        for host in HOSTS[2:]
    ]
    with (
        running(
            network.on("scheduler", *scheduler, "--no-dashboard"), tmp_path, tmp_path / "scheduler.log"
        ),
        running(
            network.on("worker-1", *workers[0], "--no-dashboard"), tmp_path, tmp_path / "worker-1.log"
        ),
        running(
            network.on("worker-2", *workers[1], "--no-dashboard"), tmp_path, tmp_path / "worker-2.log"
        ),
        running(network.on("head", *RUN), project, tmp_path / "run.log") as run,
    ):
        wait_until(lambda: len(checksums(project)) >= 1, run)
        # Longer than Dask waits, so that a worker is lost and comes back.
        network.cut_off("worker-1")
        time.sleep(20)
        network.heal("worker-1")
        wait_until(lambda: False, run)
        output = (tmp_path / "run.log").read_text()
        assert run.returncode == 0, output
    assert len(checksums(project)) == TRIALS
    assert checksums(project) == checksums(undisturbed)
    assert network.carried > 1000
    assert network.lost > 10
