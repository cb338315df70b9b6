"""The table that is printed at the end of a run: an experiment's conditions with their results."""

import pandas as pd
from rich.console import Console
from rich.table import Table

from cnn_ablation.report.console import add_name_column, plain_console
from cnn_ablation.study.quantities import PRIMARY_METRIC

ROOM = 56
"""Width, characters, that the table leaves to the columns beside the names."""


def print_summary(
    title: str,
    condition_summary: pd.DataFrame,
    verdicts: pd.DataFrame | None,
    folder: str,
    console: Console | None = None,
) -> None:
    """Print a row per condition, the claims by verdict, and the folder of figures and tables.

    The accuracies are means over the moments of the last epoch, and those of the best epoch.

    Args:
        title: Title of the experiment.
        condition_summary: A row per condition, see `scores.summarize_conditions`.
        verdicts: A row per claim, see `verdicts.judge`; None if verdicts were not computed.
        folder: Folder of the experiment's figures and tables.
        console: Where to print; None: standard output.
    """
    console = console or plain_console()
    several = (condition_summary["seeds"] > 1).any()
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption="±: standard deviation over seeds" if several else None,
        caption_justify="left",
    )
    add_name_column(table, "Condition", condition_summary["condition"], console.width - ROOM)
    for name in ("Seeds", "Val. accuracy (%)", "Best epoch (%)", "Parameters"):
        table.add_column(name, justify="right")
    for _, row in condition_summary.iterrows():
        table.add_row(
            row["condition"],
            _seed_counts(row),
            mean_and_sd(row, PRIMARY_METRIC),
            mean_and_sd(row, "best_val_accuracy"),
            "–" if pd.isna(row["total_params"]) else f"{row['total_params']:,.0f}",
        )
    console.print(table)
    if not condition_summary["seeds"].any():
        console.print("No trial has finished: there are no results to compare.", highlight=False)
    if verdicts is not None and len(verdicts):
        for line in _verdict_lines(verdicts):
            console.print(line, highlight=False)
        tested = verdicts[verdicts["looks"] > 0]
        if len(tested):
            for line in _look_lines(tested["looks"].max(), verdicts["level"]):
                console.print(line, highlight=False)
    console.print(f"Figures and tables: {folder}", highlight=False)


def _verdict_lines(verdicts: pd.DataFrame) -> list[str]:
    """The settled claims by name, and the number of the others with the cost of deciding them."""
    settled = verdicts[verdicts["verdict"] != "undecided"]
    lines = [
        f"{verdict.capitalize()} ({len(claims)}): {', '.join(claims)}"
        for verdict, claims in settled.groupby("verdict", sort=False)["claim"]
    ]
    undecided = verdicts[verdicts["verdict"] == "undecided"]
    if len(undecided):
        known = undecided.dropna(subset="seeds_needed")
        cost = _cost_of_deciding(known, alone=len(undecided) == 1) if len(known) else ""
        claims = "claim" if len(verdicts) == 1 else "claims"
        lines.append(f"Undecided: {len(undecided)} of {len(verdicts)} {claims}{cost}")
    return lines


def _cost_of_deciding(claims: pd.DataFrame, *, alone: bool) -> str:
    """The cost of deciding claims as an end of a sentence.

    Args:
        claims: The undecided claims for which a number of seeds is known, at least one.
        alone: Whether there is no other undecided claim.
    """
    from cnn_ablation.evidence.wording import duration

    minutes = claims["worker_minutes"].max()
    seeds = f"{int(claims['seeds_needed'].max()):,} seeds would decide"
    which = "it" if alone else f"{len(claims)} of them"
    if pd.isna(minutes):
        return f"; {seeds} {which}"
    lead = "; the most expensive one takes" if len(claims) > 1 else ", in"
    return f"; {seeds} {which}{lead} {duration(minutes)} of training on one worker"


def _look_lines(look: int, levels: pd.Series) -> list[str]:
    """The level of this look, and the number of claims that have none."""
    lines = []
    tested = levels[levels > 0]
    # Claims about exact numbers need no test: their level is 1.
    if (tested < 1).any():
        lines.append(
            f"Look {look} at these results: a verdict needs a p value of at most {tested.min():.2g}"
        )
    if len(tested) < len(levels):
        lines.append(
            f"No level is left for {len(levels) - len(tested)} of {len(levels)} claims: the results "
            "lack seeds of an earlier look, or have fewer than two, or earlier looks have spent it"
        )
    return lines


def _seed_counts(summary: pd.Series) -> str:
    lost = unfinished(summary)
    return f"{summary['seeds']}" + (f" ({', '.join(lost)})" if lost else "")


def unfinished(summary: pd.Series) -> list[str]:
    """Counts of a condition's trials that did not finish, such as `["1 diverged"]`; empty if all did."""
    return [f"{int(summary[status])} {status}" for status in ("diverged", "failed") if summary[status]]


def mean_and_sd(summary: pd.Series, metric: str) -> str:
    """Mean ± sample standard deviation over seeds as text; with one seed, only its value."""
    mean, sd = summary[f"{metric}_mean"], summary[f"{metric}_sd"]
    if pd.isna(mean):
        return "–"
    return f"{mean:.2f}" if pd.isna(sd) else f"{mean:.2f} ± {sd:.2f}"
