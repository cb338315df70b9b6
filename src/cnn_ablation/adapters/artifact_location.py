"""The place of an experiment's artifacts, checked before MLflow creates the experiment."""

import logging
import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cnn_ablation.adapters.conf_files import ConfFiles
from cnn_ablation.adapters.tracking_settings import CONTROL_CHARACTER, EXPERIMENT
from cnn_ablation.errors import one_line
from cnn_ablation.secret_texts import hide_secrets

logger = logging.getLogger(__name__)

KEY = (*EXPERIMENT, "create_experiment_kwargs", "artifact_location")
"""Steps of the key in mlflow.yml that names the place."""

ALLOWED = "allowed: a folder that can be created and written, or an address such as s3://bucket/folder"

LATE_CLIENTS = {"s3": "boto3"}
"""Packages that MLflow imports only when it writes the first artifact, by scheme."""


def check_text(conf_files: ConfFiles, location: str) -> None:
    """Reject a text that is no place, such as an empty one.

    Raises:
        InputError: MLflow would write elsewhere, or nowhere.
    """
    if not location.strip():
        raise conf_files.invalid(KEY, f"is empty; {ALLOWED}", "mlflow")
    if location.startswith("~"):
        reason = f"{location!r} begins with ~, which MLflow takes for the name of a folder"
        raise conf_files.invalid(KEY, f"{reason}; {ALLOWED}, without ~", "mlflow")
    if CONTROL_CHARACTER.search(location):
        raise conf_files.invalid(
            KEY, f"has a control character, such as a line break; {ALLOWED}", "mlflow"
        )


def address_of(location: str, project: Path) -> str:
    """The place as an address. A path is relative to the project."""
    return location if urlsplit(location).scheme else (project / location).absolute().as_uri()


def check_usable(conf_files: ConfFiles, address: str, uri: str) -> None:
    """Check that MLflow can write to a place. A folder on this machine is created.

    Args:
        conf_files: Find the file that names the place.
        address: See `address_of`.
        uri: Address of the server or database.

    Raises:
        InputError: It cannot.
    """
    try:
        _try(address, uri)
    except Exception as error:  # The client of a store can raise any error.
        reason = hide_secrets(one_line(error)).rstrip(".")
        shown = hide_secrets(address)
        raise conf_files.invalid(
            KEY, f"{shown} cannot be used ({reason}); {ALLOWED}", "mlflow"
        ) from None


def warn_of_another(conf_files: ConfFiles, experiment: Any, address: str, in_file: bool) -> None:
    """Warn if an experiment keeps its artifacts elsewhere than conf says.

    Args:
        conf_files: Find the file that names the place.
        experiment: The experiment as MLflow has it.
        address: See `address_of`.
        in_file: Whether the experiment is in an SQLite database. If so, `relocation` reports a project
            that was moved.
    """
    kept, named = _comparable(experiment.artifact_location), _comparable(address)
    moved = in_file and isinstance(kept, Path) and isinstance(named, Path) and not kept.is_dir()
    if kept != named and not moved:
        logger.warning(
            "%s: %s: %s is not used: the experiment %s was created with %s and keeps it. To change the "
            "place, name another experiment",
            *(conf_files.place_of(KEY, "mlflow"), ".".join(KEY), hide_secrets(str(named))),
            *(experiment.name, hide_secrets(str(kept))),
        )


def _try(address: str, uri: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    repository = get_artifact_repository(address, uri)
    if client := LATE_CLIENTS.get(urlsplit(address).scheme):
        import_module(client)
    if isinstance(repository, LocalArtifactRepository):
        folder = Path(repository.artifact_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def _comparable(address: str) -> Path | str:
    """A place in one spelling: a path if it is on this machine."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    if urlsplit(address).scheme in ("", "file"):
        return Path(os.path.realpath(local_file_uri_to_path(address)))
    return address.rstrip("/")
