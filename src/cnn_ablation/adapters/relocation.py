"""The paths of artifacts in MLflow's database, which are absolute and wrong once a project was moved."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cnn_ablation.adapters.conf_files import ConfFiles
from cnn_ablation.adapters.tracking_store import sqlite_file
from cnn_ablation.errors import StudyError

COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns of MLflow's database that hold places of artifacts.

MLflow has neither a command nor a function that changes them.
"""


class LocalDatabase(NamedTuple):
    """The local tracking of runs that conf describes.

    Args:
        database: File of the SQLite database.
        experiment: Name of the experiment in MLflow.
        artifacts: Folder of the experiment's artifacts.
    """

    database: Path
    experiment: str
    artifacts: Path

    @classmethod
    def of(cls, conf_files: ConfFiles) -> "LocalDatabase | None":
        """Read conf. None if runs are not tracked in a SQLite database with a folder of artifacts."""
        conf = conf_files.loader["mlflow"]
        uri = (conf.get("server") or {}).get("mlflow_tracking_uri") or ""
        experiment = (conf.get("tracking") or {}).get("experiment") or {}
        artifacts = (experiment.get("create_experiment_kwargs") or {}).get("artifact_location")
        database = sqlite_file(uri)
        if database is None or not artifacts or not experiment.get("name"):
            return None
        folder = _as_path(artifacts)
        if folder is None:
            return None
        root = conf_files.project_path
        return cls(root / database, experiment["name"], root / folder)

    def moved_from(self) -> Path | None:
        """The folder that the database has as that of the artifacts, if the project was moved or copied.

        None if it is the one of conf, or if it was chosen on purpose: it can be seen, and that of conf
        cannot. MLflow uses the folder that an experiment was created with, whatever conf says later.
        """
        if not self.database.is_file():
            return None
        with closing(sqlite3.connect(self.database)) as connection:
            try:
                row = connection.execute(
                    "SELECT artifact_location FROM experiments WHERE name = ?", [self.experiment]
                ).fetchone()
            except sqlite3.Error:  # MLflow reports a database that it cannot use.
                return None
        recorded = _as_path(row[0]) if row else None
        if recorded is None or recorded == self.artifacts:
            return None
        return None if _is_visible(recorded) and not _is_visible(self.artifacts) else recorded

    def relocate(self, old: Path) -> int:
        """Replace a folder by that of conf at the beginning of all places of artifacts.

        Args:
            old: See `moved_from`.

        Returns:
            Number of places that were corrected.

        Raises:
            StudyError: The database cannot be changed. It is as it was.
        """
        try:
            with closing(sqlite3.connect(self.database)) as connection, connection:
                return self._replace_places(connection, old)
        except sqlite3.Error as error:
            raise StudyError(
                f"{self.database} cannot be changed ({error}): end the runs and servers that use it, "
                "and try again"
            ) from None

    def _replace_places(self, connection: sqlite3.Connection, old: Path) -> int:
        new = self.artifacts.as_uri()
        count = 0
        for table, column in COLUMNS:
            for before in (old.as_uri(), old.as_posix()):
                count += connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    [new, len(before) + 1, before, len(before) + 1, f"{before}/"],
                ).rowcount
        return count


def check_place(conf_files: ConfFiles) -> None:
    """Check that MLflow's database names this project's folder of artifacts.

    Raises:
        StudyError: The project was moved or copied.
    """
    local = LocalDatabase.of(conf_files)
    old = local.moved_from() if local is not None else None
    if local is not None and old is not None:
        loader = conf_files.loader
        option = f" --env={loader.env}" if loader.env not in (None, loader.default_run_env) else ""
        raise StudyError(
            f"This project was moved or copied: {local.database.name} has its artifacts in {old} "
            f"instead of {local.artifacts}. Correct this with `kedro relocate{option}`, and run again"
        )


def _is_visible(folder: Path) -> bool:
    """Whether there is a folder, and not below one that this user may not enter."""
    try:
        return folder.is_dir()
    except OSError:
        return False


def _as_path(place: str) -> Path | None:
    """The path of a place of artifacts, or None if it is not on this machine."""
    address = urlsplit(place)
    if address.scheme == "file":
        return Path(url2pathname(address.path))
    # One letter is a drive of Windows.
    return Path(place) if len(address.scheme) < 2 else None
