"""The pipelines are complete, typed, and persist every dataset."""

import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from kedro.config import OmegaConfigLoader
from kedro.io.catalog_config_resolver import CatalogConfigResolver
from kedro.validation import TypeExtractor

from cnn_ablation import settings
from cnn_ablation.pipeline_registry import EXPERIMENTS, STUDY, register_pipelines
from tests.conftest import ROOT

PIPELINES = register_pipelines()


@pytest.fixture(scope="module")
def loader() -> OmegaConfigLoader:
    return OmegaConfigLoader(str(ROOT / "conf"), env="base", **settings.CONFIG_LOADER_ARGS)


def test_each_experiment_has_a_pipeline_and_so_does_the_study() -> None:
    assert set(PIPELINES) == {
        "__default__",
        "pursuit",
        "journal",
        "predict",
        "data_ingestion",
        *EXPERIMENTS,
    }
    for whole in ("__default__", "pursuit"):
        namespaces = {node.namespace for node in PIPELINES[whole].nodes} - {None}
        assert namespaces == set(STUDY)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_needs_no_other_experiment(name: str, loader: OmegaConfigLoader) -> None:
    free = {i for i in PIPELINES[name].inputs() if not i.startswith("params:")}
    assert free == {"images", "trial_store", "engine", "published_runs", "published_tables"}
    assert f"params:{name}" in PIPELINES[name].inputs()
    assert name in loader["parameters"]


def test_every_parameter_is_validated_by_its_type() -> None:
    typed = TypeExtractor(PIPELINES).extract_types_from_pipelines()
    read = {
        name.removeprefix("params:")
        for pipeline in PIPELINES.values()
        for name in pipeline.inputs()
        if name.startswith("params:")
    }
    assert set(typed) == read


def test_every_dataset_is_persisted_and_has_a_layer(loader: OmegaConfigLoader) -> None:
    """Runs can start at any node, and Kedro-Viz can show the layer of each dataset."""
    resolver = CatalogConfigResolver(loader["catalog"])
    for pipeline in PIPELINES.values():
        for name in pipeline.datasets():
            if not name.startswith("params:"):
                config = resolver.resolve_pattern(name)
                assert config.get("metadata", {}).get("kedro-viz", {}).get("layer"), name


def test_data_flows_through_the_layers_in_order(loader: OmegaConfigLoader) -> None:
    """Kedro-Viz shows no layers at all if data flows back to an earlier one."""
    resolver = CatalogConfigResolver(loader["catalog"])

    def layer(name: str) -> str:
        return str(resolver.resolve_pattern(name)["metadata"]["kedro-viz"]["layer"])

    for pipeline in PIPELINES.values():
        sorter = TopologicalSorter[str]()
        for node in pipeline.nodes:
            sources = {layer(name) for name in node.inputs if not name.startswith("params:")}
            for target in {layer(name) for name in node.outputs}:
                sorter.add(target, *(sources - {target}))
        sorter.prepare()  # raises CycleError


def test_nodes_have_names_and_the_tags_of_stage_and_experiment() -> None:
    for name in STUDY:
        nodes = [node for node in PIPELINES[name].nodes if node.namespace == name]
        assert all("(" not in node.name for node in nodes)
        tags = {tag for node in nodes for tag in node.tags}
        stages = {"model_construction", "training", "evaluation", "visualization", "reporting"}
        assert tags == {name, *stages}


def test_the_registry_loads_no_library_that_only_runs_need() -> None:
    """Every command pays for imports at start-up."""
    code = (
        "import sys; from cnn_ablation.pipeline_registry import register_pipelines; "
        "register_pipelines(); "
        "print(*{'torch', 'torchvision', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "src",
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == ""
