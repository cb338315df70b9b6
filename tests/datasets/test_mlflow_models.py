"""Networks in MLflow's model registry."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from kedro.io import DatasetError
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.tracking import MlflowClient

from cnn_ablation.datasets import MlflowChampionDataset, MlflowClassifierDataset, MlflowModelDataset
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.errors import StudyError
from cnn_ablation.evidence.champion import LOST, UNREAD
from cnn_ablation.serving.classifier import Classifier
from cnn_ablation.serving.served_classifier import SIGNATURE, example
from tests.conftest import JOURNAL_MODEL, empty_database
from tests.serving.test_classifier import DATA, save_served


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    """A registry with the model `cnn`, which has a version that no study has made."""
    folder = tmp_path_factory.mktemp("registry")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{shutil.copy(empty_database(), folder)}")
    client = MlflowClient()
    client.create_registered_model("cnn")
    (folder / "MLmodel").write_text("flavors: {}\n")
    client.create_model_version("cnn", str(folder))
    yield client
    mlflow.set_tracking_uri(before)


def test_without_an_alias_there_is_no_champion(registry: MlflowClient) -> None:
    assert MlflowChampionDataset("cnn").load() is None
    assert MlflowChampionDataset("other").load() is None


def test_a_champion_that_cannot_be_read_is_not_taken_for_absent(
    registry: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MlflowException("the server is down", error_code=TEMPORARILY_UNAVAILABLE)

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", fail)
    try:
        assert MlflowChampionDataset("cnn").load() == UNREAD
        assert tracking.fault == "the server is down"
    finally:
        tracking.begin()


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (None, {}),
        ("", {}),
        ("{", {}),
        ("[1]", {}),
        ("null", {}),
        (json.dumps({"mean": 91.0}), {"mean": 91.0}),
    ],
)
def test_any_version_can_be_champion(
    registry: MlflowClient, tag: str | None, expected: dict[str, Any]
) -> None:
    if tag is not None:
        registry.set_model_version_tag("cnn", "1", "winner", tag)
    registry.set_registered_model_alias("cnn", "champion", "1")
    assert MlflowChampionDataset("cnn").load() == expected


def test_a_model_of_another_kind_does_not_classify(registry: MlflowClient) -> None:
    registry.set_registered_model_alias("cnn", "champion", "1")
    with pytest.raises(DatasetError, match="models:/cnn@champion was not made by a study") as failure:
        MlflowClassifierDataset("cnn", "champion").load()
    assert isinstance(failure.value.__cause__, StudyError)


@pytest.fixture(scope="module")
def served(
    registry: MlflowClient, tmp_path_factory: pytest.TempPathFactory
) -> tuple[MlflowClassifierDataset, Path]:
    """The dataset of a registered classifier, and the folder of its model."""
    model = save_served(JOURNAL_MODEL.build((1, 28, 28), 4), tmp_path_factory.mktemp("served"))
    registry.create_registered_model("served")
    registry.create_model_version("served", str(model))
    return MlflowClassifierDataset("served", 1), model


INTRUDER = """
flavors: {python_function: {loader_module: intruder, code: code, env: {}}}
"""


@pytest.mark.parametrize("description", [INTRUDER, "{[", "flavors: 5", None])
def test_no_code_of_the_registry_runs_and_no_description_is_read(
    served: tuple[MlflowClassifierDataset, Path], tmp_path: Path, description: str | None
) -> None:
    dataset, folder = served
    file = folder / "MLmodel"
    whole = file.read_bytes()
    file.unlink()
    if description is not None:
        file.write_text(description)
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code/intruder.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (folder / "python_model.pkl").write_bytes(b"cbuiltins\neval\n.")
    try:
        model = dataset.load_served()
    finally:
        file.write_bytes(whole)
    assert model.metadata.signature == SIGNATURE
    assert model.predict(example((1, 28, 28)))["class"].isin(DATA["class_names"]).all()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_classifier_of_a_served_model_names_its_file(
    served: tuple[MlflowClassifierDataset, Path],
) -> None:
    dataset, folder = served
    assert dataset.load_served().metadata.get_params_schema() is not None
    (folder / "artifacts/classifier/classifier.json").write_text("{}")
    with pytest.raises(StudyError, match=r"is damaged \(classifier\.json: model: Field required\)"):
        dataset.load_served()


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def empty(folder: Path) -> None:
    """An empty folder, which MLflow's server shows in place of a missing one."""
    shutil.rmtree(folder)
    folder.mkdir()


def cut_weights(folder: Path) -> None:
    (folder / "artifacts/classifier/weights.safetensors").write_bytes(b"cut")


def remove_classifier(folder: Path) -> None:
    shutil.rmtree(folder / "artifacts/classifier")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove, "The artifacts of version 1 of the model remove (models:/remove@champion) are gone: "),
        (empty, "The artifacts of version 1 of the model empty (models:/empty@champion) are gone: "),
        (cut_weights, "is damaged (weights.safetensors: "),
        (remove_classifier, "is damaged (classifier.json: FileNotFoundError: "),
    ],
)
def test_a_champion_whose_files_are_gone_or_damaged_is_named_and_lost(
    registry: MlflowClient, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    model = save_served(JOURNAL_MODEL.build((1, 28, 28), 4), tmp_path)
    name = spoil.__name__
    registry.create_registered_model(name)
    registry.create_model_version(name, str(model), tags={"winner": json.dumps({"mean": 91.0})})
    registry.set_registered_model_alias(name, "champion", "1")
    assert MlflowChampionDataset(name).load() == {"mean": 91.0}
    spoil(model)
    with pytest.raises(StudyError) as caught:
        MlflowClassifierDataset(name, "champion").load_served()
    assert str(model) in str(caught.value)
    assert message in str(caught.value)
    assert MlflowChampionDataset(name).load() == LOST


def test_a_champion_that_cannot_be_read_now_is_not_lost(
    registry: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_served(JOURNAL_MODEL.build((1, 28, 28), 4), tmp_path)
    registry.create_registered_model("unreadable")
    registry.create_model_version("unreadable", str(model))
    registry.set_registered_model_alias("unreadable", "champion", "1")
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "weights.safetensors":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StudyError, match=r"weights\.safetensors cannot be read: Permission"):
        MlflowClassifierDataset("unreadable", "champion").load_served()
    assert MlflowChampionDataset("unreadable").load() == UNREAD


def test_every_user_whom_the_umask_allows_can_read_a_classifier(tmp_path: Path) -> None:
    save_served(JOURNAL_MODEL.build((1, 28, 28), 4), tmp_path)
    (tmp_path / "other").touch()
    modes = {file.stat().st_mode for file in tmp_path.rglob("weights.safetensors")}
    assert modes == {(tmp_path / "other").stat().st_mode}


def test_a_model_whose_classes_are_renamed_is_logged_again(
    registry: MlflowClient, tmp_path: Path
) -> None:
    experiment = registry.create_experiment("renamed", tmp_path.as_uri())
    weights = JOURNAL_MODEL.build((1, 28, 28), 4).state_dict()

    def log(*class_names: str) -> str | None:
        dataset = MlflowModelDataset("cnn")
        classifier = Classifier(JOURNAL_MODEL, weights, {**DATA, "class_names": list(class_names)})
        with mlflow.start_run(experiment_id=experiment):
            dataset.save({"key": "one", "classifier": classifier})
        return dataset.load()

    first = log("cat", "dog", "hen", "pig")
    second = log("car", "dog", "hen", "pig")
    assert second != first
    assert log("car", "dog", "hen", "pig") == second
    assert log("cat", "dog", "hen", "pig") == first


@pytest.mark.parametrize(
    "lost", ["", "artifacts/MLmodel", "artifacts/artifacts/classifier/weights.safetensors"]
)
def test_a_model_that_lacks_files_is_logged_again(
    registry: MlflowClient, tmp_path: Path, lost: str
) -> None:
    experiment = registry.create_experiment(f"logged {lost}", tmp_path.as_uri())
    network = JOURNAL_MODEL.build((1, 28, 28), 4)
    classifier = Classifier(JOURNAL_MODEL, network.state_dict(), DATA)

    def log() -> str | None:
        dataset = MlflowModelDataset("cnn")
        with mlflow.start_run(experiment_id=experiment):
            dataset.save({"key": "one", "classifier": classifier})
        return dataset.load()

    first = log()
    assert log() == first
    (model,) = (tmp_path / "models").iterdir()
    place = model / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    second = log()
    assert second != first
    assert log() == second
