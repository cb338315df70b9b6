"""Networks as MLflow models, and the model registry."""

import json
import logging
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset

from cnn_ablation.datasets.base import ReadOnlyDataset
from cnn_ablation.datasets.tracking import tracking
from cnn_ablation.errors import LostModelError, StudyError
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.workarounds import TrackingSwitch

logger = logging.getLogger(__name__)

CHAMPION = "champion"
"""Alias of the best version of the registered model."""

WINNER = "winner"
"""Tag of a version: the result of `champion.choose_winner` as JSON."""


NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Codes of MLflow's errors if there is no such model, or no such alias of it."""


class MlflowChampionDataset(ReadOnlyDataset[dict[str, Any] | None]):
    """The winner whose version has the alias `champion` in MLflow's registry.

    Args:
        name: Name of the registered model.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, name: str, metadata: dict[str, Any] | None = None) -> None:
        self._name = name
        self.metadata = metadata

    def load(self) -> dict[str, Any] | None:
        """Return the result of `champion.choose_winner`, or None if there is no champion.

        The dictionary is empty if the champion was not registered by a study, `champion.LOST` if its
        files are gone or damaged, and `champion.UNREAD` if they cannot be read now, or tracking has
        failed.
        """
        from cnn_ablation.evidence.champion import UNREAD

        unread: dict[str, Any] | None = UNREAD
        return tracking.attempt(self._read, unread)

    def _read(self) -> dict[str, Any] | None:
        from cnn_ablation.evidence.champion import LOST, UNREAD

        version = _find_version(self._name, CHAMPION)
        if version is None:
            return None
        try:
            if MlflowClassifierDataset(self._name, CHAMPION).is_lost():
                return LOST
        except (StudyError, OSError) as error:
            logger.warning("The champion is not known: %s", error)
            return UNREAD
        try:
            winner = json.loads(version.tags.get(WINNER, "{}"))
        except (ValueError, RecursionError):
            winner = {}
        return winner if isinstance(winner, dict) else {}

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name}


class MlflowClassifierDataset(ReadOnlyDataset[Any]):
    """The classifier of a version of the registered model.

    Args:
        name: Name of the registered model.
        model_version: Alias, such as champion, or number of the version.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self, name: str, model_version: str | int, metadata: dict[str, Any] | None = None
    ) -> None:
        self._name = name
        self._version = str(model_version)
        self.metadata = metadata

    def load(self) -> Any:
        """Return a `serving.classifier.Classifier`.

        Raises:
            StudyError: There is no such version, it is not a classifier of this project, or its files
                are gone or damaged.
        """
        from cnn_ablation.serving.classifier import Classifier

        return Classifier.load(self._own_folder() / _artifact())

    def is_lost(self) -> bool:
        """Whether the version's files are gone or damaged. Models of another kind are not read.

        Raises:
            StudyError: There is no such version, or it cannot be downloaded or read now.
        """
        from cnn_ablation.serving.classifier import Classifier

        try:
            folder = self._folder()
            if _is_own(folder):
                Classifier.load(folder / _artifact())
        except LostModelError:
            return True
        return False

    def load_served(self) -> Any:
        """Return the MLflow model that answers requests, see `serving.served_classifier.load`.

        Raises:
            StudyError: As for `load`.
        """
        from cnn_ablation.serving import served_classifier

        return served_classifier.load(self._own_folder() / _artifact())

    def _own_folder(self) -> Path:
        """The folder of the model, which must be a classifier of this project."""
        folder = self._folder()
        if not _is_own(folder):
            raise StudyError(
                f"The model {self._uri} was not made by a study of this project: name another version "
                "as predict_with in conf/local/globals.yml"
            )
        return folder

    def _folder(self) -> Path:
        """The folder of the model's files, which MLflow downloads if they are on a server."""
        import mlflow
        from mlflow.exceptions import MlflowException

        version = _find_version(self._name, self._version)
        if version is None:
            raise StudyError(
                f"There is no model {self._uri}: run a study first, which registers its winner, or name "
                "another version as predict_with in conf/local/globals.yml. The winner of `make demo` "
                "needs --env=demo, or ENV=demo with make"
            )
        try:
            folder = Path(mlflow.artifacts.download_artifacts(self._uri))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise self._gone(version) from None
            raise StudyError(f"The model {self._uri} cannot be downloaded: {error.message}") from None
        # MLflow's server does not tell a folder that is gone from an empty one.
        if not any(folder.iterdir()):
            raise self._gone(version)
        return folder

    def _gone(self, version: Any) -> LostModelError:
        import mlflow

        place = mlflow.MlflowClient().get_model_version_download_uri(self._name, version.version)
        return LostModelError(
            f"The artifacts of version {version.version} of the model {self._name} ({self._uri}) are "
            f"gone: there are no files in {place}. Move them back, name another version as predict_with "
            "in conf/local/globals.yml, or run the study again, which registers its winner"
        )

    @property
    def _uri(self) -> str:
        return f"models:/{self._name}{'/' if self._version.isdigit() else '@'}{self._version}"

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "version": self._version}


def _find_version(name: str, version: str) -> Any:
    """The `ModelVersion` with this alias or number; None if there is none."""
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    find = client.get_model_version if version.isdigit() else client.get_model_version_by_alias
    try:
        return find(name, version)
    except MlflowException as error:
        if error.error_code not in NOT_FOUND:
            raise
        return None


def _is_own(folder: Path) -> bool:
    """Whether a study of this project made a model, even if its classifier or its MLmodel is gone."""
    described = folder / "MLmodel"
    named = described.is_file() and _artifact().encode() in described.read_bytes()
    return named or (folder / _artifact()).is_dir()


def _is_complete(model: Any) -> bool:
    """Whether no file of a `LoggedModel` is missing that its classifier needs."""
    import mlflow

    from cnn_ablation.serving.classifier import DESCRIPTION, WEIGHTS

    folders = (model.artifact_location, f"{model.artifact_location}/{_artifact()}")
    found = [file.path for folder in folders for file in mlflow.artifacts.list_artifacts(folder)]
    return {"MLmodel", DESCRIPTION, WEIGHTS} <= {PurePosixPath(path).name for path in found}


def _artifact() -> str:
    """Place of a saved classifier in the folder of its model."""
    from cnn_ablation.serving.served_classifier import ARTIFACT

    return f"artifacts/{ARTIFACT}"


class MlflowModelDataset(TrackingSwitch, AbstractDataset[dict[str, Any], str | None]):
    """A trial's network as a model of the active run, with its signature and an input example.

    Saved as {"key": key of the trial in the store, "classifier": a Classifier}, or as {} if there is
    no network to log. If an earlier run has logged the model of this trial with the same names of
    the classes, and its files exist, the active run gets that model and no copy is made.

    Args:
        name: Name of the model.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, name: str, metadata: dict[str, Any] | None = None) -> None:
        self._name = name
        self._uri: str | None = None
        self.metadata = metadata

    def save(self, data: dict[str, Any]) -> None:
        """Log the model."""
        if self.tracking_enabled and data:
            tracking.attempt(lambda: self._log(data), None)

    def _log(self, data: dict[str, Any]) -> None:
        import mlflow
        from mlflow.entities import LoggedModelOutput

        run = mlflow.active_run()
        if run is None:
            raise RuntimeError("A model belongs to the MLflow run of `kedro run`, but no run is active.")
        tags = {"trial_key": data["key"], "description": data["classifier"].digest()}
        same = " AND ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
        logged = mlflow.search_logged_models(
            experiment_ids=[run.info.experiment_id],
            filter_string=f"name = '{self._name}' AND {same}",
            # Models whose files were gone can precede the newest one.
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
            max_results=1,
            output_format="list",
        )
        if logged and _is_complete(logged[0]):
            output = LoggedModelOutput(logged[0].model_id, step=0)
            mlflow.MlflowClient().log_outputs(run.info.run_id, [output])
            self._uri = logged[0].model_uri
        else:
            self._uri = _log_classifier(self._name, data["classifier"], tags=tags).model_uri

    def load(self) -> str | None:
        """Return the URI of the model that this session logged, or None if it logged none."""
        return self._uri

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name}


def _log_classifier(name: str, classifier: Any, **more: Any) -> Any:
    """Log a classifier to the active run, without pickles. Return MLflow's `ModelInfo`."""
    import tempfile

    import mlflow

    from cnn_ablation.serving import served_classifier as serving

    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / serving.ARTIFACT
        classifier.save(saved)
        return mlflow.pyfunc.log_model(
            name=name,
            python_model=serving.__file__,
            artifacts={serving.ARTIFACT: str(saved)},
            code_paths=[str(Path(__file__).parents[1])],
            signature=serving.SIGNATURE,
            input_example=serving.example(classifier.image_shape),
            # Without this list MLflow imports the model in another process to infer it.
            pip_requirements=["torch", "numba", "safetensors", "pillow", "pandas", "pydantic"],
            **more,
        )


class MlflowRegisteredModelDataset(TrackingSwitch, AbstractDataset[dict[str, Any], None]):
    """A version of the registered model; it gets the alias `champion` if it has won the contest.

    Saved as {"winner": …, "contest": …, "classifier": a Classifier}, or as {} if no trial has
    finished.

    Args:
        name: Name of the registered model.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, name: str, metadata: dict[str, Any] | None = None) -> None:
        self._name = name
        self.metadata = metadata

    def save(self, data: dict[str, Any]) -> None:
        """Log the model to the active run, register it and describe it by tags."""
        if self.tracking_enabled and data:
            tracking.attempt(lambda: self._register(data), None)

    def _register(self, data: dict[str, Any]) -> None:
        import mlflow

        winner, contest = data["winner"], data["contest"]
        info = _log_classifier(self._name, data["classifier"], registered_model_name=self._name)
        version = str(info.registered_model_version)
        low, high = winner["low"], winner["high"]
        tags = {
            WINNER: json.dumps(winner),
            "condition": f"{winner['experiment']}: {winner['condition']}",
            "seed": winner["seed"],
            "mean_val_accuracy": f"{winner['mean']:.2f} %",
            "interval": "one seed: unknown" if low is None else f"{low:.2f} to {high:.2f} %",
            "data": winner["data"],
            "protocol": winner["protocol"],
            CHAMPION: contest["reason"],
            **Configuration.within(winner).settings(),
        }
        client = mlflow.MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(self._name, version, key, str(value))
        if contest["promoted"]:
            client.set_registered_model_alias(self._name, CHAMPION, version)

    def load(self) -> None:
        """Raise NotImplementedError: a model is loaded by its URI."""
        raise NotImplementedError(f"Load the model by its URI: models:/{self._name}@{CHAMPION}")

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name}
