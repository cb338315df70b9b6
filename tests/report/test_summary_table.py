"""The table that a run prints at its end."""

import pandas as pd
import pytest

from cnn_ablation.report.summary_table import print_summary

SUMMARY = pd.DataFrame(
    {
        "condition": ["a"],
        "seeds": [3],
        "diverged": 0,
        "failed": 0,
        "total_params": 421_834,
        "mean_val_accuracy_mean": 91.234,
        "mean_val_accuracy_sd": 0.12,
        "best_val_accuracy_mean": 92.0,
        "best_val_accuracy_sd": float("nan"),
    }
)


def printed(verdicts: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> str:
    print_summary("T", SUMMARY, verdicts, "folder")
    return " ".join(capsys.readouterr().out.split())


def test_a_look_is_announced_with_its_level(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = pd.DataFrame(
        {
            "verdict": ["supported", "undecided", "supported"],
            "looks": [2, 2, 0],
            "level": [0.0123, 0.0123, 1.0],
        }
    )
    text = printed(verdicts, capsys)
    assert "91.23 ± 0.12" in text
    assert "Claims: 2 supported, 1 undecided" in text
    assert "Look 2 at these results: a verdict needs a p value of at most 0.012" in text
    other_seeds = printed(verdicts.assign(level=[0.0, 0.0, 1.0]), capsys)
    assert "no level is left, because other seeds were looked at before" in other_seeds


def test_exact_numbers_need_no_look(capsys: pytest.CaptureFixture[str]) -> None:
    exact = pd.DataFrame({"verdict": ["supported"], "looks": [0], "level": [1.0]})
    assert "Look" not in printed(exact, capsys)
