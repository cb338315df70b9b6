"""Private names of other libraries are used only in workarounds.py, and are as it expects them."""

import ast
import importlib
import inspect
import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kedro_datasets.json
import kedro_datasets.matplotlib
import kedro_datasets.pandas
import pytest
import torch
from distributed.nanny import WorkerProcess
from kedro.io import AbstractDataset, DataCatalog
from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from cnn_ablation.datasets import (
    CSVDataset,
    FigureDataset,
    MlflowChapterDataset,
    MlflowModelDataset,
    MlflowRegisteredModelDataset,
    MlflowTrialRunsDataset,
    TrialsDataset,
)
from cnn_ablation.workarounds import (
    DASK_WORKER,
    cpu_multiplies_bf16,
    cpu_prefers_bf16,
    light_optimizer,
    stop_kedro_mlflow,
)
from tests.conftest import ROOT, clean_environment

SOURCES = ROOT / "src"
WORKAROUNDS = "cnn_ablation.workarounds"
DOCUMENTED = {"_describe", "_exists", "_exit"}
"""Methods that Kedro documents for authors of datasets, and `os._exit`."""


def module_of(file: Path) -> str:
    parts = file.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def names_of_its_own(tree: ast.Module) -> Iterator[str]:
    """Names that the module defines, including attributes that it sets."""
    extended = {node.target for node in ast.walk(tree) if isinstance(node, ast.AugAssign)}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()) if node not in extended:
                yield name


def uses(tree: ast.Module) -> Iterator[str]:
    """Names of attributes and imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield name
            case ast.ImportFrom(module=module, names=names):
                yield from (module or "").split(".")
                yield from (alias.name for alias in names)


def overridden(module: str, tree: ast.Module) -> Iterator[str]:
    """Private members of the module's classes that a class of another library has too."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        kind = getattr(importlib.import_module(module), node.name)
        bases = [base for base in kind.__mro__ if not base.__module__.startswith("cnn_ablation")]
        for name in filter(is_private, {*names_of_its_own(ast.Module(node.body, []))}):
            if any(name in vars(base) for base in bases) and name not in DOCUMENTED:
                yield f"{node.name}.{name}"


def test_only_the_workarounds_use_private_names_of_other_libraries() -> None:
    trees = {module_of(file): ast.parse(file.read_text()) for file in SOURCES.rglob("*.py")}
    own = {name for tree in trees.values() for name in names_of_its_own(tree)}
    found = {
        module: [
            *(name for name in uses(tree) if is_private(name) and name not in {*own, *DOCUMENTED}),
            *overridden(module, tree),
        ]
        for module, tree in trees.items()
        if module != WORKAROUNDS
    }
    assert {module: names for module, names in found.items() if names} == {}


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD, RMSprop])
def test_light_optimizers_update_weights_as_pytorchs_do(kind: type[Optimizer]) -> None:
    def trained(optimizer_kind: object) -> list[torch.Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = optimizer_kind(network.parameters(), lr=0.1, weight_decay=0.01)  # type: ignore[operator]
        for _ in range(3):
            optimizer.zero_grad()
            network(torch.randn(5, 4)).square().sum().backward()
            optimizer.step()
        return [weight.detach() for weight in network.parameters()]

    pairs = zip(trained(kind), trained(light_optimizer(kind)), strict=True)
    assert all(torch.equal(expected, actual) for expected, actual in pairs), (
        f"light_optimizer changes what {kind.__name__} computes: this release of PyTorch decorates "
        "`step` with more than torch.no_grad. Repeat what its decorators do in light_optimizer"
    )


IMPORTS = """
import json, sys
import torch
from cnn_ablation.workarounds import light_optimizer

def imports_the_compiler(kind):
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    kind([weight], lr=0.1).step()
    return "torch._dynamo" in sys.modules

kinds = light_optimizer(torch.optim.Adam), torch.optim.Adam
print(json.dumps([imports_the_compiler(kind) for kind in kinds]))
"""


def test_light_optimizers_do_not_import_the_compiler() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        env=clean_environment() | {"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    light, usual = json.loads(printed)
    assert not light, (
        "light_optimizer imports torch.compile: this release of PyTorch imports it in another method "
        "of its optimizers, which light_optimizer has to replace too"
    )
    assert usual, (
        "torch.optim.Adam no longer imports torch.compile: light_optimizer is not needed with this "
        "release of PyTorch"
    )


def test_pytorch_reports_whether_the_cpu_multiplies_bf16() -> None:
    assert hasattr(torch.cpu, "_is_avx512_bf16_supported"), (
        "this release of PyTorch has no torch.cpu._is_avx512_bf16_supported: use "
        'torch.cpu.get_capabilities()["avx512_bf16"] in cpu_multiplies_bf16'
    )
    if hasattr(torch.cpu, "get_capabilities"):
        expected = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
        assert cpu_multiplies_bf16() == expected


def test_bf16_is_preferred_only_where_it_can_be_multiplied() -> None:
    assert hasattr(torch.cpu, "_is_amx_tile_supported")
    assert cpu_multiplies_bf16() or not cpu_prefers_bf16()


def test_kedro_mlflow_switches_tracking_off_in_every_dataset_that_tracks() -> None:
    datasets: dict[str, Any] = {
        "chapter": MlflowChapterDataset(filepath="chapter.json"),
        "model": MlflowModelDataset("network"),
        "registered": MlflowRegisteredModelDataset("network"),
        "runs": MlflowTrialRunsDataset("runs.csv", "dropout"),
    }
    hook = MlflowHook()
    hook.mlflow_config = KedroMlflowConfig.model_validate(
        {"tracking": {"disable_tracking": {"pipelines": ["untracked"]}}}
    )
    assert all(dataset.tracking_enabled for dataset in datasets.values())
    hook.before_pipeline_run({"pipeline_names": ["untracked"]}, None, DataCatalog(datasets))
    tracking = [name for name, dataset in datasets.items() if dataset.tracking_enabled]
    assert not tracking, (
        f"kedro-mlflow leaves tracking on in {tracking}: this release no longer sets "
        "_logging_activated on datasets whose class name begins with Mlflow. Read "
        "kedro_mlflow/io/catalog/switch_catalog_logging.py and correct TrackingSwitch"
    )


def test_kedro_mlflow_can_be_stopped_during_a_run() -> None:
    hook = MlflowHook()
    hook.run_id, hook._is_mlflow_enabled = "run", True
    stop_kedro_mlflow(hook)
    # Each of these would otherwise fail, because there is no such run and no configuration.
    hook.before_node_run(None, None, {"params:seeds": 1}, False)
    hook.after_pipeline_run({}, None, DataCatalog({}))
    hook.on_pipeline_error(ValueError(), {}, None, DataCatalog({}))


QUEUE = """
import multiprocessing, os, sys
from cnn_ablation.workarounds import release_semaphores

queue = multiprocessing.get_context("spawn").Queue()
if sys.argv[1] == "released":
    release_semaphores()
os._exit(0)
"""


@pytest.mark.parametrize(("semaphores", "complains"), [("kept", True), ("released", False)])
def test_pythons_resource_tracker_complains_of_semaphores(semaphores: str, complains: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", QUEUE, semaphores],
        env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("resource_tracker" in ended.stderr) == complains, (
        "this Python does not complain of semaphores that os._exit leaves: drop release_semaphores"
        if complains
        else "multiprocessing.util._run_finalizers(0) no longer releases semaphores: correct "
        f"release_semaphores\n{ended.stderr}"
    )


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (TrialsDataset, kedro_datasets.json.JSONDataset),
        (CSVDataset, kedro_datasets.pandas.CSVDataset),
        (FigureDataset, kedro_datasets.matplotlib.MatplotlibDataset),
    ],
)
def test_previews_have_the_type_names_that_kedro_viz_expects(
    own: type[AbstractDataset[Any, Any]], theirs: type[AbstractDataset[Any, Any]]
) -> None:
    assert preview_type(own) == preview_type(theirs), (
        f"kedro-datasets calls the preview of {theirs.__name__} {preview_type(theirs)} now: give "
        f"{own.__name__}.preview a type of that name"
    )


def preview_type(kind: type[Any]) -> str:
    """Name of the type that Kedro-Viz chooses a view by, read as Kedro-Viz reads it."""
    annotation = inspect.signature(kind.preview).return_annotation
    return getattr(annotation, "__name__", str(annotation))


def test_dask_starts_its_workers_under_the_known_name() -> None:
    assert DASK_WORKER in inspect.getsource(WorkerProcess), (
        "this release of Dask gives the processes of its workers another name: take it over in "
        "DASK_WORKER. tests/execution/test_cluster.py tries what start_workers_apart does"
    )


LOOP = """
import numpy as np
from cnn_ablation.kernels.compilation import compiled

@compiled("test")
def double(numbers):
    for i in range(len(numbers)):
        numbers[i] = 2 * numbers[i]

numbers = np.arange(3.0)
double(numbers)
result = numbers.tolist(), len(double.stats.cache_hits)
"""


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Compile a loop as a new process would; returns its result and how many loops were cached."""
    (tmp_path / "home").mkdir()
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "program.py").write_text(LOOP)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return lambda: runpy.run_path(str(tmp_path / "program" / "program.py"))["result"]


COMPILED, FROM_CACHE = ([0.0, 2.0, 4.0], 0), ([0.0, 2.0, 4.0], 1)
CACHE_BREAKS = (
    "this release of Numba reads or writes its cache in another way: read numba/core/caching.py and "
    "mend cache_on_disk"
)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def garble(file: Path) -> None:
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    file.write_bytes(content)


def fill_with_text(file: Path) -> None:
    file.write_text("no cache\n")


def make_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        *((".nbi", damage) for damage in (empty, truncate, garble, fill_with_text, make_a_folder)),
        *((".nbc", damage) for damage in (empty, truncate, garble, fill_with_text, remove)),
    ],
)
def test_a_broken_cache_is_made_anew(
    tmp_path: Path, cached: Callable[[], object], suffix: str, damage: Callable[[Path], None]
) -> None:
    assert cached() == COMPILED
    (file,) = (tmp_path / "program" / "__pycache__").glob(f"*{suffix}")
    damage(file)
    assert cached() == COMPILED, CACHE_BREAKS
    if damage is not make_a_folder:  # Numba cannot write there; it compiles each time.
        assert cached() == FROM_CACHE, CACHE_BREAKS


def test_nothing_is_cached_where_no_folder_can_be_written_to(
    tmp_path: Path, cached: Callable[[], object]
) -> None:
    # Files where Numba wants folders: unlike a folder's mode, they stop root too.
    (tmp_path / "program" / "__pycache__").write_text("")
    (tmp_path / "home" / ".cache").write_text("")
    assert [cached(), cached()] == [COMPILED, COMPILED], CACHE_BREAKS
