"""Checks of the configuration, before anything runs."""

import errno
import inspect
import logging
import os
import re
import stat
import unicodedata
from collections.abc import Collection, Container, Iterable, Mapping
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, DataCatalog, DatasetError
from kedro.io.core import parse_dataset_definition
from kedro.pipeline import Pipeline

from cnn_ablation import datasets
from cnn_ablation.adapters.conf_files import ConfFiles, read_kind
from cnn_ablation.adapters.config_loader import (
    NOT_IN_MODEL_NAMES,
    REGISTERED_MODEL,
    RESULTS,
    SUFFIXES,
    read_file,
    read_text,
)
from cnn_ablation.adapters.variants import TAG
from cnn_ablation.datasets import LookLedgerDataset, ResultsDataset
from cnn_ablation.datasets.base import FileDataset
from cnn_ablation.datasets.chapters import read_results
from cnn_ablation.dotted_keys import flatten
from cnn_ablation.errors import InputError, ParameterError, StudyError, one_line, suggestion
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.trials import conditions_by_name

logger = logging.getLogger(__name__)

KINDS: dict[str, type[AbstractDataset[Any, Any]]] = {
    "splits": datasets.ArraysDataset,
    "trial_store": datasets.TrialStoreDataset,
    "trials": datasets.TrialsDataset,
    "runs": datasets.MlflowTrialRunsDataset,
    "results": datasets.ResultsDataset,
    "chapter": datasets.MlflowChapterDataset,
    "contact_sheet": datasets.FigureDataset,
    "final_model": datasets.MlflowModelDataset,
    "registered_model": datasets.MlflowRegisteredModelDataset,
    "champion": datasets.MlflowChampionDataset,
    "looks": datasets.LookLedgerDataset,
    "classifier": datasets.MlflowClassifierDataset,
    "images_to_classify": datasets.ImageFolderDataset,
}
"""Types of the datasets that no others can replace, by the last part of their names."""

GLOBALS = {
    "models": "data/06_models",
    "outputs": "data/07_model_output",
    "looks": "data/07_model_output",
    "model_input": "data/05_model_input",
    "reports": "data/08_reporting",
    "registered_model": "fashion-mnist-cnn",
    "images_to_classify": "data/01_raw/to_classify",
    "predict_with": "champion",
}
"""Keys of globals.yml that the catalog needs, with examples."""

REFUSED = {**dict.fromkeys(RESULTS, "{}"), REGISTERED_MODEL: NOT_IN_MODEL_NAMES}
"""Characters that values in globals.yml cannot have: Kedro would fill braces in folders of results."""

NULL = "\0"
"""The only character, except the separator, that no file's name and no MLflow's can have."""

FOLDERS = ("models", "outputs", "looks", "model_input", "reports", "images_to_classify")
"""Keys of globals.yml that name folders."""

ADDRESS = r"\w[\w+.-]+:/"
"""Pattern of the beginning of an address, such as s3://bucket, in which folders may be inserted."""

MAX_NAME_BYTES = 255
"""Longest name of a file or folder that common file systems allow, bytes."""

IN_BRACES = r"\{.*?\}"
"""Pattern of what Kedro fills in an entry of the catalog whose name has it too."""


def check_globals(conf_files: ConfFiles) -> None:
    """Reject globals without a value that the catalog needs.

    Raises:
        InputError: A value is missing, is not text, has characters that it cannot have or is no path of
            a folder, nothing in conf uses a key, or a file cannot be read.
    """
    values = conf_files.loader["globals"]
    _check_use(conf_files, values)
    for key in GLOBALS:
        value = values.get(key)
        if not (isinstance(value, str) and value.strip() and NULL not in value) and not (
            key == "predict_with" and type(value) is int
        ):
            place, found = "conf/base/globals.yml", "is missing"
            if key in values:
                place, found = conf_files.place_of([key], "globals"), f"{value!r} is not text"
            raise InputError(
                f"{place}: {key}: {found}; allowed: a folder or a name, such as {GLOBALS[key]}"
            )
    for key, characters in REFUSED.items():
        if refused := [character for character in characters if character in values[key]]:
            reason = (
                f"{values[key]!r} contains {' '.join(refused)}; allowed: a name without "
                f"{' '.join(characters)}, such as {GLOBALS[key]}"
            )
            raise conf_files.invalid([key], reason, "globals")
    for key in FOLDERS:
        if reason := _wrong_path(values[key]) or "is an address" * bool(re.match(ADDRESS, values[key])):
            allowed = f"a folder, relative to the project or from the root, such as {GLOBALS[key]}"
            raise conf_files.invalid([key], f"{values[key]!r} {reason}; allowed: {allowed}", "globals")
    notice = values.get("journal_notice")
    if not isinstance(notice, str | None):
        reason = f"{notice!r} is not text; allowed: a sentence, or null"
        raise conf_files.invalid(["journal_notice"], reason, "globals")


def _wrong_path(path: str) -> str:
    """The reason why a text cannot be the path of a file or folder; empty if it can."""
    if path.startswith("~"):
        return "begins with ~, which only a shell replaces by the user's folder"
    if any(unicodedata.category(character) == "Cc" for character in path):
        return "contains a control character"
    if any(len(os.fsencode(name)) > MAX_NAME_BYTES for name in Path(path).parts):
        return f"contains a name of more than {MAX_NAME_BYTES} bytes"
    return ""


def _check_use(conf_files: ConfFiles, keys: Iterable[str]) -> None:
    """Reject keys of globals.yml that no other file mentions, because they can be misspelt."""
    loader = conf_files.loader
    by_kind = (loader.files(kind).values() for kind in loader.config_patterns)
    files = {file for kind in by_kind for environment in kind for file in environment}
    if not files:
        return  # Kedro can also read an archive or a remote folder, which are not checked.
    mentioned: set[str] = set()
    for file in sorted(files):
        try:
            mentioned.update(re.findall(r"\$\{(?:globals:)?\s*(\w+)", read_text(file)))
        except ValueError as error:
            raise InputError(f"{loader.relative(file)}: {error}") from None
    allowed = sorted({*GLOBALS, "journal_notice", TAG} | mentioned.intersection(keys))
    for key in keys:
        if key not in allowed and not key.startswith("_"):
            reason = (
                f"no file in conf uses this key; allowed: {', '.join(allowed)}, and keys that another "
                f"file mentions as ${{globals:{key}}}.{suggestion(key, allowed)}"
            )
            raise conf_files.invalid([key], reason, "globals")


def warn_of_unread_files(conf_files: ConfFiles) -> list[str]:
    """Warn of files and linked folders in conf that Kedro does not read because of their name or place.

    Returns:
        The warnings.
    """
    loader = conf_files.loader
    source, kinds = Path(loader.conf_source), list(loader.config_patterns)
    read = {file for kind in kinds for files in loader.files(kind).values() for file in files}
    environments = [source / name for name in loader.files("parameters")]
    inside = [path for folder in environments for path in sorted(folder.rglob("*"))]
    beside = [path for path in sorted(source.glob("*")) if path.name != "logging.yml"]
    unread = [path for path in inside if path.is_symlink() and path.is_dir()]
    unread += [path for path in inside + beside if path.suffix.lower() in SUFFIXES and path not in read]
    allowed = (
        f"files {', '.join(SUFFIXES)} in {loader.relative(environments[-1])} whose names begin "
        f"with {', '.join(kinds)}, and links to files outside hidden folders. Folders cannot be links."
    )
    warnings = [
        f"{loader.relative(file)}{_target(file)} is not read; allowed: {allowed}"
        f"{'' if file.name.startswith(tuple(kinds)) else suggestion(file.stem, kinds)}"
        for file in unread
        if not any(part.startswith(".") for part in file.relative_to(source).parts)
    ]
    for warning in warnings:
        logger.warning(warning)
    return warnings


def _target(file: Path) -> str:
    """The file that a link names, for a message; empty if this is no link."""
    return f" (a link to {os.path.realpath(file)})" if file.is_symlink() else ""


def check_catalog_entries(conf_files: ConfFiles) -> None:
    """Reject entries of the catalog that no dataset can be created from.

    Raises:
        InputError: An entry is not a mapping, has no type, unknown credentials, a null character or a
            path that cannot be, or is a pattern and has something in braces that its name lacks.
    """
    known = read_kind(conf_files.loader, "credentials")
    for name, entry in conf_files.loader["catalog"].items():
        if reason := _entry_fault(name, entry, known):
            raise conf_files.invalid([name], reason, "catalog")


def _entry_fault(name: str, entry: Any, credentials: Mapping[str, Any]) -> str:
    """The reason why an entry of the catalog cannot be used; empty if none is found."""
    if not (isinstance(entry, Mapping) and isinstance(entry.get("type"), str)):
        return "needs a mapping with a type, the class of the dataset"
    named = entry.get("credentials")
    if isinstance(named, str) and named not in credentials:
        return (
            f"credentials: {named!r} is not in credentials.yml; found there: "
            f"{', '.join(map(str, credentials)) or 'nothing'}.{suggestion(named, credentials)}"
        )
    allowed = re.findall(IN_BRACES, name)
    for key, value in flatten(entry):
        if isinstance(value, str) and NULL in value:
            return f"{key}: {value!r} contains a null character; allowed: text without it"
        is_path = isinstance(value, str) and key.rpartition(".")[2] in ("path", "filepath")
        if is_path and (reason := _wrong_path(value)):
            return (
                f"{key}: {value!r} {reason}; allowed: a path, relative to the project or from the root"
            )
        found = re.findall(IN_BRACES, value) if allowed and isinstance(value, str) else []
        if unknown := [text for text in found if text not in allowed]:
            return f"{key}: {unknown[0]} is not in the name of this entry; allowed: {', '.join(allowed)}"
    return ""


def create_datasets(conf_files: ConfFiles, catalog: DataCatalog, names: Iterable[str]) -> None:
    """Create the datasets before the run instead of at their first use.

    kedro-mlflow can switch tracking off only in datasets that exist before the run.

    Raises:
        InputError: A dataset cannot be created from its entry.
    """
    for name in names:
        reason = ""
        try:
            dataset = catalog.get(name, fallback_to_runtime_pattern=True)
        except DatasetError as error:
            entries = conf_files.loader["catalog"]
            reason = _explain_entry(entries.get(_entry_of(name, entries, catalog)), error)
        else:
            needed = _needed_kind(name)
            if needed is not None and not isinstance(dataset, needed):
                reason = (
                    f"type: {type(dataset).__name__} cannot hold this result; allowed: "
                    f"{datasets.__name__}.{needed.__name__}"
                )
        if reason:
            raise _invalid_entry(conf_files, catalog, name, reason)


def warn_of_unused_entries(
    conf_files: ConfFiles, catalog: DataCatalog, pipelines: Mapping[str, Pipeline]
) -> list[str]:
    """Warn of entries of the catalog that no pipeline uses, because their names can be misspelt.

    Entries in the base environment are those of the project. Some of them are for other experiments.

    Returns:
        The warnings.
    """
    loader = conf_files.loader
    # The loader reads all files at each access.
    entries = loader["catalog"]
    names = set().union(*(pipeline.datasets() for pipeline in pipelines.values()))
    used = {_entry_of(name, entries, catalog) for name in names}
    known = sorted(names | used)
    files = [
        file
        for env, files in loader.files("catalog").items()
        if env != loader.base_env
        for file in files
    ]
    warnings = [
        f"{loader.relative(file)}: {name}: no pipeline uses this entry.{suggestion(name, known)}"
        for file in files
        for name in read_file(file)
        if name not in used and not name.startswith("_")
    ]
    for warning in warnings:
        logger.warning(warning)
    return warnings


def check_untracked_pipelines(conf_files: ConfFiles, pipelines: Collection[str]) -> None:
    """Reject names of pipelines not to be tracked that no pipeline has.

    Args:
        conf_files: The configuration, with valid settings of MLflow.
        pipelines: Names of all pipelines.

    Raises:
        InputError: There is no such pipeline.
    """
    key = ("tracking", "disable_tracking", "pipelines")
    named = read_kind(conf_files.loader, "mlflow").get("tracking", {}).get("disable_tracking", {})
    for name in named.get("pipelines", []):
        if name not in pipelines:
            allowed = f"{', '.join(pipelines)}.{suggestion(name, pipelines)}"
            raise conf_files.invalid(key, f"there is no pipeline {name!r}; allowed: {allowed}", "mlflow")


def check_readable(conf_files: ConfFiles, pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Check that what a run reads has a place that can be read, or nothing there yet.

    Args:
        conf_files: The configuration that describes the catalog.
        pipeline: The nodes of the run.
        catalog: The catalog, with all datasets of the pipeline.

    Raises:
        InputError: A path is too long, leads through a file or a link to itself, or needs another user's
            permission.
    """
    for name in sorted(pipeline.inputs()):
        dataset = catalog.get(name)
        path = getattr(dataset, "_filepath", None) or getattr(dataset, "_path", None)
        if path is None or getattr(dataset, "_protocol", "file") != "file":
            continue
        if reason := _cannot_be_read(Path(path)):
            advice = (
                "allowed: another path, or one that you may read. conf/base/globals.yml names the "
                "folders of results and of images to classify"
            )
            raise _invalid_entry(conf_files, catalog, name, f"{path} cannot be read: {reason}; {advice}")


def check_results(pipeline: Pipeline, catalog: DataCatalog, pipelines: Mapping[str, Pipeline]) -> None:
    """Check that a run has the files that no node writes, and the results of nodes that it leaves out.

    Args:
        pipeline: The nodes of the run.
        catalog: The catalog, with all datasets of the pipeline.
        pipelines: All pipelines by name.

    Raises:
        StudyError: A file or a result is missing, a file that no node writes cannot be read, or an
            experiment's results are damaged. Chapters and figures may be missing.
    """
    written = set().union(*(other.all_outputs() for other in pipelines.values()))
    for name in sorted(pipeline.inputs() - written):
        dataset = catalog.get(name)
        # Files, those of Kedro's own datasets among them. Other datasets need none.
        if not isinstance(dataset, AbstractVersionedDataset | FileDataset):
            continue
        if reason := _cannot_be_loaded(dataset):
            file = getattr(dataset, "_filepath", name)
            raise StudyError(
                f"{name}: {file} {reason}. No node writes it: restore it, or change the filepath of "
                "this entry of the catalog"
            )
    for name in sorted(pipeline.inputs() & written):
        dataset = catalog.get(name)
        file = getattr(dataset, "_filepath", None)
        may_be_missing = file is None or name.endswith((".chapter", "_figure"))
        if isinstance(dataset, ResultsDataset) and dataset.exists():
            read_results(Path(str(file)), dataset.content)
        if dataset is None or may_be_missing or dataset.exists():
            continue
        raise StudyError(
            f"{name} is missing: {file} does not exist. No run with these settings has written it yet; "
            "start the run at an earlier node, or leave out the option that selects nodes"
        )


def check_settings(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Check that a run which starts in the middle goes on with the settings of the results before it.

    Without this, results would be described by settings that they were not computed with.

    Args:
        pipeline: The nodes of the run.
        catalog: The catalog, with all datasets of the pipeline and all parameters.

    Raises:
        StudyError: The settings have changed since a result was written.
    """
    for name in sorted(pipeline.inputs()):
        experiment, _, kind = name.rpartition(".")
        changed = ""
        # The node that reads a damaged file names it.
        with suppress(DatasetError):
            changed = _changed_group(experiment, kind, catalog)
        if changed:
            file = getattr(catalog.get(name), "_filepath", name)
            raise StudyError(
                f"{changed}: these settings have changed since {file} was written; start the run at an "
                "earlier node, or leave out the option that selects nodes. Trained trials are reused"
            )


def _changed_group(experiment: str, kind: str, catalog: DataCatalog) -> str:
    """The group of parameters that differs from that of a result; empty if none does.

    Args:
        experiment: Name of the experiment that the result belongs to, or empty.
        kind: Last part of the result's name in the catalog.
        catalog: Has the result and the parameters.
    """
    if kind == "data_summary":
        data = catalog.load("params:data").model_dump()
        return "" if catalog.load(kind).get("settings", data) == data else "data"
    if kind == "verdicts":
        chapter = catalog.load(f"{experiment.removeprefix('conclusions.')}.chapter")
        evidence = catalog.load("params:evidence").model_dump(mode="json")
        return "" if chapter is None or chapter["evidence"] == evidence else "evidence"
    if kind not in ("trials", "runs", "results"):
        return ""
    parameters = catalog.load(f"params:{experiment}")
    result = catalog.load(f"{experiment}.{kind}")
    moments = catalog.load("params:evaluation").moments
    if kind == "trials":
        try:
            expected = parameters.conditions_of(catalog.load("params:baseline"))
        except ParameterError:
            expected = []
        conditions = conditions_by_name(result)
        if conditions != {condition.name: condition for condition in expected}:
            return f"{experiment} or baseline"
        seeds = parameters.seeds or catalog.load("params:seeds")
        listed = {(trial.condition.name, trial.seed) for trial in result}
        return "" if listed == set(product(conditions, seeds.root)) else "seeds"
    if kind == "runs":
        trained = result.loc[result["status"] != "failed", "key"]
        store = catalog.load("trial_store")
        same = trained.empty or store.fetch(trained.iloc[0]).identity["moments"] == moments
        return "" if same else "evaluation.moments"
    if result is not None and result["moments"] != moments:
        return "evaluation.moments"
    same = result is None or ExperimentParameters.model_validate(result["experiment"]) == parameters
    return "" if same else experiment


def check_places(conf_files: ConfFiles, pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Check that the results of a run can be written, before anything is trained.

    Args:
        conf_files: The configuration that describes the catalog.
        pipeline: The nodes of the run.
        catalog: The catalog, with all datasets of the pipeline.

    Raises:
        InputError: A result's file or folder cannot be written, or is a folder or no folder.
        StudyError: The file of the looks is damaged.
    """
    outputs = pipeline.all_outputs()
    for name in sorted(pipeline.datasets()):
        dataset = catalog.get(name)
        if name not in outputs and not isinstance(dataset, LookLedgerDataset):
            continue
        file = getattr(dataset, "_filepath", None)
        if file is None or getattr(dataset, "_protocol", "file") != "file":
            continue
        if reason := _cannot_be_written(Path(file).absolute()):
            advice = (
                "allowed: a file in a folder that can be written. conf/base/globals.yml names the "
                "folders of results"
            )
            raise _invalid_entry(conf_files, catalog, name, f"{reason}; {advice}")
        if isinstance(dataset, LookLedgerDataset):
            dataset.load().read()


def _needed_kind(name: str) -> type[AbstractDataset[Any, Any]] | None:
    """The type that a dataset must have; None if others of Kedro's types can hold it, too."""
    if name.startswith("params:"):
        return None
    return datasets.FigureDataset if name.endswith("_figure") else KINDS.get(name.rpartition(".")[2])


def _entry_of(name: str, entries: Container[str], catalog: DataCatalog) -> str:
    """The entry of the catalog that describes a dataset: that of its name, or else a pattern."""
    return name if name in entries else catalog.config_resolver.match_dataset_pattern(name) or name


def _invalid_entry(conf_files: ConfFiles, catalog: DataCatalog, name: str, reason: str) -> InputError:
    """The error of a dataset whose entry of the catalog cannot be used."""
    entry = _entry_of(name, conf_files.loader["catalog"], catalog)
    return conf_files.invalid([entry], reason, "catalog")


def _explain_entry(entry: Any, error: DatasetError) -> str:
    """The reason why no dataset can be created from an entry, with the key and what is allowed."""
    reason = one_line(error.__cause__ or error)
    if not isinstance(entry, Mapping):
        return reason
    try:
        kind, _ = parse_dataset_definition(dict(entry))
    except DatasetError:
        own = [f"{datasets.__name__}.{name}" for name in datasets.__all__]
        given = str(entry["type"])
        return (
            f"type: there is no dataset {given!r}; allowed: {', '.join(own)}, or a dataset of an "
            f"installed package, such as pandas.CSVDataset.{suggestion(given, own)}"
        )
    unknown = re.search(r"unexpected keyword argument '(\w+)'", reason)
    if unknown is None:
        return reason
    allowed = [name for name in inspect.signature(kind).parameters if name not in ("args", "kwargs")]
    return (
        f"{unknown[1]}: {kind.__name__} has no such argument; allowed: {', '.join(allowed)}."
        f"{suggestion(unknown[1], allowed)}"
    )


def _cannot_be_loaded(dataset: AbstractDataset[Any, Any]) -> str:
    """The reason why a file cannot be read; empty if it can."""
    if not dataset.exists():
        return "does not exist"
    try:
        dataset.load()
    except DatasetError as error:
        return f"cannot be read: {one_line(error.__cause__ or error)}"
    return ""


def _cannot_be_read(path: Path) -> str:
    """The reason why a file or folder cannot be read; empty if it can, or if nothing is there."""
    try:
        needed = os.R_OK | os.X_OK if stat.S_ISDIR(path.stat().st_mode) else os.R_OK
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(path, needed) else os.strerror(errno.EACCES)


def _cannot_be_written(file: Path) -> str:
    """The reason why a file cannot be written; empty if it can."""
    try:
        return _no_place_for(file)
    except OSError as error:
        return f"{file} cannot be written: {error.strerror}"


def _no_place_for(file: Path) -> str:
    """The reason why a file cannot be in its folder; empty if it can.

    Raises:
        OSError: The system does not accept the path.
    """
    folder = next(parent for parent in file.parents if os.path.lexists(parent))
    if not folder.is_dir():
        return f"{folder} is not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written"
    if file.is_dir():
        return f"{file} is a folder"
    if file.exists() and not os.access(file, os.W_OK):
        return f"{file} cannot be written"
    return ""
