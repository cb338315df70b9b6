"""A cluster on this machine: nobody else gets in, and nothing that happens to a worker ends the run."""

import gc
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
import pytest
from distributed import Client

from cnn_ablation.data import fashion_mnist
from cnn_ablation.data.splits import Arrays, split_images, summarize_splits
from cnn_ablation.errors import AblationError, ClusterError
from cnn_ablation.execution import engine as engine_module
from cnn_ablation.execution.cluster import connect
from cnn_ablation.execution.engine import Engine
from cnn_ablation.execution.progress import StudyProgress
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.execution.worker import TrialData
from cnn_ablation.study.configuration import TrainingParameters
from cnn_ablation.study.parameters import ExecutionParameters, TlsParameters
from cnn_ablation.study.trials import Condition, Trial
from cnn_ablation.training.results import TrainedTrial
from tests.conftest import ALL_IMAGES, EVALUATION, JOURNAL_MODEL, QUICK_TRAINING, ROOT, clean_environment
from tests.execution.test_store import TRAINED

LOCAL = ExecutionParameters.model_validate(
    {
        "device": "cpu",
        "precision": "fp32",
        "layers": "fast",
        "workers": 1,
        "scheduler": None,
        "tls": None,
    }
)
NOBODY = 65534


@pytest.fixture
def before() -> set[int]:
    """Ports on which this process listened before the test."""
    return listening()


@pytest.fixture
def client(before: set[int]) -> Iterator[Client]:
    client = connect(LOCAL, "cpu", trials=1)
    assert client.cluster is not None
    with client.cluster, client:
        yield client


def listening() -> set[int]:
    this = psutil.Process()
    return {
        connection.laddr.port
        for process in [this, *this.children(recursive=True)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }


def addresses(client: Client) -> list[str]:
    """Addresses of the scheduler, of its worker and of the worker's nanny."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return [client.cluster.scheduler_address, *workers, *(w["nanny"] for w in workers.values())]  # type: ignore[union-attr]


INTRUDER = """
import asyncio, os, sys
from distributed import Security
from distributed.comm import connect

async def attempt(address, security):
    try:
        comm = await connect(address, timeout=3, **security.get_connection_args("client"))
        await comm.write({"op": "identity", "reply": True})
        return f"{address} answers {await comm.read()}"
    except OSError:
        return "refused"

async def attempts():
    plain, encrypted = Security(), Security.temporary()
    ways = [(a, encrypted) for a in sys.argv[2:]]
    ways += [(a.replace("tls:", "tcp:"), plain) for a in sys.argv[2:]]
    return await asyncio.gather(*(attempt(*way) for way in ways))

os.setuid(int(sys.argv[1]))
print(*asyncio.run(attempts()), sep="\\n")
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="this system has no user numbers")
@pytest.mark.parametrize("who", ["another user", "the same user without the certificate"])
def test_strangers_cannot_talk_to_any_part_of_the_cluster(client: Client, who: str) -> None:
    if who == "another user" and os.getuid() != 0:
        pytest.skip("only root can become another user")
    user = NOBODY if who == "another user" else os.getuid()
    asked = addresses(client)
    assert len(asked) == 3
    program = [sys.executable, "-c", INTRUDER, str(user), *asked]
    answers = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert answers.splitlines() == ["refused"] * 6


def test_only_the_documented_ports_listen(client: Client, before: set[int]) -> None:
    expected = {int(address.rpartition(":")[2]) for address in addresses(client)}
    deadline = time.monotonic() + 10
    while (found := listening() - before) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == expected, "the scheduler, workers and nannies only: no web pages"


def test_settings_for_other_clusters_do_not_end_the_local_one() -> None:
    own = {
        "distributed.scheduler.idle-timeout": "1h",
        "distributed.worker.lifetime.duration": "1h",
        "distributed.nanny.environ": {"OMP_NUM_THREADS": 7},
    }
    with dask.config.set(own):
        client = connect(LOCAL, "cpu", trials=1)
        assert client.cluster is not None
        with client.cluster, client:
            (settings,) = client.run(lambda: [dask.config.get(name) for name in own]).values()
            assert settings == [None, None, {}]
            assert not client.cluster.scheduler.idle_timeout
        assert dask.config.get("distributed.scheduler.idle-timeout") == "1h"


def test_code_is_never_imported_from_a_folder_that_others_can_write_to() -> None:
    others = set(sys.path)
    client = connect(LOCAL, "cpu", trials=1)
    assert client.cluster is not None
    with client.cluster, client:
        (paths,) = client.run(lambda: sys.path).values()
        added = {Path(path) for path in {*sys.path, *paths} - others if "dask" in path}
        assert added
        shared = Path(tempfile.gettempdir())
        private = {next(p for p in (path, *path.parents) if p.parent == shared) for path in added}
        assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o700]
    del client
    gc.collect()
    assert not any(path.exists() for path in private), "scratch folders are removed with the cluster"


def test_a_cluster_that_cannot_start_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(ClusterError, match=r"No workers can be started on this machine .*missing"):
        connect(LOCAL, "cpu", trials=1)


@pytest.mark.parametrize(
    ("scheduler", "tls", "message"),
    [
        ("tcp://[::1:80", None, r"execution\.scheduler: 'tcp://\[::1:80' is not an address"),
        (
            "tls://127.0.0.1:8786",
            TlsParameters(ca_file="nowhere.pem", cert="c.pem", key="k.pem"),
            r"execution\.tls\.ca_file: nowhere\.pem cannot be read: No such file",
        ),
    ],
)
def test_a_scheduler_that_cannot_be_addressed_is_named(
    scheduler: str, tls: TlsParameters | None, message: str
) -> None:
    remote = LOCAL.model_copy(update={"scheduler": scheduler, "tls": tls, "workers": None})
    with pytest.raises(AblationError, match=message):
        connect(remote, "cpu", trials=1)


def spawned() -> list[psutil.Process]:
    found = []
    # Direct children only: a worker forks for a moment, and its copy has the same command line.
    for child in psutil.Process().children():
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no masks of signals")
def test_workers_ignore_interrupts_from_their_first_moment(capfd: pytest.CaptureFixture[str]) -> None:
    started = threading.Event()
    interrupted: set[int] = set()

    def interrupt() -> None:
        while not started.is_set():
            for worker in spawned():
                worker.send_signal(signal.SIGINT)
                interrupted.add(worker.pid)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        client = connect(LOCAL, "cpu", trials=1)
    finally:
        started.set()
        thread.join()
    assert client.cluster is not None
    with client.cluster, client:
        assert set(client.run(os.getpid).values()) == interrupted
    assert "Traceback" not in capfd.readouterr().err


SCRIPT = """
import os
from cnn_ablation.execution import engine as engine_module
from cnn_ablation.execution.cluster import connect
from cnn_ablation.study.parameters import ExecutionParameters, TlsParameters

def twice(number):
    return 2 * number

print("begins")
client = connect(ExecutionParameters.model_validate_json(os.environ["EXECUTION"]), "cpu", 1)
print(client.submit(twice, 21).result())
client.close()
client.cluster.close()
"""


@pytest.mark.parametrize("how", ["script", "module"])
def test_a_script_needs_no_main_guard(tmp_path: Path, how: str) -> None:
    (tmp_path / "study.py").write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, *(["study.py"] if how == "script" else ["-m", "study"])],
        cwd=tmp_path,
        env=clean_environment()
        | {"PYTHONPATH": str(ROOT / "src"), "EXECUTION": LOCAL.model_dump_json()},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, ["begins", "42"], "")


class Deadly(np.ndarray):
    """Kills the process that receives it, as often as lines are missing in a file."""

    file: Path
    deaths: int

    def __reduce__(self) -> Any:
        return receive, (np.asarray(self), self.file, self.deaths)


def receive(array: Arrays, file: Path, deaths: int) -> Any:
    with file.open("a+") as lines:
        lines.seek(0)
        if len(lines.readlines()) < deaths:
            lines.write("dead\n")
            lines.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    return array


def deadly_data(raw_images: Arrays, file: Path, deaths: int) -> TrialData:
    arrays = split_images(raw_images, ALL_IMAGES)
    summary = summarize_splits(arrays, list(fashion_mnist.CLASS_NAMES))
    name = "train_images"
    images = arrays[name].view(Deadly)
    images.file, images.deaths = file, deaths
    return TrialData({**arrays, name: images}, summary)


def nothing_trained(*_: object) -> TrainedTrial:
    return TRAINED


TRIAL = Trial(
    condition=Condition(
        name="c",
        levels={},
        model=JOURNAL_MODEL,
        training=TrainingParameters.model_validate(QUICK_TRAINING.model_dump()),
    ),
    seed=0,
)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(StudyProgress(), nothing_trained)
    yield engine
    engine.close()


def test_the_data_is_sent_again_if_a_worker_dies_meanwhile(
    tmp_path: Path, raw_images: Arrays, engine: Engine
) -> None:
    data = deadly_data(raw_images, tmp_path / "deaths", deaths=1)
    (outcome,) = engine.train([TRIAL], data, TrialStore(tmp_path / "store"), LOCAL, EVALUATION)
    assert outcome.error == ""
    assert (tmp_path / "deaths").read_text() == "dead\n"


def test_data_that_no_worker_can_hold_is_a_clear_error(
    tmp_path: Path, raw_images: Arrays, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "SENDS", 2)
    monkeypatch.setattr(engine_module, "JOIN_TIMEOUT", 5)
    data = deadly_data(raw_images, tmp_path / "deaths", deaths=10**6)
    lost = r"Workers were lost 2 times .* lower execution\.workers"
    with pytest.raises(ClusterError, match=lost):
        list(engine.train([TRIAL], data, TrialStore(tmp_path / "store"), LOCAL, EVALUATION))
