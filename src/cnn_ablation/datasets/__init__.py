"""Datasets of the Kedro catalog, a module per kind of storage.

They move data between nodes and files, MLflow or the trial store, and compute nothing. Modules that are
slow to import, such as torch and mlflow, are imported where they are used: every command creates the
catalog, but only runs load and save data.
"""

from cnn_ablation.datasets.chapters import MlflowChapterDataset, ResultsDataset
from cnn_ablation.datasets.figures import FigureDataset
from cnn_ablation.datasets.files import (
    ArraysDataset,
    CSVDataset,
    JSONDataset,
    LookLedgerDataset,
    TextDataset,
    TrialsDataset,
)
from cnn_ablation.datasets.images import (
    ClassFoldersDataset,
    FashionMNISTDataset,
    ImageFolderDataset,
    ImageSetDataset,
    TorchvisionDataset,
)
from cnn_ablation.datasets.mlflow_address import MlflowAddressDataset
from cnn_ablation.datasets.mlflow_artifacts import MlflowArtifactDataset
from cnn_ablation.datasets.mlflow_models import (
    MlflowChampionDataset,
    MlflowClassifierDataset,
    MlflowModelDataset,
    MlflowRegisteredModelDataset,
)
from cnn_ablation.datasets.mlflow_trials import MlflowTrialRunsDataset
from cnn_ablation.datasets.trial_store import TrialStoreDataset

__all__ = [
    "ArraysDataset",
    "CSVDataset",
    "ClassFoldersDataset",
    "FashionMNISTDataset",
    "FigureDataset",
    "ImageFolderDataset",
    "ImageSetDataset",
    "JSONDataset",
    "LookLedgerDataset",
    "MlflowAddressDataset",
    "MlflowArtifactDataset",
    "MlflowChampionDataset",
    "MlflowChapterDataset",
    "MlflowClassifierDataset",
    "MlflowModelDataset",
    "MlflowRegisteredModelDataset",
    "MlflowTrialRunsDataset",
    "ResultsDataset",
    "TextDataset",
    "TorchvisionDataset",
    "TrialStoreDataset",
    "TrialsDataset",
]
