"""Two runs side by side."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from cnn_ablation.errors import InputError
from cnn_ablation.evidence.look_ledger import LookLedger
from cnn_ablation.execution.store import TrialStore, trial_key
from cnn_ablation.pipelines.conclusions.nodes import judge_claims
from cnn_ablation.report import journal
from cnn_ablation.report.run_comparison import RunComparison, print_comparison
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from tests.execution.test_store import TRAINED
from tests.pipelines.test_conclusions import EVIDENCE, MORE, contrasts_of, experiment, results

CLAIMED = experiment("none", "some", more=MORE)


@pytest.fixture
def store(tmp_path: Path) -> TrialStore:
    return TrialStore(tmp_path / "trials")


def chapter(
    baseline: Configuration,
    folder: Path,
    seeds: int = 6,
    parameters: ExperimentParameters = CLAIMED,
    **identity: Any,
) -> dict[str, Any]:
    """A chapter whose trials have keys that depend on the identity."""
    content = results(parameters, baseline, seeds)
    metrics = content["tables"]["trial_metrics"]
    metrics["key"] = [
        trial_key({"condition": condition, "seed": seed, **identity})
        for condition, seed in zip(metrics["condition"], metrics["seed"], strict=True)
    ]
    contrasts = contrasts_of(baseline, one=parameters)
    (verdicts,) = judge_claims(contrasts, LookLedger(folder / f"{seeds}.json"), EVIDENCE, one=content)
    return journal.add_verdicts(content, verdicts, EVIDENCE, len(contrasts))


def shifted(content: dict[str, Any], by: float) -> dict[str, Any]:
    """The chapter with higher accuracies."""
    metrics = content["tables"]["trial_metrics"]
    metrics["mean_val_accuracy"] = [value + by for value in metrics["mean_val_accuracy"]]
    return content


def test_conditions_are_compared_by_seed(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    a = chapter(baseline, tmp_path, 6)
    b = shifted(chapter(baseline, tmp_path, 8, precision="bf16"), 0.5)
    table = RunComparison({"one": a}, {"one": b, "two": b}, store).conditions()
    assert table["condition"].tolist() == ["none", "some"]
    assert (table["experiment"] == "one").all()
    assert table[["seeds_a", "seeds_b", "shared_seeds"]].to_numpy().tolist() == [[6, 8, 6]] * 2
    assert table["difference"].tolist() == pytest.approx([0.5, 0.5])
    assert table["mean_a"].iloc[0] == pytest.approx(91.0, abs=0.3)


def test_inputs_that_differ_come_from_the_stored_trials(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    for precision in ("fp32", "bf16"):
        identity = {"condition": "none", "seed": 0, "precision": precision}
        store.put(trial_key(identity), identity, TRAINED)
    a, b = (chapter(baseline, tmp_path, precision=precision) for precision in ("fp32", "bf16"))
    table = RunComparison({"one": a}, {"one": b}, store).conditions().set_index("condition")
    assert table.loc["none", "inputs"] == "precision: fp32 → bf16"
    same = RunComparison({"one": a}, {"one": a}, store).conditions()
    assert same["inputs"].tolist() == ["", ""]
    assert same["difference"].tolist() == [0, 0]


def test_without_stored_trials_settings_come_from_the_chapters(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    training = baseline.training.model_copy(update={"epochs": 9})
    changed = Configuration(model=baseline.model, training=training)
    a = chapter(baseline, tmp_path)
    b = chapter(changed, tmp_path, epochs=9) | {"data_fingerprint": "other"}
    table = RunComparison({"one": a}, {"one": b}, store).conditions()
    assert table["inputs"].tolist() == ["training.epochs: 2 → 9; data: data → other"] * 2


def test_verdicts_name_the_inputs_that_differ(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    a = chapter(baseline, tmp_path, 1)
    stricter = experiment("none", "some", "half", more={**MORE, "smallest_effect": 0.1})
    b = chapter(baseline, tmp_path, 20, stricter)
    b["evidence"] = {**b["evidence"], "level": 0.01}
    comparison = RunComparison({"one": a}, {"one": b}, store)
    (row,) = comparison.verdicts().to_dict("records")
    assert (row["claim"], row["verdict_a"], row["verdict_b"]) == ("more", "undecided", "supported")
    assert (row["seeds_a"], row["seeds_b"]) == (1, 20)
    assert row["inputs"] == "the claim itself; seeds: 1 → 20; evidence.level: 0.05 → 0.01"
    assert comparison.unshared() == {"one": ([], ["half"])}

    output = io.StringIO()
    console = Console(file=output, width=160)
    print_comparison(
        comparison.conditions(), comparison.verdicts(), comparison.unshared(), console=console
    )
    text = output.getvalue()
    assert "Dropout helps." in text
    assert "one: only B has half" in text
    assert "Claims in both runs: 1; 1 of them has another verdict" in text


def test_a_claim_that_carries_over_to_other_images_has_an_interval_of_the_difference(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    parameters = experiment("none", "some", more=MORE)
    a = chapter(baseline, tmp_path, 20, parameters)
    rows = {}
    for data in (a["data_fingerprint"], "other"):
        b = a | {"data_fingerprint": data}
        comparison = RunComparison({"one": a}, {"one": b}, store)
        (rows[data],) = comparison.verdicts().to_dict("records")
        output = io.StringIO()
        print_comparison(
            comparison.conditions(),
            comparison.verdicts(),
            comparison.unshared(),
            every_claim=True,
            console=Console(file=output, width=200),
        )
        row = next(line for line in output.getvalue().splitlines() if "carries over" in line)
        assert ("+0.00 points (−" in row) == (data == "other")
    assert pd.isna(rows[a["data_fingerprint"]]["low"])
    assert rows["other"]["low"] < 0 < rows["other"]["high"]


def test_runs_that_cannot_be_compared_are_errors(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    a = chapter(baseline, tmp_path)
    with pytest.raises(InputError, match="no experiment in common: A has one, and B has two"):
        RunComparison({"one": a}, {"two": a}, store)
    with pytest.raises(InputError, match="one: its results were written by another version"):
        RunComparison({"one": a}, {"one": {"title": "T"}}, store)
    with pytest.raises(InputError, match=r"no metric 'accuracy'; allowed: mean_val_accuracy, "):
        RunComparison({"one": a}, {"one": a}, store).conditions("accuracy")


def test_a_run_without_claims_has_no_verdicts_to_compare(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    a = chapter(baseline, tmp_path)
    b = chapter(baseline, tmp_path, parameters=experiment("none", "some"))
    assert RunComparison({"one": a}, {"one": b}, store).verdicts().empty


def test_runs_without_a_common_condition_say_which_they_have(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    a = chapter(baseline, tmp_path, parameters=experiment("none"))
    b = chapter(baseline, tmp_path, parameters=experiment("some", "half"))
    comparison = RunComparison({"one": a}, {"one": b}, store)
    assert comparison.conditions().empty
    output = io.StringIO()
    print_comparison(
        comparison.conditions(),
        comparison.verdicts(),
        comparison.unshared(),
        console=Console(file=output, width=160),
    )
    assert output.getvalue().splitlines() == [
        "one: only A has none",
        "one: only B has some, half",
        "The runs have no condition in common",
    ]


def test_headings_are_whole_in_a_narrow_terminal(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    a, b = chapter(baseline, tmp_path), chapter(baseline, tmp_path, 8, precision="bf16")
    comparison = RunComparison({"combined_as_published": a}, {"combined_as_published": b}, store)
    output = io.StringIO()
    console = Console(file=output, width=80)
    conditions = comparison.conditions().assign(
        condition="combined_optimal_shallow", inputs="seeds: 1 → 20"
    )
    print_comparison(conditions, comparison.verdicts(), {}, every_claim=True, console=console)
    words = output.getvalue().replace("┃", " ").split()
    assert words.count("Experiment") == 2
    assert {"Condition", "interval", "Shared", "differ"} <= set(words)
    assert max(map(len, output.getvalue().splitlines())) <= 80


def timed(
    baseline: Configuration, folder: Path, processor: str, seeds: int = 6, **identity: Any
) -> dict[str, Any]:
    """A chapter whose trials took as many seconds as their place says, with a claim about the time."""
    slower = {**MORE, "text": "Dropout is slow.", "metric": "seconds_per_epoch", "smallest_effect": 0.1}
    parameters = experiment("none", "some", more=MORE, slower=slower)
    content = chapter(baseline, folder, seeds, parameters, **identity)
    metrics = content["tables"]["trial_metrics"]
    metrics["processor"] = [processor] * len(metrics["seed"])
    metrics["seconds_per_epoch"] = [float(place) for place in range(len(metrics["seed"]))]
    for row in content["verdicts"]:
        row |= {"estimate": 6.0, "low": 5.0, "high": 7.0}
    return content


@pytest.mark.parametrize("processor", ["Z80", "6502"])
def test_times_of_different_processors_are_not_compared(
    baseline: Configuration, tmp_path: Path, store: TrialStore, processor: str
) -> None:
    a = timed(baseline, tmp_path, "Z80")
    b = timed(baseline, tmp_path, processor)
    differ = processor != "Z80"
    fault = "the trials were trained on several processors: 6502, Z80" if differ else ""
    comparison = RunComparison({"one": a}, {"one": b}, store)
    times, accuracies = comparison.conditions("seconds_per_epoch"), comparison.conditions()
    assert times["difference"].isna().all() == differ
    assert times["fault"].tolist() == [fault] * 2
    assert times["mean_a"].tolist() == [2.5, 8.5]
    assert accuracies["difference"].tolist() == [0, 0]
    assert accuracies["fault"].tolist() == ["", ""]
    claims = comparison.verdicts().set_index("claim")
    assert claims.loc["more", ["difference", "fault"]].tolist() == [0, ""]
    assert pd.isna(claims.loc["slower", "difference"]) == differ
    assert claims.loc["slower", "fault"] == fault

    output = io.StringIO()
    console = Console(file=output, width=160)
    print_comparison(times, comparison.verdicts(), {}, every_claim=True, console=console)
    lines = output.getvalue().splitlines()
    assert (f"one: no difference for none, some: {fault}" in lines) == differ
    assert (f"one: no difference for slower: {fault}" in lines) == differ


def test_the_table_says_which_seeds_its_differences_are_over(
    baseline: Configuration, tmp_path: Path, store: TrialStore
) -> None:
    a, b = chapter(baseline, tmp_path), chapter(baseline, tmp_path)
    metrics = b["tables"]["trial_metrics"]
    metrics["seed"] = [seed + 6 for seed in metrics["seed"]]
    comparison = RunComparison({"one": a}, {"one": shifted(b, 0.5)}, store)
    table = comparison.conditions()
    assert table["shared_seeds"].tolist() == [0, 0]
    assert table["difference"].tolist() == pytest.approx([0.5, 0.5])
    output = io.StringIO()
    print_comparison(table, comparison.verdicts(), {}, console=Console(file=output, width=160))
    assert (
        "B − A in points, over the seeds that both have, or over all seeds if both have several and "
        "share fewer than two" in " ".join(output.getvalue().split())
    )
