"""The headline results of a run."""

import math

import pandas as pd

from cnn_ablation.report.run_metrics import summarize_run


def summary(means: list[float], diverged: list[int] | None = None) -> pd.DataFrame:
    columns = {"diverged": diverged or [0] * len(means), "failed": [0] * len(means)}
    return pd.DataFrame({"mean_val_accuracy_mean": means, **columns})


def test_results_of_all_experiments_are_summarized() -> None:
    summaries = [
        summary([75.123456, math.nan]),
        # Not the best: a mean over the few trials that did not diverge would be too favourable.
        summary([91.5, 99.0], diverged=[0, 2]),
    ]
    verdicts = [
        pd.DataFrame({"verdict": ["supported", "undecided", "among the best"]}),
        pd.DataFrame({"verdict": ["undecided"]}),
    ]
    columns = ["key", "status", "reused"]
    runs = [
        pd.DataFrame([["a", "finished", True], ["b", "finished", True]], columns=columns),
        pd.DataFrame([["a", "finished", False], ["c", "failed", False]], columns=columns),
    ]
    assert summarize_run(summaries, verdicts, runs) == {
        "best_mean_val_accuracy": 91.5,
        "claims": 4,
        "claims_supported": 1,
        "claims_contradicted": 0,
        "claims_undecided": 2,
        "claims_among_the_best": 1,
        "trials": 3,
        "trials_trained": 1,
        "trials_failed": 1,
    }


def test_a_run_without_results_has_no_numbers() -> None:
    assert summarize_run([], [], []) == {}
    assert summarize_run([summary([math.nan], diverged=[1])], [], []) == {}
