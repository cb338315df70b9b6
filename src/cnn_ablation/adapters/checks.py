"""Checks of the configuration, before anything runs."""

import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path

from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline

from cnn_ablation.adapters.conf_files import ConfFiles
from cnn_ablation.errors import InputError, StudyError, suggestion

SERVER_TIMEOUT = 5
"""Seconds in which a tracking server must answer."""


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


def check_server(conf_files: ConfFiles) -> None:
    """Check that a tracking server answers. Without this check, kedro-mlflow would wait for minutes.

    Raises:
        InputError: It does not answer.
    """
    uri = conf_files.loader["mlflow"].get("server", {}).get("mlflow_tracking_uri") or ""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT)
    except urllib.error.HTTPError:
        pass  # The server answers, although it may require credentials.
    except OSError as error:
        place = conf_files.place_of(["server", "mlflow_tracking_uri"], "mlflow")
        raise InputError(
            f"{place}: server.mlflow_tracking_uri: {uri} cannot be reached "
            f"({getattr(error, 'reason', error)}). Start that server, name another one, or "
            "leave the key out to track in mlflow.db"
        ) from None


def check_catalog_entries(conf_files: ConfFiles) -> None:
    """Reject entries of the catalog that no dataset can be created from.

    Raises:
        InputError: An entry is not a mapping, or has no type.
    """
    for name, entry in conf_files.loader["catalog"].items():
        if not (isinstance(entry, Mapping) and "type" in entry) and not name.startswith("_"):
            place = conf_files.place_of([name], "catalog")
            raise InputError(f"{place}: {name}: needs a mapping with a type, the class of the dataset")


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
            reason = " ".join(str(error.__cause__ or error).split())
            raise InputError(f"{place}: {entry}: {reason}") from None


def check_results(pipeline: Pipeline, catalog: DataCatalog, pipelines: Mapping[str, Pipeline]) -> None:
    """Check that a run which starts in the middle has the results of the nodes before it.

    Args:
        pipeline: The nodes of the run.
        catalog: The catalog, with all datasets of the pipeline.
        pipelines: All pipelines by name.

    Raises:
        StudyError: A result is missing. Chapters and figures may be missing.
    """
    written = set().union(*(other.all_outputs() for other in pipelines.values()))
    for name in sorted(pipeline.inputs() & written):
        dataset = catalog.get(name)
        file = getattr(dataset, "_filepath", None)
        may_be_missing = file is None or name.endswith((".chapter", "_figure"))
        if dataset is None or may_be_missing or dataset.exists():
            continue
        raise StudyError(
            f"{name} is missing: {file} does not exist. No run with these settings has come so far; "
            "start the run at an earlier node, or leave out the option that selects nodes"
        )
