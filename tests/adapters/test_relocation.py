"""Projects that were moved or copied."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cnn_ablation.adapters.conf_files import ConfFiles
from cnn_ablation.adapters.relocation import COLUMNS, LocalDatabase, check_place
from cnn_ablation.errors import StudyError

NAME = "study"


def places(local: LocalDatabase) -> dict[str, list[str | None]]:
    """All places of artifacts in the database."""
    with closing(sqlite3.connect(local.database)) as connection:
        return {
            f"{table}.{column}": [row[0] for row in connection.execute(f"SELECT {column} FROM {table}")]
            for table, column in COLUMNS
        }


def make_database(folder: Path, artifacts: Path) -> LocalDatabase:
    """A database in a folder, as MLflow makes it, with artifacts somewhere else."""
    folder.mkdir()
    local = LocalDatabase(folder / "mlflow.db", NAME, folder / "mlartifacts")
    place = artifacts.as_uri()
    with closing(sqlite3.connect(local.database)) as connection, connection:
        connection.execute("CREATE TABLE experiments (name, artifact_location)")
        connection.execute("CREATE TABLE runs (artifact_uri)")
        connection.execute("CREATE TABLE logged_models (artifact_location)")
        connection.execute("CREATE TABLE model_versions (source, storage_location)")
        rows = [(NAME, place), ("other", "s3://bucket"), ("old", artifacts.as_posix())]
        connection.executemany("INSERT INTO experiments VALUES (?, ?)", rows)
        runs = [(f"{place}/1/artifacts",), (f"{place}2/2/artifacts",)]
        connection.executemany("INSERT INTO runs VALUES (?)", runs)
        connection.execute("INSERT INTO logged_models VALUES (?)", [f"{place}/models/m-1"])
        connection.execute(
            "INSERT INTO model_versions VALUES (?, ?)", ["models:/m-1", f"{place}/models/m-1"]
        )
    return local


@pytest.mark.parametrize("copied", [False, True])
def test_places_of_a_moved_or_copied_project_are_corrected(tmp_path: Path, copied: bool) -> None:
    old = tmp_path / "my old" / "mlartifacts"
    local = make_database(tmp_path / "my new", old)
    if copied:
        old.mkdir(parents=True)
    local.artifacts.mkdir()
    assert local.moved_from() == old
    assert local.relocate(old) == 5
    assert local.moved_from() is None
    new = local.artifacts.as_uri()
    assert places(local) == {
        "experiments.artifact_location": [new, "s3://bucket", new],
        "runs.artifact_uri": [f"{new}/1/artifacts", f"{old.as_uri()}2/2/artifacts"],
        "logged_models.artifact_location": [f"{new}/models/m-1"],
        "model_versions.source": ["models:/m-1"],
        "model_versions.storage_location": [f"{new}/models/m-1"],
    }


def test_a_database_in_use_is_named_and_stays_as_it_was(tmp_path: Path) -> None:
    old = tmp_path / "old" / "mlartifacts"
    local = make_database(tmp_path / "new", old)
    before = places(local)
    with closing(sqlite3.connect(local.database)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StudyError, match=r"mlflow\.db cannot be changed .*locked.*end the runs"):
            local.relocate(old)
    assert places(local) == before


def test_a_folder_chosen_on_purpose_stays(tmp_path: Path) -> None:
    chosen = tmp_path / "large disk"
    chosen.mkdir()
    assert make_database(tmp_path / "project", chosen).moved_from() is None


def test_a_folder_that_the_user_cannot_see_was_not_chosen(tmp_path: Path) -> None:
    # Like the home of another user, but for the superuser too, a name that is too long gives an error.
    unseen = tmp_path / ("x" * 300) / "mlartifacts"
    assert make_database(tmp_path / "project", unseen).moved_from() == unseen


@pytest.mark.parametrize("place", ["mlflow-artifacts:/1", "s3://bucket", "dbfs:/1"])
def test_artifacts_on_a_server_were_not_moved(tmp_path: Path, place: str) -> None:
    local = make_database(tmp_path / "project", tmp_path / "gone")
    with closing(sqlite3.connect(local.database)) as connection, connection:
        connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", [place, NAME])
    assert local.moved_from() is None


def test_without_a_database_or_an_experiment_nothing_was_moved(tmp_path: Path) -> None:
    local = LocalDatabase(tmp_path / "mlflow.db", NAME, tmp_path / "mlartifacts")
    assert local.moved_from() is None
    local.database.write_text("garbage")
    assert local.moved_from() is None
    made = make_database(tmp_path / "project", tmp_path / "gone")
    assert made._replace(experiment="new").moved_from() is None


class Loader(dict[str, Any]):
    """A substitute for Kedro's loader, which would register its resolvers for the whole process."""

    env: str | None = None
    default_run_env = "local"


def conf_files(folder: Path, uri: str | None, artifacts: str | None) -> ConfFiles:
    """Conf as far as it says where runs are tracked."""
    experiment = {"name": NAME, "create_experiment_kwargs": {"artifact_location": artifacts}}
    loader = Loader(
        mlflow={"server": {"mlflow_tracking_uri": uri}, "tracking": {"experiment": experiment}}
    )
    return ConfFiles(loader, folder)  # type: ignore[arg-type]


def test_a_run_in_a_moved_project_names_the_command_that_corrects_it(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    local = make_database(folder, tmp_path / "old" / "mlartifacts")
    conf = conf_files(folder, f"sqlite:///{local.database}", str(local.artifacts))
    assert LocalDatabase.of(conf) == local
    assert LocalDatabase.of(conf_files(folder, "sqlite:///mlflow.db", "mlartifacts")) == local
    encoded = tmp_path / "a %20?b"
    moved = make_database(encoded, tmp_path / "old" / "mlartifacts")
    address = f"sqlite:///{tmp_path}/a %2520%3Fb/mlflow.db"
    assert LocalDatabase.of(conf_files(encoded, address, str(encoded / "mlartifacts"))) == moved
    with pytest.raises(StudyError, match=r"mlflow\.db has its artifacts in .*old.*`kedro relocate`"):
        check_place(conf)
    conf.loader.env = "demo"
    with pytest.raises(StudyError, match="`kedro relocate --env=demo`"):
        check_place(conf)
    local.relocate(tmp_path / "old" / "mlartifacts")
    check_place(conf)


@pytest.mark.parametrize(
    ("uri", "artifacts"),
    [
        ("http://127.0.0.1:5000", None),
        (None, None),
        ("sqlite:///a.db", None),
        ("sqlite:///a.db", "s3://b"),
        ("sqlite:///a.db", "mlflow-artifacts:/1"),
    ],
)
def test_other_ways_of_tracking_are_left_alone(
    tmp_path: Path, uri: str | None, artifacts: str | None
) -> None:
    assert LocalDatabase.of(conf_files(tmp_path, uri, artifacts)) is None
