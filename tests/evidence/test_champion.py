"""The winner of a study, and when it replaces the champion."""

import logging
from typing import Any

import pandas as pd
import pytest

from cnn_ablation.evidence.champion import LOST, UNREAD, Contender, best_trial, choose_winner, contest
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.parameters import EvidenceParameters
from cnn_ablation.study.trials import Condition

EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2, planned_seeds=20, spending="pocock")


def winner(*accuracies: float, **fields: Any) -> dict[str, Any]:
    return {
        "model": {"dropout_rate": 0.5},
        "training": {"epochs": 10},
        "moments": 20,
        "data": "abc",
        "protocol": "journal",
        "class_names": ["cat"],
        "step": 0.01,
        "accuracies": {str(seed): value for seed, value in enumerate(accuracies)},
        **fields,
    }


BEFORE = winner(91.0, 91.2, 91.1, 90.9, model={"dropout_rate": 0.0})


@pytest.mark.parametrize(
    ("challenger", "promoted", "reason"),
    [
        (winner(92.0, 92.3, 92.1, 91.9), True, "it is above the champion: +1.02 points"),
        (winner(91.1, 91.1, 91.3, 90.8), False, "not shown to be above"),
        (winner(90.0, 90.3, 90.1, 89.9), False, "not shown to be above"),
        (winner(95.0), False, "not shown to be above"),
        (winner(93.0, 93.2, 93.1, 92.9), False, "not shown to be above"),  # equal differences
        (winner(95.0, 95.1, 95.2, data="other"), False, "other data"),
        (winner(95.0, 95.1, 95.2, protocol="holdout"), False, "other data"),
        (winner(95.0, 95.1, 95.2, moments=1), False, "or in another way"),
        (winner(95.0, 95.1, 95.2, model={"dropout_rate": 0.0}), False, "the same configuration"),
    ],
)
def test_only_a_better_winner_replaces_the_champion(
    challenger: dict[str, Any], reason: str, *, promoted: bool
) -> None:
    result = contest(challenger, BEFORE, EVIDENCE)
    assert result["promoted"] == promoted
    assert reason in result["reason"]


@pytest.mark.parametrize(
    ("challenger", "champion", "finding"),
    [
        (winner(91.0, 91.5), winner(91.0, 91.5), "+0.00 points (interval unknown, 2 seeds)"),
        (winner(95.0), BEFORE, "+4.00 points (interval unknown, 1 seed)"),
        (
            winner(95.0, 95.1),
            winner(accuracies={"7": 91.0}),
            "they have no seed in common, and one of them has only one seed",
        ),
        (
            winner(95.0, 95.1),
            winner(accuracies={"7": 91.0, "8": 91.2}),
            "+3.95 points (95 % interval 3.26 to 4.64, 2 seeds)",
        ),
    ],
)
def test_an_unknown_interval_is_not_written_as_numbers(
    challenger: dict[str, Any], champion: dict[str, Any], finding: str
) -> None:
    result = contest(challenger, {**champion, "model": {"dropout_rate": 0.0}}, EVIDENCE)
    assert result["reason"].endswith(f"the champion: {finding}")


@pytest.mark.parametrize(
    "champion",
    [
        {},
        {"data": "abc"},
        winner(91.0, accuracies="high"),
        winner(91.0, model=None),
        winner(accuracies={"0": "45.1", "1": "45.2"}),
        winner(accuracies={"0": True, "1": 45.2}),
        winner(accuracies={"0": float("nan"), "1": 45.2}),
        winner(accuracies={"0": 10**400}),
        winner(accuracies={"0": 9100.0}),
        winner(accuracies={}),
        *(winner(91.0, 91.2, step=step) for step in ("x", None, [0.01], True, -0.01, float("inf"))),
        winner(91.0, moments="20"),
        winner(91.0, data=None),
    ],
)
def test_a_champion_without_results_is_not_replaced(champion: dict[str, Any]) -> None:
    result = contest(winner(92.0, 92.3, 92.1, 91.9), champion, EVIDENCE)
    assert not result["promoted"]
    assert "the champion's version has no results of a study" in result["reason"]


def test_the_first_winner_becomes_the_champion() -> None:
    assert contest(winner(50.0), None, EVIDENCE) == {"promoted": True, "reason": "it is the first one"}


def test_a_champion_whose_classes_have_other_names_now_is_replaced_by_the_same_network() -> None:
    renamed = contest(winner(91.0, class_names=["car"]), winner(91.0), EVIDENCE)
    assert renamed == {
        "promoted": True,
        "reason": "the champion has other names for the same classes",
    }
    # Champions of earlier releases do not name their classes.
    assert not contest(winner(91.0), winner(91.0, class_names=None), EVIDENCE)["promoted"]


def test_a_champion_that_could_not_be_read_is_not_replaced() -> None:
    result = contest(winner(92.0, 92.3, 92.1, 91.9), UNREAD, EVIDENCE)
    assert result == {
        "promoted": False,
        "reason": "the champion is not known, because it cannot be read",
    }


def test_a_champion_whose_files_are_lost_is_replaced() -> None:
    assert contest(winner(50.0), LOST, EVIDENCE) == {
        "promoted": True,
        "reason": "the files of the champion are gone or damaged",
    }


def metrics(**accuracies: list[float]) -> pd.DataFrame:
    """A row per trial; a trial without accuracy has diverged."""
    return pd.DataFrame(
        {
            "condition": name,
            "seed": seed,
            "key": f"{name}{seed}",
            "status": "finished" if value > 0 else "diverged",
            "mean_val_accuracy": value if value > 0 else float("nan"),
            "final_val_accuracy": value if value > 0 else float("nan"),
        }
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    )


def test_the_best_trial_is_of_the_condition_with_the_highest_mean() -> None:
    for table, key in (
        (metrics(a=[95.0, 85.0], b=[91.0, 92.0]), "b1"),
        (metrics(a=[95.0, 0.0], b=[91.0, 0.0]), "a0"),
    ):
        best = best_trial(table)
        assert best is not None
        assert best["key"] == key
    assert best_trial(metrics(a=[0.0, 0.0])) is None


def test_the_mean_over_moments_ranks_conditions_and_the_last_value_trials() -> None:
    table = metrics(a=[90.0, 91.0], b=[92.0, 93.0])
    table["final_val_accuracy"] = [99.0, 98.0, 89.0, 88.0]
    best = best_trial(table)
    assert best is not None
    assert best["key"] == "b0", "its stored weights have the higher accuracy"


def results(baseline: Configuration, **accuracies: list[float]) -> Contender:
    conditions = [Condition(name=name, levels={}, **dict(baseline)) for name in accuracies]
    images = {"train": 1000, "validation": 1000}
    return Contender(
        conditions, metrics(**accuracies), images, 20, "abc", protocol="journal", class_names=["cat"]
    )


def test_the_winner_has_the_highest_mean_of_all_experiments(baseline: Configuration) -> None:
    won = choose_winner(
        {
            "one": results(baseline, a=[90.0, 91.0], b=[92.0, 94.0]),
            "two": results(baseline, a=[95.0, 90.0], b=[0.0, 0.0]),
        }
    )
    assert (won["experiment"], won["condition"], won["seed"], won["key"]) == ("one", "b", 1, "b1")
    assert won["mean"] == 93
    assert won["accuracies"] == {"0": 92.0, "1": 94.0}
    assert won["low"] < 93 < won["high"]
    assert (won["moments"], won["data"], won["protocol"]) == (20, "abc", "journal")
    assert won["class_names"] == ["cat"]
    assert won["step"] == 100 / (1000 * 20)


@pytest.mark.parametrize("end", ["diverged", "failed"])
def test_a_condition_wins_with_trials_that_did_not_finish_only_if_there_is_no_other(
    baseline: Configuration, end: str
) -> None:
    fragile = results(baseline, fragile=[92.01, *[0.0] * 9])
    table = fragile.trial_metrics
    table.loc[table["status"] == "diverged", "status"] = end
    solid = results(baseline, solid=[91.9, 92.0, 92.1])
    # The conditions of different experiments may have the same name.
    other = results(baseline, fragile=[91.0, 91.1])
    won = choose_winner({"one": fragile, "two": solid, "three": other})
    assert (won["experiment"], won["condition"], won["seed"]) == ("two", "solid", 2)
    assert choose_winner({"one": fragile})["accuracies"] == {"0": 92.01}


def test_an_experiment_without_results_cannot_win(
    baseline: Configuration, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # If an earlier test loaded conf/logging.yml, messages do not reach the root logger.
    monkeypatch.setattr(logging.getLogger("cnn_ablation"), "propagate", True)
    diverged = results(baseline, a=[0.0, 0.0])
    won = choose_winner({"one": diverged, "two": results(baseline, b=[90.0, 91.0])})
    assert (won["experiment"], won["condition"]) == ("two", "b")
    assert "No trial has finished, so that it cannot win: one" in caplog.text
    assert choose_winner({"one": diverged}) == {}
    reason = "no trial of the study has finished"
    assert contest({}, BEFORE, EVIDENCE) == {"promoted": False, "reason": reason}
    assert contest({}, None, EVIDENCE) == {"promoted": False, "reason": reason}
