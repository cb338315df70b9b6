"""Fixtures and helpers. The main one is a small project: the real code and conf with 600 real images."""

import atexit
import logging
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from cnn_ablation.adapters.tracking_store import create_database
from cnn_ablation.data import fashion_mnist
from cnn_ablation.data.splits import Arrays
from cnn_ablation.parts.architectures import ConvNet
from cnn_ablation.parts.optimizers import Adam
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.study.parameters import DataParameters, EvaluationParameters
from tests.warm_start import run_kedro

# Trials train in one thread, as they do in workers. With more, the processes of pytest-xdist compete for
# the cores, and trainings take three times as long.
torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "tests" / "fixtures" / "fashion_mnist"
SHA256 = {
    "train_images": "e8df2ecfe9e917594ce738f3f8dce351adafc77daa8de16089a9ea8818b3dc1c",
    "train_labels": "5cd13eb2065de1c56981427489efc967911b17ee5e3fdbe8f21fd2d61e1a6c65",
    "test_images": "c5778dde4e96eeb34657888930a98f527ac6b0cb35e9e969ba53f01dfce868bd",
    "test_labels": "3bf96d4b7566f51d8726eb6088e70eb796c98349a6135181dddfcc5bc590cf72",
}
JOURNAL_MODEL = ConvNet()
QUICK_TRAINING = TrainingParameters(epochs=2, batch_size=64, optimizer=Adam())
EVALUATION = EvaluationParameters(moments=2)
ALL_IMAGES = DataParameters(
    protocol="journal", train_images=None, validation_images=None, test_images=None, split_seed=0
)

JOURNAL = ("dropout", "batchnorm", "conv_depth", "pooling", "interactions", "combined")
"""Experiments of the published journal."""

STUDY = (*JOURNAL, "combined_as_published", "overall")
"""Experiments of the main study, in their order."""

STUDIES = {
    "directions": ("schedule", "optimizer", "augmentation", "initialization", "averaging"),
    "frontier": ("recipe",),
    "ablation": ("ingredients",),
    "choice": ("candidates",),
}
"""Experiments of the other studies, in their order."""

DIRECTIONS = STUDIES["directions"]

ELSEWHERE = tuple(name for names in STUDIES.values() for name in names)
"""Experiments of all studies but the main one."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

SERVER_PATIENCE = 120
"""Seconds within which a server must answer, even on a busy machine."""


LONGEST_FILES = (
    "interruption",
    "run",
    "bad_input",
    "engine",
    "browser",
    "walkthroughs",
    "image_sets",
    "demo",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slowest files first: workers run whole files, and should finish together."""
    place = {f"test_{name}.py": index for index, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session")
def raw_images() -> Arrays:
    """Load 400 training and 200 test images with their labels."""
    return fashion_mnist.load(IMAGES, SHA256, package_folders=[], mirrors=[])


@pytest.fixture(scope="session")
def baseline() -> Configuration:
    return Configuration(model=JOURNAL_MODEL, training=QUICK_TRAINING)


def clean_environment() -> dict[str, str]:
    """Environment without the MLflow and Kedro variables of other tests or of the user's shell."""
    # Kedro plugins start programs by name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "KEDRO"))}
    return kept | {"COLUMNS": "200", "PATH": path}


def kedro(
    project: Path, *arguments: str, timeout: int = 300, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a kedro command in a project, in a separate process.

    kedro-mlflow's hooks are singletons: sessions in one process would affect each other's runs.
    """
    if not environment:
        return run_kedro(arguments, project, clean_environment(), timeout)
    # The interpreter reads some variables when it starts.
    return subprocess.run(
        [sys.executable, "-m", "kedro", *arguments],
        cwd=project,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class Messages(logging.Handler):
    """Collects the messages of a logger."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """The lines that the package logs from level INFO on."""
    logger = logging.getLogger("cnn_ablation")
    handler, level = Messages(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.texts
    logger.setLevel(level)
    logger.removeHandler(handler)


@contextmanager
def served(
    *command: str, cwd: Path, health: str = "", certificate: Path | None = None, **environment: str
) -> Iterator[str]:
    """Start a server on loopback and yield its address as soon as it answers.

    Args:
        command: Python module and its arguments; the port is appended.
        cwd: Working directory of the server.
        health: Path that answers once the server is ready.
        certificate: File of the certificate with which the server encrypts, or None for plain HTTP.
        environment: Additional environment variables.
    """
    port = free_port()
    log = cwd / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", *command, str(port)],
            cwd=cwd,
            env=clean_environment() | environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    address = f"{'http' if certificate is None else 'https'}://127.0.0.1:{port}"
    trusted = None if certificate is None else ssl.create_default_context(cafile=certificate)
    try:
        deadline = time.monotonic() + SERVER_PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"{address}{health}", timeout=5, context=trusted).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def free_port() -> int:
    """A port on loopback that was free a moment ago."""
    # The system would choose a port from 49152 on, which Kedro-Viz rejects.
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def write_yaml(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")


@cache
def empty_database() -> Path:
    """MLflow's database without runs. MLflow takes seconds to create its tables."""
    file = Path(tempfile.mkdtemp()) / "mlflow.db"
    atexit.register(shutil.rmtree, file.parent)
    create_database(file)
    return file


def make_project(folder: Path) -> Path:
    """Copy the project to a folder, set up to train one epoch on the fixture's images."""
    for part in ("conf", "src"):
        shutil.copytree(
            ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "local")
        )
    # Share Numba's cache between copies: compiling takes longer than most tests.
    compiled = ROOT / "src/cnn_ablation/kernels/__pycache__"
    compiled.mkdir(exist_ok=True)
    (folder / "src/cnn_ablation/kernels/__pycache__").symlink_to(compiled)
    for file in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / file, folder / file)
    shutil.copy(empty_database(), folder / "mlflow.db")
    shutil.copytree(ROOT / "data/01_raw/journal", folder / "data/01_raw/journal")
    write_yaml(
        folder / "conf/local/catalog.yml",
        {
            "images": {
                "type": "cnn_ablation.datasets.FashionMNISTDataset",
                "path": str(IMAGES),
                "sha256": SHA256,
            }
        },
    )
    write_yaml(
        folder / "conf/local/parameters.yml",
        {
            "data": {"train_images": 100, "validation_images": 50},
            "seeds": [0, 1],
            "baseline": {"training": {"epochs": 1}},
            # Epochs have two steps.
            "evaluation": EVALUATION.model_dump(),
            "combined_as_published": {
                "fixed": {"training": {"epochs": 1}},
                "conditions": {"combined_optimal_aggressive_dropout": {"training": {"batch_size": 64}}},
            },
            # A second worker takes longer to start than these trials take to train.
            "execution": {"workers": 1},
        },
    )
    return folder


def variant(project: Path) -> Path:
    """The folder of results of the only variant in a project."""
    (folder,) = project.glob("data/variants/*")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that the tests of a module share, including the results of earlier tests."""
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def full_data() -> Path:
    """Folder with all of Fashion-MNIST. Skips the test if the data is not on this machine."""
    for folder in (ROOT / "data/01_raw/fashion_mnist", *fashion_mnist.PACKAGE_FOLDERS):
        if all((folder / f"{name}.gz").is_file() for name in fashion_mnist.FILES.values()):
            return folder
    pytest.skip("Fashion-MNIST is not on this machine; get it with `make data`")
