"""Options of a run that select nothing, and configurations that cannot be used."""

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from cnn_ablation.adapters.checks import (
    GLOBALS,
    check_catalog_entries,
    check_globals,
    check_places,
    check_readable,
    check_results,
    check_settings,
    create_datasets,
    warn_of_unread_files,
    warn_of_unused_entries,
)
from cnn_ablation.adapters.conf_files import LOADER_ARGUMENTS, ConfFiles, check_environment
from cnn_ablation.adapters.config_loader import ProjectConfigLoader
from cnn_ablation.adapters.session import wrong_selection
from cnn_ablation.datasets import TrialsDataset
from cnn_ablation.errors import InputError, StudyError
from cnn_ablation.execution.store import TrialStore, trial_key
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import expand_trials
from cnn_ablation.study.parameters import EvaluationParameters, SeedParameters
from tests.conftest import ALL_IMAGES, write_yaml
from tests.execution.test_store import TRAINED
from tests.pipelines.test_conclusions import EVIDENCE, MORE, experiment, results
from tests.report.test_journal import chapter


def identity(value: Any) -> Any:
    return value


def in_memory(values: dict[str, Any]) -> DataCatalog:
    return DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in values.items()}
    )


def stage(name: str, namespace: str) -> Pipeline:
    return Pipeline(
        [node(identity, "images", "trained", name="train", tags="training")],
        namespace=namespace,
        inputs="images",
        tags=name,
    )


PIPELINES = {
    "__default__": stage("dropout", "dropout") + stage("pooling", "pooling"),
    "dropout": stage("dropout", "dropout"),
    "pooling": stage("pooling", "pooling"),
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"pipeline_names": ["droput"]},
            "--pipeline: no pipeline 'droput'; allowed: dropout, pooling. Did you mean 'dropout'?",
        ),
        ({"tags": ["trianing"]}, "--tags: no tag 'trianing' in __default__. Did you mean 'training'?"),
        (
            {"pipeline_names": ["pooling"], "node_names": ["pooling.trian"]},
            "--nodes: no node 'pooling.trian' in pooling. Did you mean 'pooling.train'?",
        ),
        ({"from_nodes": ["train"]}, "--from-nodes: no node 'train'"),
        ({"to_nodes": ["dropout.tran"]}, "--to-nodes: no node 'dropout.tran'"),
        (
            {"from_inputs": ["image"]},
            "--from-inputs: no dataset 'image' in __default__. Did you mean 'images'?",
        ),
        ({"to_outputs": ["dropout.trainde"]}, "Did you mean 'dropout.trained'?"),
        ({"namespaces": ["drpout"]}, "--namespaces: no namespace 'drpout'"),
        (
            {"pipeline_names": ["pooling"], "tags": ["dropout"]},
            "--tags: no tag 'dropout' in pooling.",
        ),
        (
            {"tags": ["dropout"], "namespaces": ["pooling"]},
            "the options together leave no node to run",
        ),
    ],
)
def test_the_error_names_the_option_that_selects_nothing(options: dict[str, Any], expected: str) -> None:
    assert expected in (wrong_selection(options, PIPELINES) or "")


@pytest.mark.parametrize(
    "options", [{}, {"tags": ("training",), "from_inputs": ["images"]}, {"pipeline_names": ["dropout"]}]
)
def test_options_that_select_nodes_give_no_error(options: dict[str, Any]) -> None:
    assert wrong_selection(options, PIPELINES) is None


def configuration_of(folder: Path, catalog: dict[str, Any], env: str | None = None) -> ConfFiles:
    write_yaml(folder / "conf/base/catalog.yml", catalog)
    (folder / "conf/local").mkdir(exist_ok=True)
    loader = ProjectConfigLoader(str(folder / "conf"), env, **LOADER_ARGUMENTS)
    return ConfFiles(loader, folder)


def test_an_environment_without_a_folder_is_named(tmp_path: Path) -> None:
    check_environment(configuration_of(tmp_path, {}))
    misspelt = configuration_of(tmp_path / "project", {}, env="locl")
    with pytest.raises(InputError, match=r"'locl' in .*; allowed: base, local\. Did you mean 'local'\?"):
        check_environment(misspelt)


def test_an_environment_with_a_name_that_no_folder_can_have_is_named(tmp_path: Path) -> None:
    configuration = configuration_of(tmp_path, {}, env="x" * 300)
    with pytest.raises(
        InputError, match=r"^--env: no environment 'x+' in .*conf; allowed: base, local\."
    ):
        check_environment(configuration)


def test_a_folder_that_is_no_project_is_named(tmp_path: Path) -> None:
    nowhere = ConfFiles(ProjectConfigLoader(str(tmp_path / "conf"), **LOADER_ARGUMENTS), tmp_path)
    with pytest.raises(InputError, match=r"conf has no folder base, .* in the project's folder"):
        check_environment(nowhere)


@pytest.mark.parametrize("entry", ["images.csv", {"filepath": "images.csv"}, None, {"type": 5}])
def test_a_catalog_entry_without_a_type_is_named(tmp_path: Path, entry: Any) -> None:
    configuration = configuration_of(tmp_path, {"_shared": {"filepath": "x"}, "images": entry})
    with pytest.raises(
        InputError, match=r"^conf/base/catalog\.yml: images: needs a mapping with a type"
    ):
        check_catalog_entries(configuration)


CSV = {"type": "pandas.CSVDataset", "filepath": "x.csv"}


def test_a_null_character_in_an_entry_is_named(tmp_path: Path) -> None:
    entry = {"type": "x", "dataset": {"filepath": "data/a\0b"}}
    message = (
        r"^conf/base/catalog\.yml: runs: dataset\.filepath: 'data/a\\x00b' contains a null character; "
    )
    with pytest.raises(InputError, match=message):
        check_catalog_entries(configuration_of(tmp_path, {"runs": entry}))


@pytest.mark.parametrize(
    ("path", "reason"),
    [("~/x.csv", "begins with ~"), ("data/a\nb", "contains a control"), ("x" * 256, "contains a name")],
)
def test_a_path_in_an_entry_that_cannot_be_is_named(tmp_path: Path, path: str, reason: str) -> None:
    message = rf"^conf/base/catalog\.yml: runs: dataset\.filepath: '.*' {reason}.*; allowed: a path, "
    with pytest.raises(InputError, match=message):
        check_catalog_entries(
            configuration_of(tmp_path, {"runs": {"type": "x", "dataset": {"filepath": path}}})
        )


def test_braces_that_the_name_of_a_pattern_lacks_are_named(tmp_path: Path) -> None:
    entry = {"type": "x", "dataset": {**CSV, "filepath": "data/{exp}/x.csv"}}
    message = (
        r"^conf/base/catalog\.yml: \{experiment\}\.runs: dataset\.filepath: \{exp\} is not in the "
        r"name of this entry; allowed: \{experiment\}$"
    )
    with pytest.raises(InputError, match=message):
        check_catalog_entries(configuration_of(tmp_path, {"{experiment}.runs": entry}))


@pytest.mark.parametrize(
    ("dataset", "entries", "message"),
    [
        (
            "images",
            {"images": {**CSV, "save_arg": {}}},
            "images: save_arg: CSVDataset has no such argument; allowed: filepath, .* 'save_args'",
        ),
        (
            "dropout.runs",
            {"{experiment}.runs": {**CSV, "nothing": 1}},
            r"\{experiment\}\.runs: nothing: CSVDataset has no such argument; allowed: filepath",
        ),
        (
            "dropout.runs",
            {"{experiment}.runs": CSV, "dropout.runs": {**CSV, "nothing": 1}},
            r"dropout\.runs: nothing: CSVDataset has no such argument",
        ),
        (
            "images",
            {"images": {"type": "cnn_ablation.datasets.ClassFolderDataset"}},
            "images: type: there is no dataset 'cnn.*'; allowed: .* 'cnn_ablation.*ClassFoldersDataset'",
        ),
        (
            "images",
            {"images": {"type": "ClassFoldersDataset"}},
            r"images: type: there is no dataset 'ClassFoldersDataset'; allowed: cnn_ablation\.",
        ),
    ],
)
def test_a_dataset_that_cannot_be_created_is_named_by_its_entry_and_key(
    tmp_path: Path, dataset: str, entries: dict[str, Any], message: str
) -> None:
    configuration = configuration_of(tmp_path, entries)
    catalog = DataCatalog.from_config(entries)
    with pytest.raises(InputError, match=rf"^conf/base/catalog\.yml: {message}") as raised:
        create_datasets(configuration, catalog, [dataset])
    assert "\n" not in str(raised.value)


def test_an_entry_that_no_pipeline_uses_is_named(tmp_path: Path) -> None:
    write_yaml(tmp_path / "conf/local/catalog.yml", {"image": CSV, "{experiment}.run": CSV, "_x": CSV})
    write_yaml(tmp_path / "conf/local/catalog_more.yml", {"dropout.runs": CSV})
    configuration = configuration_of(tmp_path, {"images": CSV, "{experiment}.runs": CSV, "other": CSV})
    catalog = DataCatalog.from_config(configuration.loader["catalog"])
    nodes = [node(identity, "images", "dropout.runs"), node(identity, "images", "pooling.runs")]
    assert warn_of_unused_entries(configuration, catalog, {"__default__": Pipeline(nodes)}) == [
        "conf/local/catalog.yml: image: no pipeline uses this entry. Did you mean 'images'?",
        "conf/local/catalog.yml: {experiment}.run: no pipeline uses this entry. "
        "Did you mean '{experiment}.runs'?",
    ]


@pytest.mark.parametrize("value", [None, "", " ", "a\0b", 5, [], {}, True])
@pytest.mark.parametrize("key", ["reports", "models", "looks", "registered_model"])
def test_a_global_without_a_value_is_named(tmp_path: Path, key: str, value: Any) -> None:
    write_yaml(tmp_path / "conf/base/globals.yml", GLOBALS)
    write_yaml(tmp_path / "conf/local/globals.yaml", {key: value})
    message = rf"^conf/(local/globals\.yaml|base/globals\.yml): {key}: .* is not text; allowed: a folder"
    with pytest.raises(InputError, match=message):
        check_globals(configuration_of(tmp_path, {}))


@pytest.mark.parametrize("value", ["data/x{y}", "data/x}y"])
def test_braces_in_a_folder_of_results_are_named(tmp_path: Path, value: str) -> None:
    write_yaml(tmp_path / "conf/base/globals.yml", {**GLOBALS, "reports": value})
    message = (
        r"^conf/base/globals\.yml: reports: '.*' contains .*\}; allowed: a name without \{ \}, such"
    )
    with pytest.raises(InputError, match=message):
        check_globals(configuration_of(tmp_path, {}))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("~/x/r", "begins with ~"),
        ("data/a\nb", "contains a control character"),
        (f"data/{'x' * 256}/r", "contains a name of more than 255 bytes"),
        (f"data/{'é' * 128}", "contains a name of more than 255 bytes"),
        ("s3://b/r", "is an address"),
        ("s3:/b/demo/r", "is an address"),
    ],
)
@pytest.mark.parametrize("key", ["reports", "models", "looks", "images_to_classify"])
def test_a_global_that_is_no_folder_is_named(tmp_path: Path, key: str, value: str, reason: str) -> None:
    write_yaml(tmp_path / "conf/base/globals.yml", GLOBALS)
    write_yaml(tmp_path / "conf/local/globals.yml", {key: value})
    message = rf"^conf/local/globals\.yml: {key}: '.*' {reason}.*; allowed: .*such as {GLOBALS[key]}$"
    with pytest.raises(InputError, match=message):
        check_globals(configuration_of(tmp_path, {}))


@pytest.mark.parametrize("value", [["a"], 5, {}, False])
def test_a_notice_that_is_no_text_is_named(tmp_path: Path, value: Any) -> None:
    write_yaml(tmp_path / "conf/base/globals.yml", {**GLOBALS, "journal_notice": value})
    message = r"^conf/base/globals\.yml: journal_notice: .* is not text; allowed: a sentence, or null$"
    with pytest.raises(InputError, match=message):
        check_globals(configuration_of(tmp_path, {}))


def test_a_file_that_another_user_owns_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_yaml(tmp_path / "conf/base/globals.yml", GLOBALS)
    write_yaml(tmp_path / "conf/local/credentials.yml", {})
    configuration = configuration_of(tmp_path, {})
    read = io.open

    def refuse(file: Any, *args: Any, **kwargs: Any) -> Any:
        if str(file).endswith("credentials.yml"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(file, *args, **kwargs)

    monkeypatch.setattr(io, "open", refuse)
    message = r"^conf/local/credentials\.yml: cannot be read: Permission denied$"
    with pytest.raises(InputError, match=message):
        check_globals(configuration)


def test_missing_globals_are_named(tmp_path: Path) -> None:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/base/globals.yml").touch()
    with pytest.raises(InputError, match=r"^conf/base/globals\.yml: models: is missing; allowed: "):
        check_globals(configuration_of(tmp_path, {}))


def test_the_projects_globals_are_complete(tmp_path: Path) -> None:
    write_yaml(
        tmp_path / "conf/base/globals.yml",
        {**GLOBALS, "predict_with": 3, "mine": None, "journal_notice": None},
    )
    check_globals(configuration_of(tmp_path, {"a": {"type": "x", "filepath": "${globals:mine}/a"}}))


def test_a_global_that_no_file_uses_is_named(tmp_path: Path) -> None:
    write_yaml(tmp_path / "conf/base/globals.yml", GLOBALS)
    write_yaml(tmp_path / "conf/local/globals.yml", {"report": "data/mine"})
    message = (
        r"^conf/local/globals\.yml: report: no file in conf uses this key; allowed: .*models.* "
        r"Did you mean 'reports'\?"
    )
    with pytest.raises(InputError, match=message):
        check_globals(configuration_of(tmp_path, {}))


def test_files_that_kedro_does_not_read_are_named(tmp_path: Path) -> None:
    for file in ("base/parameters.yml", "local/parameters/a.json", "logging.yml", "local/.x.yml"):
        write_yaml(tmp_path / "conf" / file, {})
    assert not warn_of_unread_files(configuration_of(tmp_path, {}))
    unread = ["local/paramters_mine.yml", "local/catalog.YML", "parameters.yml"]
    for file in unread:
        write_yaml(tmp_path / "conf" / file, {})
    warnings = warn_of_unread_files(configuration_of(tmp_path, {}))
    for file in unread:
        assert (
            sum(warning.startswith(f"conf/{file} is not read; allowed: ") for warning in warnings) == 1
        )
    assert len(warnings) == len(unread)


def test_files_that_kedro_ignores_for_their_folder_are_named(tmp_path: Path) -> None:
    write_yaml(tmp_path / "conf/local/parameters_read/deep/a.yml", {"one": 1})
    write_yaml(tmp_path / "conf/local/mine/parameters_x/z.yml", {"two": 2})
    hidden, visible = tmp_path / ".config/p.yml", tmp_path / "shared/p.yml"
    write_yaml(hidden, {"three": 3})
    write_yaml(visible, {"four": 4})
    configuration = configuration_of(tmp_path, {})
    (tmp_path / "conf/local/parameters_hidden.yml").symlink_to(hidden)
    (tmp_path / "conf/local/parameters_linked.yml").symlink_to(visible)
    (tmp_path / "conf/base/parameters.yml").touch()
    assert configuration.loader["parameters"] == {"one": 1, "four": 4}
    folder, link = warn_of_unread_files(configuration)
    assert folder.startswith("conf/local/mine/parameters_x/z.yml is not read; allowed: ")
    assert link.startswith(f"conf/local/parameters_hidden.yml (a link to {hidden}) is not read; ")
    assert "and links to files outside hidden folders." in link
    places = {key: configuration.place_of([key]) for key in ("one", "two", "three", "four")}
    assert places == {
        "one": "conf/local/parameters_read/deep/a.yml",
        "two": "conf",
        "three": "conf",
        "four": "conf/local/parameters_linked.yml",
    }


def test_linked_folders_in_conf_are_named(tmp_path: Path) -> None:
    write_yaml(tmp_path / "conf/base/parameters.yml", {"one": 1})
    write_yaml(tmp_path / "shared/parameters.yml", {"two": 2})
    (tmp_path / "conf/local").mkdir()
    (tmp_path / "conf/local/parameters_shared").symlink_to(tmp_path / "shared")
    configuration = configuration_of(tmp_path, {})
    assert configuration.loader["parameters"] == {"one": 1}
    (warning,) = warn_of_unread_files(configuration)
    place = f"conf/local/parameters_shared (a link to {tmp_path / 'shared'})"
    assert warning.startswith(f"{place} is not read; allowed: ")
    assert "Folders cannot be links." in warning


def test_a_project_below_a_hidden_folder_is_read(tmp_path: Path) -> None:
    write_yaml(tmp_path / ".projects/conf/base/parameters.yml", {"one": 1})
    configuration = configuration_of(tmp_path / ".projects", {})
    assert not warn_of_unread_files(configuration)
    assert configuration.place_of(["one"]) == "conf/base/parameters.yml"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("x" * 300, "File name too long"),
        ("file/x", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("sealed", "Permission denied"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "argument"),
    [("FashionMNISTDataset", "path"), ("TrialStoreDataset", "path"), ("CSVDataset", "filepath")],
)
def test_an_input_that_cannot_be_read_is_named(
    tmp_path: Path, path: str, reason: str, kind: str, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "sealed").mkdir()
    # The superuser may read any folder.
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "sealed" and access(path, mode))
    pipeline = Pipeline([node(identity, "images", "dropout.runs")])

    def check(place: Path) -> None:
        entries = {"images": {"type": f"cnn_ablation.datasets.{kind}", argument: str(place)}}
        check_readable(configuration_of(tmp_path, entries), pipeline, DataCatalog.from_config(entries))

    check(tmp_path / "not there")
    check(tmp_path / "file")
    with pytest.raises(InputError) as raised:
        check(tmp_path / path)
    message = f"conf/base/catalog.yml: images: {tmp_path / path} cannot be read: {reason}; allowed: "
    assert str(raised.value).startswith(message)


def test_a_run_needs_the_files_that_no_node_writes_and_the_results_before_it(tmp_path: Path) -> None:
    whole = Pipeline(
        [
            node(identity, "images", "dropout.results", name="collect"),
            node(identity, "dropout.results", "dropout.chapter", name="write"),
            node(identity, "dropout.chapter", "journal", name="journal"),
        ]
    )
    file = tmp_path / "results.json"
    catalog = DataCatalog.from_config(
        {
            "images": {"type": "json.JSONDataset", "filepath": str(tmp_path / "images.json")},
            "dropout.results": {"type": "cnn_ablation.datasets.ResultsDataset", "filepath": str(file)},
            "dropout.chapter": {
                "type": "cnn_ablation.datasets.MlflowChapterDataset",
                "filepath": str(tmp_path / "chapter.json"),
            },
        }
    )
    pipelines = {"__default__": whole}
    with pytest.raises(StudyError, match=r"^images: .*images\.json does not exist\. No node writes it"):
        check_results(whole, catalog, pipelines)
    (tmp_path / "images.json").touch()
    with pytest.raises(StudyError, match=r"^images: .*images\.json cannot be read: Expecting value: "):
        check_results(whole, catalog, pipelines)
    (tmp_path / "images.json").write_text("[]")
    check_results(whole, catalog, pipelines)
    check_results(whole.only_nodes("journal"), catalog, pipelines)
    middle = whole.from_nodes("write")
    with pytest.raises(StudyError, match=rf"^dropout\.results is missing: {file} does not exist"):
        check_results(middle, catalog, pipelines)
    file.write_text(json.dumps(chapter("Dropout")))
    check_results(middle, catalog, pipelines)
    file.write_text("{}")
    with pytest.raises(StudyError, match=rf"^{file} is damaged.* \(title: Field required\)"):
        check_results(middle, catalog, pipelines)


def test_a_run_from_the_middle_goes_on_with_the_settings_of_the_results_before_it(
    tmp_path: Path, baseline: Configuration
) -> None:
    parameters = experiment("none", "some", more=MORE)
    store = TrialStore(tmp_path)
    trained = {"moments": 20}
    store.put(trial_key(trained), trained, TRAINED)
    known = {
        "params:data": ALL_IMAGES,
        "params:baseline": baseline,
        "params:evaluation": EvaluationParameters(moments=20),
        "params:one": parameters,
        "trial_store": store,
        "data_summary": {"settings": ALL_IMAGES.model_dump()},
        "params:seeds": SeedParameters([0, 1]),
        "params:evidence": EVIDENCE,
        "one.trials": expand_trials(parameters, baseline, SeedParameters([0, 1])),
        "conclusions.one.verdicts": pd.DataFrame(),
        "one.chapter": {"evidence": EVIDENCE.model_dump(mode="json")},
        "one.runs": pd.DataFrame({"status": ["finished"], "key": [trial_key(trained)]}),
        "one.results": results(parameters, baseline, seeds=2),
    }
    holdout = ALL_IMAGES.model_copy(update={"protocol": "holdout"})
    other_model = baseline.model.model_copy(update={"kernel_size": 5})
    changes: list[tuple[str, dict[str, Any]]] = [
        ("data_summary", {"params:data": holdout}),
        ("one.trials", {"params:baseline": baseline.model_copy(update={"model": other_model})}),
        ("one.trials", {"params:seeds": SeedParameters([0, 1, 2])}),
        ("one.trials", {"params:one": parameters.model_copy(update={"seeds": SeedParameters([0])})}),
        ("one.runs", {"params:evaluation": EvaluationParameters(moments=1)}),
        ("one.results", {"params:one": experiment("none", "some", "half", more=MORE)}),
        ("conclusions.one.verdicts", {"params:evidence": EVIDENCE.model_copy(update={"level": 0.4})}),
    ]
    for name, change in changes:
        pipeline = Pipeline([node(identity, name, "figure")])
        check_settings(pipeline, in_memory(known))
        with pytest.raises(StudyError, match=r"these settings have changed since .* was written; start"):
            check_settings(pipeline, in_memory(known | change))


def test_a_damaged_result_is_left_to_the_node_that_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "trials.json"
    file.write_text("")
    catalog = in_memory({"params:one": experiment("none"), "params:evaluation": None})
    catalog["one.trials"] = TrialsDataset(filepath=str(file))
    check_settings(Pipeline([node(identity, "one.trials", "figure")]), catalog)


def test_unknown_credentials_of_a_dataset_are_named(tmp_path: Path) -> None:
    write_yaml(tmp_path / "conf/local/credentials.yml", {"store": {"key": "k"}})
    entry = {"type": "pandas.CSVDataset", "filepath": "x.csv", "credentials": "stroe"}
    check_catalog_entries(configuration_of(tmp_path, {"a": {**entry, "credentials": "store"}}))
    message = r"^conf/base/catalog\.yml: a: credentials: 'stroe' is not in .* Did you mean 'store'"
    with pytest.raises(InputError, match=message):
        check_catalog_entries(configuration_of(tmp_path, {"a": entry}))


@pytest.mark.parametrize("name", ["a/b", "my-cnn-1.0", "a:b", "100%"])
def test_a_name_that_mlflow_refuses_for_a_model_is_refused(tmp_path: Path, name: str) -> None:
    write_yaml(tmp_path / "conf/base/globals.yml", {**GLOBALS, "registered_model": name})
    message = r"^conf/base/globals\.yml: registered_model: '.*' contains [/.:%]; allowed: a name without"
    with pytest.raises(InputError, match=message):
        check_globals(configuration_of(tmp_path, {}))


@pytest.mark.parametrize(
    ("folder", "reason"), [("file/reports", "is not a folder"), ("sealed/reports", "cannot be written")]
)
def test_a_folder_of_results_that_cannot_be_written_is_named(
    tmp_path: Path, folder: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "sealed").mkdir()
    # The superuser may write into any folder.
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "sealed" and access(path, mode))
    entries = {
        name: {"type": "pandas.CSVDataset", "filepath": f"{tmp_path}/{place}/{name}.csv"}
        for name, place in {"before": "new/folder", "runs": folder}.items()
    }
    configuration = configuration_of(tmp_path, entries)
    catalog = DataCatalog.from_config(entries)
    first, second = node(identity, "x", "before"), node(identity, "before", "runs")
    check_places(configuration, Pipeline([first]), catalog)
    with pytest.raises(InputError) as raised:
        check_places(configuration, Pipeline([first, second]), catalog)
    place = tmp_path / folder.partition("/")[0]
    assert str(raised.value).startswith(f"conf/base/catalog.yml: runs: {place} {reason}; allowed: ")


def test_a_result_whose_path_is_too_long_is_named(tmp_path: Path) -> None:
    entries = {"runs": {"type": "pandas.CSVDataset", "filepath": f"{tmp_path}/{'x' * 300}.csv"}}
    pipeline = Pipeline([node(identity, "x", "runs")])
    message = r"^conf/base/catalog\.yml: runs: .*x\.csv cannot be written: File name too long; allowed: "
    with pytest.raises(InputError, match=message):
        check_places(configuration_of(tmp_path, entries), pipeline, DataCatalog.from_config(entries))


def test_a_folder_in_place_of_a_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").mkdir()
    entries = {"runs": {"type": "pandas.CSVDataset", "filepath": f"{tmp_path}/runs.csv"}}
    pipeline = Pipeline([node(identity, "x", "runs")])
    with pytest.raises(InputError, match=r"runs: .*/runs\.csv is a folder; allowed: a file in a folder"):
        check_places(configuration_of(tmp_path, entries), pipeline, DataCatalog.from_config(entries))


def test_looks_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    looks = {
        "type": "cnn_ablation.datasets.LookLedgerDataset",
        "filepath": f"{tmp_path}/file/looks.json",
    }
    entries = {"looks": looks}
    pipeline = Pipeline([node(identity, "looks", "runs")])
    with pytest.raises(InputError, match=r"looks: .*/file is not a folder; allowed: a file in a folder"):
        check_places(configuration_of(tmp_path, entries), pipeline, DataCatalog.from_config(entries))
    looks["filepath"] = f"{tmp_path}/looks.json"
    (tmp_path / "looks.json").touch()
    with pytest.raises(StudyError, match=r"looks\.json is damaged"):
        check_places(configuration_of(tmp_path, entries), pipeline, DataCatalog.from_config(entries))
