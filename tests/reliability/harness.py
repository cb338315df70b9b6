"""Disturb a study at random moments, let it finish, and compare its trials with an undisturbed study's.

    make soak                                            # an hour
    PYTHONPATH=src .venv/bin/python -m tests.reliability.harness --minutes 5 --seed 1 --only worker

Each attempt copies a small project, starts `kedro run`, disturbs one of its processes or its disk, and
repeats the command until it succeeds. The moment is drawn uniformly from the time that the undisturbed
run takes. The table counts, per disturbance, the trials that were lost, trained again although they had
been stored, and different from those of the undisturbed run.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import psutil

from cnn_ablation.execution.store import TrialStore
from tests.conftest import ROOT, clean_environment, free_port, make_project, write_yaml

RUN = [sys.executable, "-m", "kedro", "run", "--pipeline=batchnorm"]
TRIALS = 6

PAUSE = 5.0
"""Seconds between SIGSTOP and SIGCONT, and for which a disk stays full or read-only."""

PATIENCE = 300.0
"""Seconds within which a run must end."""

RESTARTS = 3
"""Number of times that the command is repeated until it succeeds."""


def make_longer_project(folder: Path) -> Path:
    """A project whose trials take a second or two, so that they can be interrupted."""
    project = make_project(folder)
    write_yaml(
        project / "conf/local/parameters.yml",
        {
            "data": {"train_images": 400, "validation_images": 50},
            "seeds": [0, 1, 2],
            "baseline": {"training": {"epochs": 12}},
            "evaluation": {"moments": 5},
            "execution": {"workers": 2},
        },
    )
    return project


def start(
    project: Path, stdout: int = subprocess.PIPE, stderr: int = subprocess.STDOUT
) -> "subprocess.Popen[str]":
    """Start a run in a session of its own."""
    return subprocess.Popen(
        RUN,
        cwd=project,
        env=clean_environment() | {"TERM": "xterm"},
        text=True,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def store_of(project: Path) -> TrialStore:
    """The project's store of trials."""
    return TrialStore(project / "data/06_models/trials")


def checksums(project: Path) -> dict[str, dict[str, str]]:
    """Checksums of the files of each stored trial, by key."""
    return {
        key: json.loads((store_of(project).root / key / "manifest.json").read_text())["sha256"]
        for key in store_of(project)
    }


def processes_of(leader: int) -> list[int]:
    """Other processes in the session of a run."""
    return [
        process.pid
        for process in psutil.process_iter()
        if process.pid != leader and process.is_running() and _session(process.pid) == leader
    ]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


@dataclass(frozen=True)
class Disturbance:
    """What happens to a study.

    Args:
        target: `run`, `worker`, `nanny`, `scheduler`, or `disk`.
        what: A signal's name without SIG, or `full` or `read-only` for the disk.
    """

    target: str
    what: str

    @property
    def needs_cluster(self) -> bool:
        """Whether the scheduler and the nannies are processes of their own."""
        return self.target in ("nanny", "scheduler")


DISTURBANCES = [
    *(Disturbance("run", what) for what in ("KILL", "TERM", "INT", "HUP", "STOP")),
    *(Disturbance("worker", what) for what in ("KILL", "TERM", "INT", "STOP")),
    *(Disturbance("nanny", what) for what in ("KILL", "TERM", "STOP")),
    *(Disturbance("scheduler", what) for what in ("KILL", "TERM", "STOP")),
    *(Disturbance("disk", what) for what in ("full", "read-only")),
]


class Outcome(NamedTuple):
    """What became of a disturbed study's trials, and of its processes."""

    lost: int
    retrained: int
    differing: int
    missing: int
    processes_left: int
    restarts: int


class Cluster:
    """A scheduler, and a nanny with two workers. Like a supervisor, it starts again what has ended."""

    def __init__(self, folder: Path) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def ensure(self) -> None:
        """Start what does not run."""
        port = self.address.rpartition(":")[2]
        commands = {
            "scheduler": ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"],
            "nanny": ["worker", self.address, "--nthreads", "1", "--nworkers", "2", "--no-dashboard"],
        }
        for name, command in commands.items():
            if name not in self._processes or self._processes[name].poll() is not None:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "dask", *command],
                    cwd=self._folder,
                    env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    def pid(self, name: str) -> int:
        """Process of the scheduler or the nanny."""
        return self._processes[name].pid

    def stop(self) -> None:
        """Kill all processes."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a file system of 64 MiB at a folder. Needs the right to mount, or raises an OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise PermissionError("this user or container cannot mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Fill the file system of a folder for a while."""
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(2**12))
            file.flush()
    time.sleep(PAUSE)
    ballast.unlink()


def write_protect(folder: Path) -> None:
    """Make the file system of a folder read-only for a while."""
    protect = ["mount", "-o", "remount,ro", str(folder)]
    deadline = time.monotonic() + PAUSE
    while subprocess.run(protect, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            return  # A file is open for writing all the time.
    time.sleep(PAUSE)
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def disturb(
    disturbance: Disturbance, run: "subprocess.Popen[str]", project: Path, cluster: Cluster | None
) -> None:
    """Disturb a run, unless it has ended."""
    if disturbance.target == "disk":
        {"full": fill, "read-only": write_protect}[disturbance.what](project / "data/06_models")
        return
    number = getattr(signal, f"SIG{disturbance.what}")
    if disturbance.target == "run":
        # Ctrl-C reaches every process of the terminal's foreground group.
        signaller: Callable[[int, int], None] = os.killpg if number == signal.SIGINT else os.kill
        victim = run.pid
    elif disturbance.target == "worker":
        workers: list[int] = []
        while not workers and run.poll() is None:
            workers = [pid for pid in processes_of(run.pid) if is_worker(pid)]
            time.sleep(0.05)
        if not workers:
            return
        signaller, victim = os.kill, workers[0]
    else:
        assert cluster is not None
        signaller, victim = os.kill, cluster.pid(disturbance.target)
    with suppress(ProcessLookupError):
        signaller(victim, number)
        if number == signal.SIGSTOP:
            time.sleep(PAUSE)
            os.kill(victim, signal.SIGCONT)


def is_worker(pid: int) -> bool:
    """Whether a process of a run trains."""
    with suppress(psutil.Error):  # It may have ended, or be a zombie.
        return any("spawn_main" in argument for argument in psutil.Process(pid).cmdline())
    return False


def attempt(
    project: Path,
    disturbance: Disturbance,
    moment: float,
    expected: dict[str, dict[str, str]],
    cluster: Cluster | None = None,
) -> Outcome:
    """Disturb a study once and let it finish.

    Args:
        project: A project without trials.
        disturbance: What happens.
        moment: Seconds after the start.
        expected: Checksums of the undisturbed study.
        cluster: Where the study trains, or None for its own workers.
    """
    left = 0
    before: dict[str, float] = {}
    for restarts in range(RESTARTS + 1):
        if cluster is not None:
            cluster.ensure()
        with tempfile.TemporaryFile("w+") as output:
            run = start(project, stdout=output.fileno(), stderr=subprocess.STDOUT)
            if restarts == 0:
                with suppress(subprocess.TimeoutExpired):
                    run.wait(moment)
                before = times(project)
                disturb(disturbance, run, project, cluster)
            deadline = time.monotonic() + PATIENCE
            while (code := run.poll()) is None:
                if time.monotonic() > deadline:
                    os.killpg(run.pid, signal.SIGKILL)
                    output.seek(0)
                    raise TimeoutError(f"{disturbance} at {moment:.1f} s:\n{output.read()}")
                if cluster is not None:
                    cluster.ensure()
                time.sleep(0.1)
        left += wait_for_end(run.pid)
        if restarts == 0:
            after = times(project)
        if code == 0:
            break
    final, found = times(project), checksums(project)
    return Outcome(
        lost=len(before.keys() - after.keys()),
        retrained=sum(final.get(key) != when for key, when in after.items()),
        differing=sum(found[key] != expected.get(key) for key in found),
        missing=len(expected.keys() - found.keys()),
        processes_left=left,
        restarts=restarts,
    )


def times(project: Path) -> dict[str, float]:
    """When each trial was stored, by key."""
    store = store_of(project)
    return {key: (store.root / key / "manifest.json").stat().st_mtime for key in store}


def wait_for_end(leader: int) -> int:
    """Wait until the processes of a run have ended; kill and count those that do not end."""
    deadline = time.monotonic() + 30
    while left := processes_of(leader):
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return len(left)
        time.sleep(0.1)
    return 0


def soak(minutes: float, seed: int, only: str) -> pd.DataFrame:
    """Disturb studies in turn for a time; a row per attempt."""
    draw = random.Random(seed)
    end = time.monotonic() + 60 * minutes
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cnn-ablation-soak-")))
        cluster = Cluster(folder)
        stack.callback(cluster.stop)
        reference = make_longer_project(folder / "reference")
        run_to_the_end(reference)  # Compiles.
        shutil.rmtree(store_of(reference).root)
        seconds = run_to_the_end(reference)
        expected = checksums(reference)
        assert len(expected) == TRIALS
        print(f"The undisturbed run takes {seconds:.1f} s.", flush=True)
        chosen = [each for each in DISTURBANCES if only in (each.target, "")]
        while time.monotonic() < end:
            disturbance = chosen[len(rows) % len(chosen)]
            moment = draw.uniform(0, seconds)
            project = make_longer_project(folder / "project")
            try:
                with ExitStack() as mounted:
                    if disturbance.target == "disk":
                        mounted.enter_context(small_disk(project / "data/06_models"))
                    if disturbance.needs_cluster:
                        use_cluster(project, cluster)
                    outcome = attempt(
                        project,
                        disturbance,
                        moment,
                        expected,
                        cluster if disturbance.needs_cluster else None,
                    )
            except PermissionError as error:
                print(f"{disturbance.target} {disturbance.what}: left out, because {error}")
                chosen.remove(disturbance)
                continue
            finally:
                shutil.rmtree(project, ignore_errors=True)
            rows.append({"disturbance": f"{disturbance.target} {disturbance.what}", **outcome._asdict()})
            print(f"{rows[-1]} at {moment:.1f} s", flush=True)
    return pd.DataFrame(rows)


def use_cluster(project: Path, cluster: Cluster) -> None:
    """Let a project train on a cluster."""
    import yaml

    file = project / "conf/local/parameters.yml"
    parameters = yaml.safe_load(file.read_text())
    parameters["execution"] = {"scheduler": cluster.address, "device": "cpu", "precision": "fp32"}
    write_yaml(file, parameters)


def run_to_the_end(project: Path) -> float:
    """Run a study undisturbed and return the seconds that it takes."""
    begin = time.monotonic()
    if start(project, stdout=subprocess.DEVNULL).wait(PATIENCE):
        raise RuntimeError("the undisturbed run has failed")
    return time.monotonic() - begin


def main() -> int:
    """Print a table with a row per disturbance. The exit code is 1 if a trial was lost or differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="disturb only run, worker, nanny, scheduler or disk")
    options = parser.parse_args()
    rows = soak(options.minutes, options.seed, options.only)
    grouped = rows.groupby("disturbance", sort=False)
    table = grouped.sum().assign(moments=grouped.size())
    table = pd.concat([table, table.sum().to_frame("all").T])
    columns = ["moments", *Outcome._fields]
    print(f"\n| disturbance | {' | '.join(columns).replace('_', ' ')} |")
    print(f"| --- |{' ---: |' * len(columns)}")
    for name, row in table[columns].iterrows():
        print(f"| {name} | {' | '.join(map(str, row))} |")
    bad = ["lost", "retrained", "differing", "missing", "processes_left"]
    return int(table.loc["all", bad].sum() > 0)


if __name__ == "__main__":
    sys.exit(main())
