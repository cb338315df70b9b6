"""Comparison of published numbers with measured ones."""

from collections.abc import Mapping

import pandas as pd
import pytest

from cnn_ablation.evidence.published import PUBLISHED_IMAGES, reproduce
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.trials import Condition


@pytest.fixture
def condition(baseline: Configuration) -> Condition:
    return Condition(name="base", levels={}, **dict(baseline))


METRICS = pd.DataFrame(
    {
        "condition": "base",
        "seed": range(4),
        "status": ["finished", "finished", "finished", "diverged"],
        "final_val_accuracy": [91.0, 92.0, 93.0, 10.0],
        "final_val_loss": [0.20, 0.21, 0.22, 9.0],
        "final_train_loss": [0.10, 0.11, 0.12, 9.0],
        "total_params": 421_834,
    }
)


def published(**run: object) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"experiment": "one", "run_name": name, "epochs": 2, "conv_channels": "32-64", **run}
            for name in ("base", "other")
        ]
    )


def tables(**printed: str) -> pd.DataFrame:
    rows = [
        (name, metric, text, float(text))
        for name in ("base", "other")
        for metric, text in printed.items()
    ]
    return pd.DataFrame(rows, columns=["run_name", "metric", "printed", "value"])


def compare(
    conditions: list[Condition],
    metrics: pd.DataFrame,
    runs: pd.DataFrame,
    printed: pd.DataFrame,
    images: Mapping[str, int] = PUBLISHED_IMAGES,
    protocol: str = "journal",
) -> pd.DataFrame:
    return reproduce(conditions, metrics, runs, printed, images, protocol)


def test_other_images_than_those_of_the_published_runs_are_named(condition: Condition) -> None:
    run = published(final_val_accuracy=92.0)
    images = {"train": 6000, "validation": 10_000}
    table = compare([condition], METRICS, run, tables(), images=images, protocol="holdout")
    assert table.loc[0, "note"] == (
        "published data: 60,000 train images instead of 6,000; protocol journal instead of holdout"
    )


def test_a_published_run_agrees_if_it_is_in_the_prediction_interval(condition: Condition) -> None:
    table = compare(
        [condition],
        METRICS,
        published(final_val_accuracy=94.9),
        tables(final_val_accuracy="94.90", final_val_loss="0.50", total_params="422000"),
    ).set_index("metric")
    accuracy = table.loc["final_val_accuracy"]
    assert accuracy["seeds"] == 3
    assert accuracy["mean"] == pytest.approx(92)
    # t(2) at 97.5 % is 4.303: the mean to ± 2.48, a single run to ± 4.97.
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((89.52, 94.48), abs=0.01)
    assert (accuracy["prediction_low"], accuracy["prediction_high"]) == pytest.approx(
        (87.03, 96.97), abs=0.01
    )
    assert table["agrees"].to_dict() == {
        "final_val_accuracy": True,
        "final_val_loss": False,
        "total_params": True,
    }


def test_an_unrounded_result_takes_precedence_over_a_printed_one(condition: Condition) -> None:
    table = compare(
        [condition], METRICS, published(final_val_accuracy=91.7768), tables(final_val_accuracy="91.78")
    )
    assert table["published"].item() == 91.7768
    assert table["printed"].item() == "91.78"


def test_different_settings_of_the_published_run_are_named(condition: Condition) -> None:
    run = published(final_val_accuracy=92.0, epochs=15, conv_channels="64-128")
    note = compare([condition], METRICS, run, tables()).loc[0, "note"]
    assert note == "published run: conv_channels 64-128 instead of 32-64; epochs 15 instead of 2"


def test_a_copied_column_is_found_and_distinguished_from_its_original(condition: Condition) -> None:
    table = compare(
        [condition],
        METRICS,
        published(final_val_loss=0.2741),
        tables(final_train_loss="0.274", final_val_loss="0.274"),
    ).set_index("metric")
    assert "as final_val_loss in every row" in table.loc["final_train_loss", "note"]
    assert table.loc["final_val_loss", "note"] == ""


def test_one_seed_decides_only_metrics_that_do_not_depend_on_the_seed(condition: Condition) -> None:
    table = compare(
        [condition],
        METRICS.head(1),
        published(final_val_accuracy=80.0),
        tables(total_params="52000"),
    ).set_index("metric")
    assert pd.isna(table.loc["final_val_accuracy", "agrees"])
    assert not table.loc["total_params", "agrees"]


def test_conditions_without_published_numbers_are_left_out(condition: Condition) -> None:
    mine = condition.model_copy(update={"name": "mine"})
    assert compare([mine], METRICS, published(), tables()).empty
