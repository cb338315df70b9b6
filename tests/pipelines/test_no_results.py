"""An experiment without a finished trial is evaluated, drawn and reported like any other."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.pipeline import Pipeline

from cnn_ablation.data import fashion_mnist
from cnn_ablation.data.splits import Arrays, split_images, summarize_splits
from cnn_ablation.datasets import FigureDataset, ResultsDataset
from cnn_ablation.evidence.look_ledger import LookLedger
from cnn_ablation.evidence.measuring import list_contrasts
from cnn_ablation.evidence.pursuit import pursue
from cnn_ablation.execution.outcomes import Outcome
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.pipelines import conclusions, evaluation, registration, reporting, visualization
from cnn_ablation.report.figures import Drawing
from cnn_ablation.report.summary_table import print_summary
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters, expand_trials
from cnn_ablation.study.parameters import EvidenceParameters, PursuitParameters, SeedParameters
from cnn_ablation.study.trials import Trial
from tests.conftest import ALL_IMAGES, EVALUATION, ROOT
from tests.execution.test_store import TRAINED
from tests.pipelines.test_evaluation import kept

CLAIMS: dict[str, dict[str, Any]] = {
    "above": {"kind": "above", "condition": "one", "than": "two"},
    "best": {"kind": "best", "condition": "one"},
    "equivalent": {"kind": "equivalent", "conditions": ["one", "two"]},
    "slower": {
        "kind": "above",
        "condition": "one",
        "than": "two",
        "metric": "seconds_per_epoch",
        "smallest_effect": 1.0,
    },
    "ratio": {
        "kind": "value",
        "condition": "one",
        "relative_to": "two",
        "value": 1.0,
        "tolerance": 0.1,
    },
    "size": {
        "kind": "value",
        "condition": "one",
        "metric": "total_params",
        "value": 3.0,
        "tolerance": 1.0,
    },
    "reaches": {"kind": "reaches", "condition": "two", "accuracy": 80.0, "within": 1},
}
EXPERIMENT = ExperimentParameters.model_validate(
    {
        "title": "T",
        "question": "Q?",
        "hypothesis": "H.",
        "conditions": {"one": {}, "two": {"model": {"dropout_rate": 0.1}}},
        "claims": {name: {"text": "It is.", **claim} for name, claim in CLAIMS.items()},
    }
)
EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2, planned_seeds=4, spending="pocock")
PURSUIT = PursuitParameters(seeds=[2, 4], minutes=None)

UNTRAINED = ("build_final_model", "score_final_model", "build_registered_model")
"""Nodes that need a network's real weights."""


@pytest.fixture(
    params=[("failed", 2), ("diverged", 2), ("finished", 2), ("finished", 1)],
    ids=["failed", "diverged", "one condition has finished", "one trial has finished"],
)
def results(
    request: pytest.FixtureRequest, raw_images: Arrays, baseline: Configuration, tmp_path: Path
) -> dict[str, Any]:
    """All results of an experiment whose trials have failed or diverged, but for one condition."""
    ending, seeds = request.param
    splits = split_images(raw_images, ALL_IMAGES)
    names = list(fashion_mnist.CLASS_NAMES)
    trials = expand_trials(EXPERIMENT, baseline, SeedParameters.model_validate(seeds))
    store = TrialStore(tmp_path / "trials")
    rows = []
    for position, trial in enumerate(trials):
        row = {"position": position, "condition": trial.condition.name, "seed": trial.seed}
        status = "diverged" if ending == "finished" and trial.condition.name == "two" else ending
        key = f"{position:024x}"
        rows.append(row | {"key": key, "status": status, "error": "", "mlflow_run_id": ""})
        if status != "failed":
            loss = {"train_loss": float("nan")} if status == "diverged" else {}
            logits = np.zeros((200, 10), np.float32)
            measured = TRAINED.measurements
            trained = replace(
                TRAINED,
                measurements=replace(measured, history=[measured.history[0] | loss]),
                validation_hits=np.zeros((len(measured.moments), 200), bool),
                validation_logits=logits,
            )
            identity = {"device": "cpu", "precision": "fp32", "libraries": {}, "versions": {}}
            store.put(key, identity, trained)
    found: dict[str, Any] = {
        "runs": pd.DataFrame(rows),
        "trials": trials,
        "trial_store": store,
        "splits": splits,
        "data_summary": {
            "name": "Fashion-MNIST",
            "settings": ALL_IMAGES.model_dump(),
            **summarize_splits(splits, names),
        },
        "params:experiment": EXPERIMENT,
        "params:lost": EXPERIMENT,
        "params:baseline": baseline,
        "params:data": ALL_IMAGES,
        "params:evaluation": EVALUATION,
        "params:evidence": EVIDENCE,
        "published_runs": pd.read_csv(ROOT / "data/01_raw/journal/runs.csv"),
        "published_tables": pd.read_csv(ROOT / "data/01_raw/journal/tables.csv"),
        "networks": pd.DataFrame({"condition": ["one", "two"]}),
        "looks": LookLedger(tmp_path / "looks.json"),
        "journal_notice": "",
        "runs_address": "http://127.0.0.1:5000/",
        "champion": None,
        "final_model": None,
        "final_model_report": {"protocol": "journal", "note": ""},
    }
    collecting = reporting.create_results_pipeline()
    parameters = {"params:experiment", "params:evaluation"}
    stages = (
        evaluation.create_pipeline(),
        visualization.create_pipeline(),
        Pipeline(
            collecting,
            namespace="lost",
            inputs=collecting.inputs() - parameters,
            parameters=parameters,
        ),
        conclusions.create_pipeline(["lost"], ["lost"]),
        reporting.create_summary_pipeline({"lost": "lost.chapter"}),
        reporting.create_journal_pipeline({"lost": "lost.chapter"}),
        registration.create_pipeline({"lost": "lost.chapter"}),
    )
    for node in sum(stages, Pipeline([])).nodes:
        if ending == "finished" and node.name in UNTRAINED:
            continue
        for name, value in node.run({name: found[name] for name in node.inputs}).items():
            found[name] = saved(value, name, tmp_path)
    return found


def saved(value: Any, name: str, folder: Path) -> Any:
    """The value as the catalog saves and loads it."""
    *_, last = name.split(".")
    if isinstance(value, pd.DataFrame):
        return kept(value, name if "." in name or name == "study_summary" else f"lost.{name}", folder)
    if isinstance(value, Drawing):
        figure = FigureDataset(str(folder / "lost" / f"{last}.png"))
        figure.save(value)
        return figure.load()
    if last in ("results", "chapter"):
        results = ResultsDataset(filepath=str(folder / "lost" / f"{last}.json"))
        results.save(value)
        return results.load()
    if last == "final_model":
        return None  # MLflow has no model.
    if isinstance(value, dict):
        return json.loads(json.dumps(value, allow_nan=False))
    return value


def test_an_experiment_without_results_is_reported(
    results: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = int((results["runs"]["status"] == "finished").sum())
    assert results["condition_summary"]["condition"].tolist() == ["one", "two"]
    assert results["condition_summary"]["seeds"].tolist() == [seeds, 0]
    assert len(results["trial_metrics"]) == len(results["runs"])
    verdicts = results["conclusions.lost.verdicts"]
    assert len(verdicts) == len(CLAIMS)
    assert (verdicts["finding"] == "no result").any()
    assert results["noise_budget"]["condition"].tolist() == (["one"] if seeds else [])
    figures = results["lost.chapter"]["figures"]
    assert set(figures) == {"comparison", "claims", "learning_curves", "confusion_matrix"}
    for _, content in figures.values():
        assert content.startswith(b"\x89PNG")
    assert results["study_summary"]["seeds"].tolist() == [seeds, 0]
    markdown = results["journal_markdown"]
    assert "nan" not in re.findall(r"[a-z]+", markdown)
    assert "None" not in markdown
    assert re.search(r"\| Evaluated on \| .+, \d+ cores, Python 3\..+, cnn-ablation .+ \|", markdown)
    print_summary("T", results["condition_summary"], verdicts, "folder")
    printed = capsys.readouterr().out
    if seeds:
        assert (results["winner"]["condition"], results["winner"]["seed"]) == ("one", 0)
        assert results["contest"]["promoted"]
        assert "No trial has finished" not in markdown + printed
    else:
        assert results["winner"] == results["registered_model"] == {}
        assert not results["contest"]["promoted"]
        assert "No trial has finished, so there are no results to compare: T." in markdown
        assert "No trial has finished" in printed


def test_a_pursuit_without_results_ends(baseline: Configuration) -> None:
    def fail(trials: list[Trial]) -> Iterator[Outcome]:
        for trial in trials:
            yield Outcome(trial, "key", None, error="no")

    family = list_contrasts(EXPERIMENT.claims or {}, EXPERIMENT.conditions_of(baseline))
    images = {"train": 100, "validation": 100}
    trials = pursue(EXPERIMENT, baseline, EVIDENCE, PURSUIT, images, 2, family, {}, fail)
    assert len(trials) == 2 * PURSUIT.seeds[-1]


def test_a_condition_without_parameters_leaves_those_of_others_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nothing = dict.fromkeys(
        [
            f"{name}_{what}"
            for name in ("mean_val_accuracy", "best_val_accuracy")
            for what in ("mean", "sd")
        ]
    )
    rows = {"condition": ["a", "b"], "seeds": [1, 0], "diverged": 0, "failed": [0, 1], **nothing}
    # A CSV file gives numbers as floats where one of them is missing.
    summary = pd.DataFrame({**rows, "total_params": [421_834.0, float("nan")]})
    print_summary("T", summary, None, "folder")
    printed = capsys.readouterr().out
    assert "421,834 " in printed
    assert "1 failed" in printed
