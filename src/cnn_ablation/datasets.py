"""Catalog datasets of this project: the edge between the nodes and files or MLflow."""

import json
import math
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview
from kedro_datasets.json import JSONDataset
from kedro_datasets.matplotlib import MatplotlibDataset

from cnn_ablation import fashion_mnist, image_sets
from cnn_ablation.drawing import Drawing
from cnn_ablation.image_sets import ImageSet
from cnn_ablation.parameters import Trial
from cnn_ablation.results import StudyError, TrialRun
from cnn_ablation.splits import ImageShape

# What is heavy to import (torch, MLflow) is imported where it is used: the catalog is built for every
# command, these only by a run.


Loaded = TypeVar("Loaded")


class ReadOnlyDataset(AbstractDataset[None, Loaded], Generic[Loaded]):
    """What runs only read."""

    def save(self, data: None) -> None:
        """Not possible."""
        raise NotImplementedError(f"{type(self).__name__} is only read.")


class FolderDataset(ReadOnlyDataset[Loaded]):
    """What is read from a folder, its `_path`."""

    _path: Path

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}

    def _exists(self) -> bool:
        return self._path.is_dir()


class ImageSetDataset(FolderDataset[ImageSet]):
    """A set of labelled images, of which shape and classes are known before it is loaded."""

    def describe_images(self) -> tuple[ImageShape, int]:
        """Shape of the images, and number of classes.

        Raises:
            StudyError: What the catalog says of the set makes none.
        """
        raise NotImplementedError


class FashionMNISTDataset(ImageSetDataset):
    """Fashion-MNIST, fetched on the first load; see `fashion_mnist.load`.

    Args:
        path: Folder of the four `.gz` files.
        sha256: Checksums of their content, for another data set of the same form.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self,
        path: str,
        sha256: dict[str, str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = Path(path)
        self._sha256 = sha256 or fashion_mnist.SHA256
        self.metadata = metadata

    def load(self) -> ImageSet:
        """The images."""
        arrays = fashion_mnist.load(self._path, self._sha256)
        return ImageSet(fashion_mnist.NAME, fashion_mnist.CLASS_NAMES, arrays)

    def describe_images(self) -> tuple[ImageShape, int]:
        """Shape of the images, and number of classes."""
        return fashion_mnist.IMAGE_SHAPE, len(fashion_mnist.CLASS_NAMES)


class TorchvisionDataset(ImageSetDataset):
    """A set that torchvision knows, downloaded on the first load; see `image_sets.load_torchvision`.

    Args:
        name: MNIST, KMNIST, EMNIST, CIFAR10 or CIFAR100.
        path: Folder in which torchvision keeps its sets.
        variant: Of EMNIST: balanced, letters, digits, byclass, bymerge or mnist.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self,
        name: str,
        path: str,
        variant: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._path = Path(path)
        self._variant = variant
        self.metadata = metadata

    def load(self) -> ImageSet:
        """The images."""
        return image_sets.load_torchvision(self._name, self._path, self._variant)

    def describe_images(self) -> tuple[ImageShape, int]:
        """Shape of the images, and number of classes."""
        return image_sets.describe_torchvision(self._name, self._variant)

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "variant": self._variant, **super()._describe()}


class ClassFoldersDataset(ImageSetDataset):
    """Images of one's own, in a folder per class; see `image_sets.load_folder`.

    Args:
        path: Folder of the classes' folders.
        size: Height and width that each image is fitted into, pixels.
        mode: grey or colour.
        dark_on_light: Whether dark things are on a light ground.
        test_share: Part of each class's images that test.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self,
        path: str,
        size: list[int],
        mode: Literal["grey", "colour"] = "grey",
        dark_on_light: bool = False,
        test_share: float = 0.2,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = Path(path)
        self._size = size
        self._mode = mode
        self._dark_on_light = dark_on_light
        self._test_share = test_share
        self.metadata = metadata

    def load(self) -> ImageSet:
        """The images."""
        return image_sets.load_folder(
            self._path,
            self._size,
            self._mode,
            dark_on_light=self._dark_on_light,
            test_share=self._test_share,
        )

    def describe_images(self) -> tuple[ImageShape, int]:
        """Shape of the images, and number of classes."""
        shape = image_sets.shape_of(self._size, self._mode)
        return shape, len(image_sets.classes_in(self._path))

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "size": self._size, "mode": self._mode}


class ArraysDataset(AbstractDataset[dict[str, np.ndarray], dict[str, np.ndarray]]):
    """Named NumPy arrays in one safetensors file.

    Args:
        filepath: The file.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        from safetensors.numpy import load_file

        arrays: dict[str, np.ndarray] = load_file(self._filepath)
        return arrays

    def save(self, data: dict[str, np.ndarray]) -> None:
        """Write all arrays, whole or not at all."""
        from safetensors.numpy import save_file

        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._filepath.with_suffix(".unfinished")
        save_file(data, unfinished)
        unfinished.replace(self._filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return self._filepath.is_file()


class TrialsDataset(JSONDataset):  # type: ignore[misc]
    """The trials of an experiment as JSON."""

    def load(self) -> list[Trial]:
        """The trials, validated."""
        return [Trial.model_validate(trial) for trial in super().load()]

    def save(self, data: list[Trial]) -> None:
        """Write the trials."""
        super().save([trial.model_dump() for trial in data])

    def preview(self) -> JSONPreview:
        """What kedro-viz shows."""
        return JSONPreview(json.dumps(super().load()))


class OptionalJSONDataset(JSONDataset):  # type: ignore[misc]
    """A JSON file that may not be there: then it loads as None."""

    def load(self) -> Any:
        """The content, or None."""
        return super().load() if self._exists() else None


class FigureDataset(MatplotlibDataset):  # type: ignore[misc]
    """A drawing, saved as a PNG file and loaded as that file, or as None where there is none.

    The file keeps the drawing's digest: what it shows already is not drawn again.
    """

    def save(self, data: Drawing) -> None:
        """Draw, unless the file shows this very drawing."""
        digest = data.digest()
        if _read_digest(Path(self._get_save_path())) != digest:
            self._save_args |= {"metadata": {DIGEST: digest}}
            super().save(data.draw())

    def load(self) -> tuple[str, bytes] | None:
        """Path and content of the file, or None."""
        path = Path(self._get_load_path())
        return (path.as_posix(), path.read_bytes()) if path.is_file() else None


DIGEST = "Drawing"
"""Text chunk of a PNG file: the digest of the drawing that it shows."""


def _read_digest(path: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.verify()
            return image.info.get(DIGEST)
    except (OSError, SyntaxError):  # There is none, or it is broken: Pillow raises both.
        return None


class TrialStoreDataset(FolderDataset[Any]):
    """The store of trained trials. Loading gives the store itself, which nodes read and add to.

    Args:
        path: Folder of the store.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> Any:
        """A `store.TrialStore`."""
        from cnn_ablation.store import TrialStore

        return TrialStore(self._path)


class EngineDataset(ReadOnlyDataset[Any]):
    """The cluster that trials run on. Each load of a session gives the same one.

    Args:
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        self._engine: Any = None

    def load(self) -> Any:
        """An `engine.Engine`, which starts workers when there is something to train."""
        if self._engine is None:
            from cnn_ablation.engine import Engine
            from cnn_ablation.progress import StudyProgress

            self._engine = Engine(StudyProgress())
        return self._engine

    def _describe(self) -> dict[str, Any]:
        return {}


class MlflowTrialRunsDataset(AbstractDataset[TrialRun, pd.DataFrame]):
    """One nested MLflow run per trial, under the run of `kedro run`; and a table of them as CSV.

    A node saves its trials one by one, as they finish: what is tracked survives a later failure. The
    first save of a session starts the table anew.

    Args:
        filepath: The table: position (among the experiment's trials), condition, seed, key (in the
            trial store), status, reused, error, mlflow_run_id.
        experiment: Name of the experiment, set as a tag.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, filepath: str, experiment: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self._experiment = experiment
        self.metadata = metadata
        self._rows: list[dict[str, Any]] = []
        # kedro-mlflow clears this where tracking is disabled for a pipeline.
        self._logging_activated = True

    def save(self, data: TrialRun) -> None:
        """Track one trial."""
        self._rows.append(
            {
                "position": data.position,
                "condition": data.trial.condition.name,
                "seed": data.trial.seed,
                "key": data.key,
                "status": data.status,
                "reused": data.reused,
                "error": data.error,
                "mlflow_run_id": self._track(data) if self._logging_activated else "",
            }
        )
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame(self._rows).sort_values("position")
        table.to_csv(self._filepath, index=False)

    def load(self) -> pd.DataFrame:
        """The table of the trials that were saved last, in the order of the experiment."""
        texts = ("condition", "key", "status", "error", "mlflow_run_id")
        return pd.read_csv(self._filepath, dtype=dict.fromkeys(texts, str), keep_default_na=False)

    def _track(self, run: TrialRun) -> str:
        import mlflow
        from mlflow.entities import Metric, Param
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
        from mlflow.utils.time import get_current_time_millis

        parent = mlflow.active_run()
        if parent is None:
            raise RuntimeError("Trials are tracked under the MLflow run of `kedro run`: none is on.")
        client = mlflow.MlflowClient()
        now = get_current_time_millis()
        tags = {
            "experiment": self._experiment,
            "condition": run.trial.condition.name,
            "seed": str(run.trial.seed),
            "trial_key": run.key,
            "status": run.status,
            "reused": str(run.reused).lower(),
            **({"error": run.error} if run.error else {}),
        }
        seconds = 0 if run.reused else sum(row["seconds"] for row in run.history)
        child: str = client.create_run(
            parent.info.experiment_id,
            start_time=now - int(1000 * seconds),
            run_name=run.trial.name,
            tags={MLFLOW_PARENT_RUN_ID: parent.info.run_id, **tags},
        ).info.run_id
        curves = [
            Metric(name, value, now, int(row["epoch"]))
            for row in run.history
            for name, value in row.items()
            if name != "epoch"
        ]
        finals = [Metric(name, value, now, len(run.history)) for name, value in run.metrics.items()]
        metrics = [metric for metric in curves + finals if math.isfinite(metric.value)]
        params = [Param(name, str(value)) for name, value in run.settings.items()]
        # MLflow takes at most 1,000 entities at once.
        room = 1000 - len(params)
        client.log_batch(child, metrics=metrics[:room], params=params)
        for start in range(room, len(metrics), 1000):
            client.log_batch(child, metrics=metrics[start : start + 1000])
        client.set_terminated(child, "FAILED" if run.status == "failed" else "FINISHED")
        return child

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "experiment": self._experiment}

    def _exists(self) -> bool:
        return self._filepath.is_file()


CHAMPION = "champion"
"""Alias of the registered model's version to use."""

WINNER = "winner"
"""Tag of a version: what `champion.choose_winner` has said of it, as JSON."""


class MlflowChampionDataset(ReadOnlyDataset[dict[str, Any] | None]):
    """The winner that MLflow's registry has under the alias `champion`, or None.

    Args:
        name: Of the registered model.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, name: str, metadata: dict[str, Any] | None = None) -> None:
        self._name = name
        self.metadata = metadata

    def load(self) -> dict[str, Any] | None:
        """What `champion.choose_winner` has said of it."""
        import mlflow
        from mlflow.exceptions import MlflowException

        try:
            version = mlflow.MlflowClient().get_model_version_by_alias(self._name, CHAMPION)
        except MlflowException:
            return None
        winner: dict[str, Any] = json.loads(version.tags[WINNER])
        return winner

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name}


class MlflowClassifierDataset(ReadOnlyDataset[Any]):
    """The classifier of a version of the registered model.

    Args:
        name: Of the registered model.
        model_version: An alias, such as champion, or a number.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(
        self, name: str, model_version: str | int, metadata: dict[str, Any] | None = None
    ) -> None:
        self._name = name
        self._version = str(model_version)
        self.metadata = metadata

    def load(self) -> Any:
        """An `inference.Classifier`.

        Raises:
            StudyError: There is no such version.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        from cnn_ablation.inference import Classifier
        from cnn_ablation.serving import ARTIFACT

        separator = "/" if self._version.isdigit() else "@"
        uri = f"models:/{self._name}{separator}{self._version}"
        try:
            folder = mlflow.artifacts.download_artifacts(uri)
        except MlflowException as error:
            raise StudyError(
                f"There is no model {uri}: run a study first, which registers its winner, or name "
                f"another version as predict_with in conf/local/globals.yml ({error.message})"
            ) from None
        return Classifier.load(Path(folder) / "artifacts" / ARTIFACT)

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "version": self._version}


class ImageFolderDataset(FolderDataset[dict[str, Any]]):
    """The images in a folder, of any format that Pillow reads, in the order of their names.

    Args:
        path: The folder.
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """A Pillow image by file name, or the reason where a file is none. Hidden files do not count.

        Raises:
            StudyError: There is no such folder, or nothing in it.
        """
        from cnn_ablation.image_files import read_folder

        images = read_folder(self._path)
        if not images:
            state = "is empty" if self._path.is_dir() else "is not there"
            raise StudyError(
                f"{self._path} {state}: put the images to classify there, or name another folder as "
                "images_to_classify in conf/local/globals.yml"
            )
        return images


class LoggedModelDataset(AbstractDataset[dict[str, Any], None]):
    """A model that runs log, under a name."""

    def __init__(self, name: str, metadata: dict[str, Any] | None = None) -> None:
        self._name = name
        self.metadata = metadata
        # kedro-mlflow clears this where tracking is disabled for a pipeline.
        self._logging_activated = True

    def load(self) -> None:
        """Not possible: load a model by its URI."""
        raise NotImplementedError(
            "Load a model by its URI: models:/<name>@champion, or that on the page of its run."
        )

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name}


class MlflowModelDataset(LoggedModelDataset):
    """A trial's network as a model of the active run, with its signature and an input example.

    Saved as {"key": the trial's in the store, "classifier": inference.Classifier}. Of a trial whose
    model an earlier run has logged, there is no second copy: the run gets that one.

    Args:
        name: Of the model.
        metadata: Read by plugins, such as kedro-viz.
    """

    def save(self, data: dict[str, Any]) -> None:
        """Log the model."""
        if not self._logging_activated:
            return
        import mlflow
        from mlflow.entities import LoggedModelOutput

        run = mlflow.active_run()
        if run is None:
            raise RuntimeError("A model is that of the MLflow run of `kedro run`: none is on.")
        logged = mlflow.search_logged_models(
            experiment_ids=[run.info.experiment_id],
            filter_string=f"name = '{self._name}' AND tags.trial_key = '{data['key']}'",
            max_results=1,
            output_format="list",
        )
        if logged:
            output = LoggedModelOutput(logged[0].model_id, step=0)
            mlflow.MlflowClient().log_outputs(run.info.run_id, [output])
        else:
            _log_classifier(self._name, data["classifier"], tags={"trial_key": data["key"]})


def _log_classifier(name: str, classifier: Any, **more: Any) -> Any:
    """Log a classifier, without pickles, to the active run; returns MLflow's word of it."""
    import tempfile

    import mlflow

    from cnn_ablation import serving

    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / serving.ARTIFACT
        classifier.save(saved)
        return mlflow.pyfunc.log_model(
            name=name,
            python_model=serving.__file__,
            artifacts={serving.ARTIFACT: str(saved)},
            code_paths=[str(Path(__file__).parent)],
            signature=serving.SIGNATURE,
            input_example=serving.example(classifier.image_shape),
            # Named here: MLflow would import the model in a process of its own to find out.
            pip_requirements=["torch", "numba", "safetensors", "pillow", "pandas", "pydantic"],
            **more,
        )


class MlflowRegisteredModelDataset(LoggedModelDataset):
    """A version of the registered model, and the alias `champion` on it where it has won.

    Saved as {"winner": …, "contest": …, "classifier": inference.Classifier}.

    Args:
        name: Of the registered model.
        metadata: Read by plugins, such as kedro-viz.
    """

    def save(self, data: dict[str, Any]) -> None:
        """Log the model to the active run, register it, and tell what it is in its tags."""
        if not self._logging_activated:
            return
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
            **{f"model.{key}": value for key, value in winner["model"].items()},
            **{f"training.{key}": value for key, value in winner["training"].items()},
        }
        client = mlflow.MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(self._name, version, key, str(value))
        if contest["promoted"]:
            client.set_registered_model_alias(self._name, CHAMPION, version)


class MlflowNoteDataset(AbstractDataset[str, None]):
    """A section of the description that MLflow shows of a run, as Markdown.

    Sections of one run follow each other; what MLflow has no room for is cut.

    Args:
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        # kedro-mlflow clears this where tracking is disabled for a pipeline.
        self._logging_activated = True

    def save(self, data: str) -> None:
        """Add a section to the active run's description."""
        if not self._logging_activated:
            return
        import mlflow
        from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
        from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

        run = mlflow.active_run()
        if run is None:
            raise RuntimeError("A description is that of the MLflow run of `kedro run`: none is on.")
        client = mlflow.MlflowClient()
        note = client.get_run(run.info.run_id).data.tags.get(MLFLOW_RUN_NOTE, "")
        client.set_tag(
            run.info.run_id, MLFLOW_RUN_NOTE, f"{note}\n\n{data}".strip()[:MAX_TAG_VAL_LENGTH]
        )

    def load(self) -> None:
        """Not possible: a description is written for people."""
        raise NotImplementedError("A description is written for people.")

    def _describe(self) -> dict[str, Any]:
        return {}
