"""Checks of the configuration and of the command's options, before anything runs."""

import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline

from cnn_ablation.adapters.configuration import Configuration
from cnn_ablation.errors import InputError, suggestion

SERVER_TIMEOUT = 5
"""Seconds in which a tracking server must answer."""


def check_environment(configuration: Configuration) -> None:
    """Reject an environment that has no folder.

    Raises:
        InputError: There is no such folder. The message names the environments that exist.
    """
    loader = configuration.loader
    source, name = Path(loader.conf_source), loader.env or loader.default_run_env
    if not source.is_dir() or (source / name).is_dir():
        return  # Kedro can also read an archive or a remote folder, which are not checked.
    allowed = sorted(folder.name for folder in source.iterdir() if folder.is_dir())
    raise InputError(
        f"--env: no environment {name!r} in {source}; allowed: {', '.join(allowed)}."
        f"{suggestion(name, allowed)}"
    )


def check_server(configuration: Configuration) -> None:
    """Check that a tracking server answers. Without this check, kedro-mlflow would wait for minutes.

    Raises:
        InputError: It does not answer.
    """
    uri = configuration.loader["mlflow"].get("server", {}).get("mlflow_tracking_uri") or ""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT)
    except urllib.error.HTTPError:
        pass  # The server answers, although it may require credentials.
    except OSError as error:
        place = configuration.place_of(["server", "mlflow_tracking_uri"], "mlflow")
        raise InputError(
            f"{place}: server.mlflow_tracking_uri: {uri} cannot be reached "
            f"({getattr(error, 'reason', error)}). Start that server, name another one, or "
            "leave the key out to track in mlflow.db"
        ) from None


def check_catalog_entries(configuration: Configuration) -> None:
    """Reject entries of the catalog that no dataset can be created from.

    Raises:
        InputError: An entry is not a mapping, or has no type.
    """
    for name, entry in configuration.loader["catalog"].items():
        if not (isinstance(entry, Mapping) and "type" in entry) and not name.startswith("_"):
            place = configuration.place_of([name], "catalog")
            raise InputError(f"{place}: {name}: needs a mapping with a type, the class of the dataset")


def create_datasets(configuration: Configuration, catalog: DataCatalog, names: Iterable[str]) -> None:
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
            place = configuration.place_of([entry], "catalog")
            reason = " ".join(str(error.__cause__ or error).split())
            raise InputError(f"{place}: {entry}: {reason}") from None


def wrong_selection(options: Mapping[str, Any], pipelines: Mapping[str, Pipeline]) -> str | None:
    """Explain why the options of a run select nothing.

    Args:
        options: Arguments of `KedroSession.run`.
        pipelines: All pipelines by name.

    Returns:
        An error message that names the option, or None if there is something to run.
    """
    names = options.get("pipeline_names") or ["__default__"]
    for name in names:
        if name not in pipelines:
            allowed = [other for other in pipelines if other != "__default__"]
            listed = ", ".join(allowed)
            return f"--pipeline: no pipeline {name!r}; allowed: {listed}.{suggestion(name, allowed)}"
    pipeline = sum((pipelines[name] for name in names), Pipeline([]))
    nodes = {node.name for node in pipeline.nodes}
    tags = {tag for node in pipeline.nodes for tag in node.tags}
    namespaces = {node.namespace for node in pipeline.nodes if node.namespace}
    filters = {}
    for option, argument, kind, known in (
        ("--tags", "tags", "tag", tags),
        ("--nodes", "node_names", "node", nodes),
        ("--from-nodes", "from_nodes", "node", nodes),
        ("--to-nodes", "to_nodes", "node", nodes),
        ("--from-inputs", "from_inputs", "dataset", pipeline.datasets()),
        ("--to-outputs", "to_outputs", "dataset", pipeline.datasets()),
        ("--namespaces", "namespaces", "namespace", namespaces),
    ):
        given = filters[argument] = options.get(argument) or ()
        for name in given:
            if name not in known:
                return f"{option}: no {kind} {name!r} in {', '.join(names)}.{suggestion(name, known)}"
    try:
        pipeline.filter(node_namespaces=filters.pop("namespaces"), **filters)
    except ValueError:
        return "the options together leave no node to run"
    return None
