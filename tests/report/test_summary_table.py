"""The table that a run prints at its end."""

import io

import pandas as pd
import pytest
from rich.console import Console

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


def test_names_are_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary("Effect [/x] [b]", SUMMARY.assign(condition="opt[red]:smile:"), None, "folder")
    output = capsys.readouterr().out
    assert "Effect [/x] [b]" in output
    assert "opt[red]:smile:" in "".join(output.replace("│", "").split())


def test_names_are_whole_in_a_narrow_terminal() -> None:
    output = io.StringIO()
    summary = SUMMARY.assign(condition="combined_optimal_shallow", best_val_accuracy_sd=0.1)
    print_summary("T", summary, None, "folder", Console(file=output, width=80))
    lines = output.getvalue().splitlines()
    assert "combined_optimal_shallow" in output.getvalue()
    assert "91.23 ± 0.12" in output.getvalue()
    assert max(map(len, lines)) <= 80


CLAIMS = pd.DataFrame(
    {
        "claim": ["moderate_best", "half_too_much", "deeper_overfits", "neutral"],
        "verdict": ["supported", "undecided", "supported", "undecided"],
        "looks": [2, 2, 0, 2],
        "level": [0.0123, 0.0123, 1.0, 0.0123],
        "seeds_needed": pd.array([None, 14, None, None], dtype="Int64"),
        "worker_minutes": [None, 125.0, None, None],
    }
)


def test_settled_claims_are_named_and_the_others_counted_with_their_cost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Tables that are read from a file have floats.
    text = printed(CLAIMS.astype({"seeds_needed": float}), capsys)
    assert "91.23 ± 0.12" in text
    assert "±: standard deviation over seeds" in text
    assert "Supported (2): moderate_best, deeper_overfits" in text
    assert (
        "Undecided: 2 of 4 claims; 14 seeds would decide 1 of them, in 2.1 h of training on one worker"
        in text
    )


@pytest.mark.parametrize(
    ("rows", "needed", "expected"),
    [
        (["half_too_much"], [9], "1 of 1 claim; 9 seeds would decide it, in 2.1 h of training on one"),
        (
            ["half_too_much", "neutral"],
            [9, 1200],
            "2 of 2 claims; 1,200 seeds would decide 2 of them; the most expensive one takes 2.1 h of",
        ),
        (["neutral"], [None], "1 of 1 claim Look 2"),
        (["neutral"], [9], "1 of 1 claim; 9 seeds would decide it Look 2"),
    ],
)
def test_the_cost_of_undecided_claims_agrees_in_number(
    capsys: pytest.CaptureFixture[str], rows: list[str], needed: list[int | None], expected: str
) -> None:
    claims = CLAIMS[CLAIMS["claim"].isin(rows)].assign(seeds_needed=pd.array(needed, dtype="Int64"))
    assert f"Undecided: {expected}" in printed(claims, capsys)


def test_a_look_is_announced_with_its_level(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Look 2 at these results: a verdict needs a p value of at most 0.012" in printed(
        CLAIMS, capsys
    )


@pytest.mark.parametrize(
    ("levels", "count", "announced"),
    [((0.0, 0.0, 1.0, 0.0), 3, False), ((0.0123, 0.0, 1.0, 0.0123), 1, True)],
)
def test_claims_without_a_level_are_counted(
    capsys: pytest.CaptureFixture[str], levels: tuple[float, ...], count: int, announced: bool
) -> None:
    text = printed(CLAIMS.assign(level=levels), capsys)
    assert (
        f"No level is left for {count} of 4 claims: the results lack seeds of an earlier look, or have "
        "fewer than two, or earlier looks have spent it" in text
    )
    assert ("Look 2 at these results: a verdict needs a p value of at most 0.012" in text) == announced


def test_exact_numbers_need_no_look(capsys: pytest.CaptureFixture[str]) -> None:
    exact = CLAIMS.tail(2).head(1)
    text = printed(exact, capsys)
    assert "Look" not in text
    assert "Undecided" not in text
