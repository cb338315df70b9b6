"""The table that ends a run: an experiment's conditions and how they did."""

import pandas as pd
from rich.console import Console
from rich.table import Table


def print_summary(
    title: str,
    condition_summary: pd.DataFrame,
    verdicts: pd.DataFrame | None,
    folder: str,
    console: Console | None = None,
) -> None:
    """Print a row per condition, how its claims fared, and the folder of its figures and tables.

    Validation accuracy is that of the last epoch; the best epoch's stands beside it.

    Args:
        title: Of the experiment.
        condition_summary: As `evaluation.summarize_conditions` makes it.
        verdicts: As `verdicts.judge` makes it; None where they were not asked for.
        folder: Where the experiment's figures and tables are.
        console: Where to print; by default standard output.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("Condition", overflow="fold")
    for name in ("Seeds", "Val. accuracy (%)", "Best epoch's", "Parameters"):
        table.add_column(name, justify="right")
    for _, row in condition_summary.iterrows():
        table.add_row(
            row["condition"],
            _seed_counts(row),
            mean_and_sd(row, "final_val_accuracy"),
            mean_and_sd(row, "best_val_accuracy"),
            "–" if pd.isna(row["total_params"]) else f"{row['total_params']:,}",
        )
    console = console or Console()
    console.print(table)
    if verdicts is not None and len(verdicts):
        counts = verdicts["verdict"].value_counts()
        fates = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        console.print(f"Claims: {fates}", highlight=False)
    console.print(f"Figures and tables: {folder}", highlight=False)


def _seed_counts(summary: pd.Series) -> str:
    lost = unfinished(summary)
    return f"{summary['seeds']}" + (f" ({', '.join(lost)})" if lost else "")


def unfinished(summary: pd.Series) -> list[str]:
    """Counts of a condition's trials that did not finish, such as `["1 diverged"]`; empty if all did."""
    return [f"{int(summary[status])} {status}" for status in ("diverged", "failed") if summary[status]]


def mean_and_sd(summary: pd.Series, metric: str) -> str:
    """Mean ± sample standard deviation over seeds, with one seed its value alone."""
    mean, sd = summary[f"{metric}_mean"], summary[f"{metric}_sd"]
    if pd.isna(mean):
        return "–"
    return f"{mean:.2f}" if pd.isna(sd) else f"{mean:.2f} ± {sd:.2f}"
