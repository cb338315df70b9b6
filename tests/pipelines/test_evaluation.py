"""Nodes of evaluation."""

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import AbstractDataset
from kedro.io.catalog_config_resolver import CatalogConfigResolver

from cnn_ablation import settings
from cnn_ablation.errors import StoreError
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.pipelines.evaluation.nodes import (
    choose_final_model,
    collect_histories,
    score_classes,
)
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("conditions", "classes"), [("ba", ["dog", "cat"]), (["None", "1"], ["7", "0"])]
)
def test_class_accuracy_is_the_diagonal_by_rows(
    conditions: Sequence[str], classes: list[str], tmp_path: Path
) -> None:
    first, second = classes
    confusion = pd.DataFrame(
        {
            "condition": [conditions[0], conditions[0], conditions[1], conditions[1]],
            "seed": [0, 0, 0, 0],
            "true_class": [first, second, first, second],
            first: [3, 1, 4, 0],
            second: [1, 3, 0, 4],
        }
    )
    accuracy = score_classes(kept(confusion, "experiment.confusion", tmp_path))
    assert accuracy["condition"].tolist() == list(conditions)
    assert accuracy[classes].to_numpy().tolist() == [[75.0, 75.0], [100.0, 100.0]]


NAMES = ["None", "NA", "007", "1e5", "nan", "inf", "true", " x ", "0x10"]

TEXTS = {
    "a.networks": ("condition", "layer", "kind", "output_shape"),
    "a.trial_metrics": ("condition", "key", "status"),
    "a.class_accuracy": ("condition",),
    "a.condition_summary": ("condition",),
    "a.histories": ("condition",),
    "a.confusion": ("condition", "true_class"),
    "conclusions.a.verdicts": (
        "claim",
        "text",
        "source",
        "kind",
        "metric",
        "comparison",
        "unit",
        "verdict",
        "finding",
    ),
    "a.noise_budget": ("condition",),
    "a.pairs": ("condition", "other"),
    "a.reproduction": ("condition", "metric", "printed", "note"),
    "study_summary": ("experiment", "condition"),
    "sizes.study_summary": ("experiment", "condition"),
    "predictions": ("file", "class", "second", "third"),
    "skipped_files": ("file", "reason"),
    "published_runs": ("images", "experiment", "run_name", "conv_channels"),
    "published_tables": ("run_name", "metric", "printed"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dataset", TEXTS)
def test_names_are_read_back_as_text(dataset: str, name: str, tmp_path: Path) -> None:
    table = pd.DataFrame({**{column: [name] for column in TEXTS[dataset]}, "value": [0.5]})
    loaded = kept(table, dataset, tmp_path)
    assert loaded.to_dict("list") == table.to_dict("list")


def test_a_class_may_be_called_like_a_column_of_another_table(tmp_path: Path) -> None:
    confusion = pd.DataFrame(
        {"condition": ["a", "a"], "seed": 0, "true_class": ["other", "text"], "other": [3, 1], "text": 2}
    )
    accuracy = score_classes(kept(confusion, "a.confusion", tmp_path))
    assert accuracy[["other", "text"]].to_numpy().tolist() == [[60.0, pytest.approx(200 / 3)]]


@cache
def catalog() -> CatalogConfigResolver:
    loader = OmegaConfigLoader(str(ROOT / "conf"), env="base", **settings.CONFIG_LOADER_ARGS)
    return CatalogConfigResolver(loader["catalog"])


def kept(table: pd.DataFrame, name: str, folder: Path) -> pd.DataFrame:
    """The table as the catalog saves and loads it."""
    config = deepcopy(catalog().resolve_pattern(name))
    config = config.get("dataset", config)
    config["filepath"] = str(folder / Path(config["filepath"]).name)
    dataset = AbstractDataset.from_config(name, config)
    dataset.save(table)
    loaded: pd.DataFrame = dataset.load()
    return loaded


def test_the_final_model_is_chosen_by_the_mean_first() -> None:
    trials = pd.DataFrame(
        {
            "condition": ["a", "a", "b", "b"],
            "seed": [0, 1, 0, 1],
            "key": ["k0", "k1", "k2", "k3"],
            "status": "finished",
            "mean_val_accuracy": [95.0, 85.0, 92.0, 91.0],
            "final_val_accuracy": [95.0, 85.0, 91.0, 92.0],
        }
    )
    assert choose_final_model(trials) == {
        "condition": "b",
        "seed": 1,
        "key": "k3",
        "validation_accuracy": 92.0,
    }


def test_the_error_names_a_trial_that_is_missing_from_the_store(tmp_path: Path) -> None:
    runs = pd.DataFrame({"condition": ["a"], "seed": [0], "key": ["k0"], "status": ["finished"]})
    with pytest.raises(StoreError, match=r"Trial k0 is not in .*Run the pipeline of its experiment"):
        collect_histories(runs, TrialStore(tmp_path))
