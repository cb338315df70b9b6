"""Checks of the configuration, before anything runs."""

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline

from cnn_ablation.adapters.conf_files import ConfFiles, read_kind
from cnn_ablation.adapters.config_loader import NOT_IN_MODEL_NAMES, SUFFIXES
from cnn_ablation.datasets import LookLedgerDataset, ResultsDataset
from cnn_ablation.datasets.chapters import read_results
from cnn_ablation.errors import InputError, StudyError, one_line, suggestion

logger = logging.getLogger(__name__)

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


def check_environment(conf_files: ConfFiles) -> None:
    """Reject an environment that has no folder.

    Raises:
        InputError: There is no such folder. The message names the environments that exist.
    """
    loader = conf_files.loader
    source, name = Path(loader.conf_source), loader.env or loader.default_run_env
    if not source.is_dir() or (source / name).is_dir():
        return  # Kedro can also read an archive or a remote folder, which are not checked.
    allowed = sorted(folder.name for folder in source.iterdir() if folder.is_dir())
    raise InputError(
        f"--env: no environment {name!r} in {source}; allowed: {', '.join(allowed)}."
        f"{suggestion(name, allowed)}"
    )


def check_globals(conf_files: ConfFiles) -> None:
    """Reject globals without a value that the catalog needs.

    Raises:
        InputError: A value is missing, or is not text.
    """
    values = conf_files.loader["globals"]
    for key in GLOBALS:
        value = values.get(key)
        if not (isinstance(value, str) and value.strip()) and not (
            key == "predict_with" and type(value) is int
        ):
            place = conf_files.place_of([key], "globals")
            found = "is missing" if key not in values else f"{value!r} is not text"
            raise InputError(
                f"{place or 'conf/base/globals.yml'}: {key}: {found}; allowed: a folder or "
                f"a name, such as {GLOBALS[key]}"
            )
    name = values["registered_model"]
    if refused := [character for character in NOT_IN_MODEL_NAMES if character in name]:
        place = conf_files.place_of(["registered_model"], "globals")
        raise InputError(
            f"{place}: registered_model: {name!r} contains {' '.join(refused)}; allowed: a name "
            f"without {' '.join(NOT_IN_MODEL_NAMES)}, such as {GLOBALS['registered_model']}"
        )


def warn_of_unread_files(conf_files: ConfFiles) -> list[str]:
    """Warn of files in conf that Kedro does not read, because of their name or their folder.

    Returns:
        The warnings.
    """
    loader = conf_files.loader
    source, kinds = Path(loader.conf_source), list(loader.config_patterns)
    read = {file for kind in kinds for files in loader.files(kind).values() for file in files}
    environments = [source / name for name in loader.files("parameters")]
    found = [file for folder in environments for file in sorted(folder.rglob("*"))]
    found += [file for file in sorted(source.glob("*")) if file.name != "logging.yml"]
    warnings = [
        f"{loader.relative(file)} is not read; allowed: files {', '.join(SUFFIXES)} in "
        f"{loader.relative(environments[-1])} whose names begin with {', '.join(kinds)}."
        f"{suggestion(file.stem, kinds)}"
        for file in found
        if file not in read
        and file.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(source).parts)
    ]
    for warning in warnings:
        logger.warning(warning)
    return warnings


def check_catalog_entries(conf_files: ConfFiles) -> None:
    """Reject entries of the catalog that no dataset can be created from.

    Raises:
        InputError: An entry is not a mapping, or has no type or unknown credentials.
    """
    known = read_kind(conf_files.loader, "credentials")
    for name, entry in conf_files.loader["catalog"].items():
        if not (isinstance(entry, Mapping) and "type" in entry) and not name.startswith("_"):
            place = conf_files.place_of([name], "catalog")
            raise InputError(f"{place}: {name}: needs a mapping with a type, the class of the dataset")
        credentials = entry.get("credentials") if isinstance(entry, Mapping) else None
        if isinstance(credentials, str) and credentials not in known:
            place = conf_files.place_of([name], "catalog")
            raise InputError(
                f"{place}: {name}: credentials: {credentials!r} is not in credentials.yml; found there: "
                f"{', '.join(map(str, known)) or 'nothing'}.{suggestion(credentials, known)}"
            )


def create_datasets(conf_files: ConfFiles, catalog: DataCatalog, names: Iterable[str]) -> None:
    """Create the datasets before the run instead of at their first use.

    kedro-mlflow can switch tracking off only in datasets that exist before the run.

    Raises:
        InputError: A dataset cannot be created from its entry.
    """
    for name in names:
        try:
            catalog.get(name, fallback_to_runtime_pattern=True)
        except DatasetError as error:
            entry = catalog.config_resolver.match_dataset_pattern(name) or name
            place = conf_files.place_of([entry], "catalog")
            raise InputError(f"{place}: {entry}: {one_line(error.__cause__ or error)}") from None


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
            raise InputError(
                f"{conf_files.place_of(key, 'mlflow') or 'conf'}: {'.'.join(key)}: there is no pipeline "
                f"{name!r}; allowed: {', '.join(pipelines)}.{suggestion(name, pipelines)}"
            )


def check_results(pipeline: Pipeline, catalog: DataCatalog, pipelines: Mapping[str, Pipeline]) -> None:
    """Check that a run which starts in the middle has the results of the nodes before it.

    Args:
        pipeline: The nodes of the run.
        catalog: The catalog, with all datasets of the pipeline.
        pipelines: All pipelines by name.

    Raises:
        StudyError: A result is missing, or an experiment's results are damaged. Chapters and figures may
            be missing.
    """
    written = set().union(*(other.all_outputs() for other in pipelines.values()))
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


def check_places(conf_files: ConfFiles, pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Check that the results of a run can be written, before anything is trained.

    Args:
        conf_files: The configuration that describes the catalog.
        pipeline: The nodes of the run.
        catalog: The catalog, with all datasets of the pipeline.

    Raises:
        InputError: A result's file or folder cannot be written, or is a folder or no folder.
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
            entry = catalog.config_resolver.match_dataset_pattern(name) or name
            place = conf_files.place_of([entry], "catalog") or "conf"
            raise InputError(
                f"{place}: {entry}: {reason}; allowed: a file in a folder that can be written. "
                "conf/base/globals.yml names the folders of results"
            )


def _cannot_be_written(file: Path) -> str:
    """The reason why a file cannot be written; empty if it can."""
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
