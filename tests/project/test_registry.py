"""The pipelines are complete, typed, and persist every dataset."""

import inspect
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from kedro.io.catalog_config_resolver import CatalogConfigResolver
from kedro.pipeline import Pipeline
from kedro.validation import TypeExtractor

from cnn_ablation import settings
from cnn_ablation.adapters import conf_files
from cnn_ablation.adapters.conf_files import ConfFiles
from cnn_ablation.adapters.config_loader import ProjectConfigLoader
from cnn_ablation.adapters.session import wrong_selection
from cnn_ablation.pipeline_registry import ARGUMENTS, BUILT_IN, STAGES, register_pipelines
from cnn_ablation.study.groups import SHARED_GROUPS
from tests.conftest import (
    ELSEWHERE,
    ROOT,
    STUDIES,
    STUDY,
    clean_environment,
    kedro,
    make_project,
    write_yaml,
)


def experiment(**keys: object) -> dict[str, object]:
    return {
        "title": "Kernel size",
        "question": "Do larger kernels see more?",
        "hypothesis": "They do.",
        "factors": {"model": {"kernel_size": [3, 5]}},
        "condition_name": "kernel_{kernel_size}",
        **keys,
    }


MAIN = [name for name in STUDY if name != "combined_as_published"]
# The project's experiments, one of them moved to another study than the main one, and one without study.
LOADER = ProjectConfigLoader(
    str(ROOT / "conf"),
    env="base",
    runtime_params={"combined_as_published": {"study": "more"}, "alone": experiment(study=None)},
    **settings.CONFIG_LOADER_ARGS,
)
conf_files.use(ConfFiles(LOADER, ROOT))
PIPELINES = register_pipelines()


def is_data(name: str) -> bool:
    """Whether a dataset is neither a parameter nor the cluster that trains."""
    return not name.startswith("params:") and name != "engine"


def test_each_experiment_has_a_pipeline_and_so_does_every_study() -> None:
    assert list(PIPELINES) == [
        "__default__",
        *BUILT_IN,
        *STUDY,
        *ELSEWHERE,
        "alone",
        "more",
        *STUDIES,
    ]
    for whole in ("__default__", "pursuit"):
        namespaces = {node.namespace for node in PIPELINES[whole].nodes} - {None}
        assert namespaces == {"main", *(f"main.{name}" for name in (*MAIN, "conclusions"))}
    members = {"more": ("combined_as_published",), **STUDIES}
    for study, names in members.items():
        namespaces = {node.namespace for node in PIPELINES[study].nodes} - {None}
        assert namespaces == {study, *(f"{study}.{name}" for name in (*names, "conclusions"))}


def test_few_datasets_leave_a_study_so_that_kedro_viz_draws_them_legibly() -> None:
    study = PIPELINES["__default__"].only_nodes_with_namespaces(["main"])
    assert study.outputs() == {"journal_html", "journal_markdown", "study_summary", "registered_model"}
    study = PIPELINES["directions"].only_nodes_with_namespaces(["directions"])
    assert len(study.outputs()) == 4


def test_studies_share_no_results_but_the_images_and_the_model() -> None:
    written = {name: PIPELINES[name].all_outputs() for name in ("__default__", "more", "directions")}
    shared = {"splits", "data_summary", "samples_figure"}
    assert written["__default__"] & written["more"] == shared
    assert written["__default__"] & written["directions"] == shared
    assert written["more"] & written["directions"] == shared
    reads = {name: PIPELINES[name].inputs() for name in written}
    assert "looks" in reads["__default__"]
    assert {"more.looks", "champion"} <= reads["more"]
    assert "looks" not in reads["more"]


def test_each_study_writes_a_journal_of_its_own() -> None:
    def chapters(pipeline: str, journal: str) -> set[str]:
        node = next(node for node in PIPELINES[pipeline].nodes if journal in node.outputs)
        return {name.removesuffix(".chapter") for name in node.inputs if name.endswith(".chapter")}

    for pipeline in ("__default__", "pursuit", "journal"):
        assert chapters(pipeline, "journal_markdown") == {*MAIN, "alone"}
    for study, names in STUDIES.items():
        assert chapters(study, f"{study}.journal_markdown") == set(names)
    assert chapters("more", "more.journal_html") == {"combined_as_published"}


def test_no_experiment_can_have_the_name_of_another_input_of_a_node() -> None:
    taken = {*BUILT_IN, *ARGUMENTS, *STAGES, *SHARED_GROUPS}
    checked = set()
    for node in {node for pipeline in PIPELINES.values() for node in pipeline.nodes}:
        given = {name.rpartition(".")[2] for name in node.inputs}
        *others, last = inspect.signature(node.func).parameters.values()
        if last.kind is last.VAR_KEYWORD and given & {"results", "chapter", "contrasts"}:
            assert {parameter.name for parameter in others} <= taken, node.name
            checked.add(node.name.rpartition(".")[2])
    assert {
        "judge_claims",
        "judge_claims_dropout",
        "join_contrasts",
        "join_experiments",
        "write_journal",
    } <= checked


@pytest.mark.parametrize(
    "names", [("dropout", "pooling"), (*STUDY, "alone"), (*ELSEWHERE, "journal"), ("directions", "more")]
)
def test_pipelines_of_different_experiments_can_run_together(names: tuple[str, ...]) -> None:
    # As `kedro run --pipelines` joins them.
    joined = sum((PIPELINES[name] for name in names), Pipeline([]))
    assert {node for name in names for node in PIPELINES[name].nodes} == set(joined.nodes)


@pytest.mark.parametrize(
    "names", [["dropout", "__default__"], ["journal", "pursuit"], ["recipe", "dropout", "frontier"]]
)
def test_pipelines_that_share_results_cannot_run_together(names: list[str]) -> None:
    message = wrong_selection({"pipeline_names": names}, PIPELINES)
    assert f"{names[0]!r} and {names[-1]!r} cannot run together" in str(message)


def test_the_claims_of_a_study_are_judged_as_one_family() -> None:
    families = {name: set(MAIN) for name in ("__default__", "pursuit", *MAIN)}
    families |= {name: {"combined_as_published"} for name in ("more", "combined_as_published")}
    for study, experiments in STUDIES.items():
        families |= {name: set(experiments) for name in (study, *experiments)}
    families["alone"] = {"alone"}
    for name, members in families.items():
        (joining,) = (
            node for node in PIPELINES[name].nodes if "conclusions.join_contrasts" in node.name
        )
        assert set(joining.inputs) == {f"conclusions.{member}.contrasts" for member in members}
        (judging,) = (node for node in PIPELINES[name].nodes if "conclusions.judge_claims" in node.name)
        judged = {output.split(".")[1] for output in judging.outputs}
        assert judged == ({name} if name in (*STUDY, *ELSEWHERE, "alone") else members)


@pytest.mark.parametrize("name", [*STUDY, *ELSEWHERE])
def test_an_experiment_needs_no_other_experiment(name: str) -> None:
    free = {i for i in PIPELINES[name].inputs() if not i.startswith("params:")}
    published = {"published_runs", "published_tables"}
    study = LOADER["parameters"][name]["study"]
    looks = "looks" if study == "main" else f"{study}.looks"
    assert free == {"images", "trial_store", "engine", looks, *published}
    assert f"params:{name}" in PIPELINES[name].inputs()
    assert name in LOADER["parameters"]


def test_every_parameter_is_validated_by_its_type() -> None:
    typed = TypeExtractor(PIPELINES).extract_types_from_pipelines()
    read = {
        name.removeprefix("params:")
        for pipeline in PIPELINES.values()
        for name in pipeline.inputs()
        if name.startswith("params:")
    }
    assert set(typed) == read


def test_every_dataset_is_persisted_and_has_a_layer() -> None:
    """Runs can start at any node, and Kedro-Viz can show the layer of each dataset."""
    resolver = CatalogConfigResolver(LOADER["catalog"])
    for pipeline in PIPELINES.values():
        for name in pipeline.datasets():
            if is_data(name):
                config = resolver.resolve_pattern(name)
                assert config.get("metadata", {}).get("kedro-viz", {}).get("layer"), name


def test_data_flows_through_the_layers_in_order() -> None:
    """Kedro-Viz shows no layers at all if data flows back to an earlier one."""
    resolver = CatalogConfigResolver(LOADER["catalog"])

    def layer(name: str) -> str:
        return str(resolver.resolve_pattern(name)["metadata"]["kedro-viz"]["layer"])

    for pipeline in PIPELINES.values():
        sorter = TopologicalSorter[str]()
        for node in pipeline.nodes:
            sources = {layer(name) for name in node.inputs if is_data(name)}
            for target in {layer(name) for name in node.outputs}:
                sorter.add(target, *(sources - {target}))
        sorter.prepare()  # raises CycleError


def test_nodes_have_names_and_the_tags_of_stage_and_experiment() -> None:
    for name in (*STUDY, *ELSEWHERE):
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
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == ""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A project with experiments in conf/local, in conf/demo and in another source of configuration."""
    project = make_project(tmp_path)
    write_yaml(project / "conf/local/parameters_local.yml", {"in_local": experiment(study="sizes")})
    write_yaml(project / "conf/demo/parameters_demo.yml", {"in_demo": experiment()})
    for part in ("base", "local"):
        (project / f"other/{part}").mkdir(parents=True)
    for file in ("catalog.yml", "globals.yml", "mlflow.yml", "parameters.yml"):
        (project / f"other/base/{file}").write_text((project / f"conf/base/{file}").read_text())
    write_yaml(project / "other/base/parameters_elsewhere.yml", {"elsewhere": experiment(study="main")})
    return project


def test_experiments_are_found_in_every_environment_and_source(own: Path) -> None:
    code = """
import sys
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(sys.argv[1])
sources = [{}, {"env": "demo"}, {"conf_source": "other"}, {}]
for source in sources:
    KedroSession.create(sys.argv[1], **source).load_context()
    print(*pipelines, sep=",")
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(own)],
        cwd=own,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    local, demo, other, again = (line.split(",") for line in result.stdout.splitlines())
    common = ["__default__", *BUILT_IN]
    assert local == [
        *common,
        *STUDY,
        *ELSEWHERE,
        "in_local",
        *STUDIES,
        "sizes",
    ]
    assert demo == [
        *common,
        *STUDY,
        *ELSEWHERE,
        "in_demo",
        *STUDIES,
    ]
    assert other == [*common, "elsewhere"]
    assert again == local


def test_commands_without_a_session_find_experiments(own: Path) -> None:
    assert "- in_local\n" in kedro(own, "registry", "list").stdout
    nodes = kedro(own, "registry", "describe", "sizes").stdout
    assert "in_local.train_trials" in nodes
    assert "sizes.choose_winner" in nodes


def test_a_name_that_cannot_be_used_is_an_error_in_every_command(own: Path) -> None:
    file = own / "conf/local/parameters_local.yml"
    write_yaml(file, {"kernel.size": experiment()})
    for command in ("run", "registry list"):
        result = kedro(own, *command.split())
        output = result.stdout + result.stderr
        assert result.returncode == 1, output
        assert (
            "conf/local/parameters_local.yml: kernel.size: 'kernel.size' is not a valid name; "
            "allowed: at most 100 letters, digits and underscores"
        ) in " ".join(output.split())
        assert "Traceback" not in output
