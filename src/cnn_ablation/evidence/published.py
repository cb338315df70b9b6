"""Comparison of published results with those of this project."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import pandas as pd

from cnn_ablation.evidence.effects import Effect, prediction_interval
from cnn_ablation.study.trials import Condition
from cnn_ablation.training.results import EXACT

EXACT_TOLERANCE = 0.01
"""Relative tolerance for numbers of parameters, which are often published with three digits."""

OTHER_SETTINGS = "published run:"
"""Beginning of the note on a published run whose settings are not those of the condition."""

PUBLISHED_IMAGES = {"train": 60_000, "validation": 10_000}
"""Number of images in each split of the published runs. Their validation images were the test images."""

LISTED = ("conv_channels", "fc_units")
"""Settings that the table of published runs gives as numbers with hyphens."""

COLUMNS = [
    *("condition", "metric", "printed", "published", "seeds", "mean", "low", "high"),
    *("prediction_low", "prediction_high", "agrees", "note"),
]


def reproduce(
    conditions: Sequence[Condition],
    trial_metrics: pd.DataFrame,
    published_runs: pd.DataFrame,
    published_tables: pd.DataFrame,
    images: Mapping[str, int],
    protocol: str,
) -> pd.DataFrame:
    """A row per published number of these conditions. Runs and conditions are matched by name.

    Args:
        conditions: An experiment's conditions, resolved.
        trial_metrics: A row per trial: condition, seed, status and metrics.
        published_runs: A row per published run: run_name, its settings, and its unrounded metrics.
        published_tables: A row per number of the published tables: run_name, metric, printed (the
            number as text), value.
        images: Number of images in each split, `train` and `validation`.
        protocol: Protocol of the splits. That of the published runs is `journal`.

    Returns:
        Columns: condition; metric; printed; published (unrounded if that is known); seeds; mean, low and
        high (95 % t interval of the mean); prediction_low and prediction_high (interval of a single run
        with 95 % probability); agrees (whether the published number is in that interval or, for a
        metric that does not depend on the seed, within 1 % of the mean; missing if unknown); note.
    """
    runs = published_runs.set_index("run_name")
    finished = trial_metrics[trial_metrics["status"] == "finished"]
    copies = _copied_columns(published_tables, runs)
    other_data = "; ".join(_different_data(images, protocol))
    rows = []
    for condition in conditions:
        if condition.name not in runs.index:
            continue
        run = runs.loc[condition.name]
        different = "; ".join(_different_settings(condition, run))
        printed = published_tables[published_tables["run_name"] == condition.name].set_index("metric")
        unrounded = [name for name in run.index if name in trial_metrics.columns]
        results = finished[finished["condition"] == condition.name]
        for metric in dict.fromkeys([*printed.index, *unrounded]):
            published = float(run[metric] if metric in unrounded else printed.loc[metric, "value"])
            mean = Effect.of(results[metric].dropna())
            low, high = mean.interval()
            prediction = prediction_interval(results[metric].dropna())
            agrees = None
            if metric in EXACT and mean.seeds:
                agrees = abs(published - mean.estimate) <= EXACT_TOLERANCE * mean.estimate
            elif prediction[0] < prediction[1]:
                agrees = prediction[0] <= published <= prediction[1]
            notes = [f"{OTHER_SETTINGS} {different}"] if different else []
            if other_data:
                notes.append(f"published data: {other_data}")
            if (condition.name, metric) in copies:
                notes.append(copies[condition.name, metric])
            rows.append(
                {
                    "condition": condition.name,
                    "metric": metric,
                    "printed": printed.loc[metric, "printed"] if metric in printed.index else "",
                    "published": published,
                    "seeds": mean.seeds,
                    "mean": mean.estimate,
                    "low": low,
                    "high": high,
                    "prediction_low": prediction[0],
                    "prediction_high": prediction[1],
                    "agrees": agrees,
                    "note": ". ".join(notes),
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS).astype({"agrees": "boolean"})


def _different_settings(condition: Condition, run: pd.Series) -> Iterator[str]:
    """Settings of the published run that are not the condition's."""
    for setting, ours in condition.settings().items():
        name = setting.removesuffix(".kind").rpartition(".")[2]
        if name in run.index:
            theirs = run[name]
            if name in LISTED:
                theirs = [int(part) for part in str(theirs).split("-")]
            if theirs != ours:
                yield f"{name} {_text(theirs)} instead of {_text(ours)}"


def _different_data(images: Mapping[str, int], protocol: str) -> Iterator[str]:
    """Differences between the published data and ours."""
    for split, published in PUBLISHED_IMAGES.items():
        if images[split] != published:
            yield f"{published:,} {split} images instead of {images[split]:,}"
    if protocol != "journal":
        yield f"protocol journal instead of {protocol}"


def _copied_columns(tables: pd.DataFrame, runs: pd.DataFrame) -> dict[tuple[str, str], str]:
    """A note on each number of a printed column that repeats another column in every row of a table.

    The copy is the column without unrounded results to confirm it.
    """
    notes = {}
    experiments = tables.assign(experiment=tables["run_name"].map(runs["experiment"]))
    for _, table in experiments.groupby("experiment", sort=False):
        wide = table.pivot(index="run_name", columns="metric", values="printed")
        for one, other in combinations(wide.columns, 2):
            if (
                len(wide) > 1
                and wide[[one, other]].notna().all(axis=None)
                and wide[one].equals(wide[other])
            ):
                copy, source = (one, other) if other in runs.columns else (other, one)
                for run_name in wide.index:
                    notes[run_name, copy] = f"printed as {source} in every row of its table: a copy"
    return notes


def _text(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)
