"""Nodes of evaluation."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import AbstractDataset
from kedro.io.catalog_config_resolver import CatalogConfigResolver

from cnn_ablation import settings
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


def kept(table: pd.DataFrame, name: str, folder: Path) -> pd.DataFrame:
    """The table as the catalog saves and loads it."""
    loader = OmegaConfigLoader(str(ROOT / "conf"), env="base", **settings.CONFIG_LOADER_ARGS)
    config = CatalogConfigResolver(loader["catalog"]).resolve_pattern(name)
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
    with pytest.raises(LookupError, match=r"trial k0 is not in .*run the training stage"):
        collect_histories(runs, TrialStore(tmp_path))
