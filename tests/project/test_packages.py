"""The packages: what they may import, and that their imports form no cycle."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCE = ROOT / "src/cnn_ablation"
EDGE = (
    "adapters",
    "cli",
    "datasets",
    "pipeline_registry",
    "pipelines",
    "serving",
    "settings",
    "__main__",
)
"""Packages and modules that may import Kedro and MLflow."""


PACKAGES = sorted(folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists())


def imports_of(file: Path) -> Iterator[str]:
    """Names of the modules that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(file: Path) -> str:
    """The package, or the module of the top level, that a file belongs to."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_only_the_edge_imports_kedro_and_mlflow() -> None:
    found = {
        f"{file.relative_to(SOURCE)}: {name}"
        for file in SOURCE.rglob("*.py")
        if package_of(file) not in EDGE
        for name in imports_of(file)
        if name.split(".")[0] in ("kedro", "kedro_mlflow", "kedro_datasets", "mlflow")
    }
    assert not found


def test_imports_between_packages_form_no_cycle() -> None:
    packages = {package_of(file) for file in SOURCE.rglob("*.py")}
    graph: dict[str, set[str]] = {package: set() for package in packages}
    for file in SOURCE.rglob("*.py"):
        own = [name.split(".") for name in imports_of(file) if name.startswith("cnn_ablation.")]
        graph[package_of(file)] |= {parts[1] for parts in own} & packages - {package_of(file)}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the packages


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_belongs_there(package: str) -> None:
    assert ast.get_docstring(ast.parse((SOURCE / package / "__init__.py").read_text()))


CORE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError(name)

sys.meta_path.insert(0, Blocker())
import torch
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.training.training_data import TrainingData
from cnn_ablation.training.loop import train

images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
labels = torch.arange(40) % 4
data = TrainingData(images, labels, images, labels, torch.tensor([0.5]), torch.tensor([0.25]))
configuration = Configuration.model_validate(
    {{"model": "convnet", "training": {{"epochs": 1, "batch_size": 10, "optimizer": "adam"}}}}
)
print(len(train(configuration, 0, data, 4).measurements.history))
"""
BLOCKED = (
    *("kedro", "kedro_datasets", "kedro_mlflow", "mlflow", "dask", "distributed", "pandas", "scipy"),
    *(
        "sklearn",
        "statsmodels",
        "matplotlib",
        "PIL",
        "torchvision",
        "rich",
        "jinja2",
        "yaml",
        "safetensors",
    ),
)


def test_the_training_core_needs_only_torch_numpy_numba_and_pydantic() -> None:
    result = subprocess.run(
        [sys.executable, "-c", CORE.format(blocked=BLOCKED)],
        cwd=ROOT / "src",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "1", result.stderr
