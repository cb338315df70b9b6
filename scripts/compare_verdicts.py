"""Print which verdicts on one data set carry over to another, as a table in Markdown.

.venv/bin/python scripts/compare_verdicts.py data/08_reporting data/cifar10/08_reporting [EXPERIMENT ...]
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from cnn_ablation.evidence.carrying_over import compare_verdicts
from cnn_ablation.evidence.wording import quantity

HEADINGS = (
    *("Claim", "Verdict", "Other verdict", "Outcome", "Size", "Other size"),
    "95 % interval of the difference",
)
TEXT = ["claim", "text", "unit", "verdict"]


def experiments_in(folder: Path) -> set[str]:
    """Names of the experiments whose verdicts are in a folder of reports."""
    return {path.parent.name for path in folder.glob("*/verdicts.csv")}


def read(folder: Path, experiment: str) -> pd.DataFrame:
    """The verdicts on the claims of an experiment."""
    table = pd.read_csv(
        folder / experiment / "verdicts.csv",
        keep_default_na=False,
        na_values=[""],
        dtype=dict.fromkeys(TEXT, str),
    )
    return table.fillna(dict.fromkeys(TEXT, ""))


def line(row: Mapping[str, Any]) -> str:
    """A row of the table."""
    unit = row["unit"]
    sizes = [
        "–" if pd.isna(row[name]) else quantity(row[name], unit)
        for name in ("estimate", "other_estimate")
    ]
    ends = [quantity(row[end], unit, bare=True) for end in ("low", "high") if not pd.isna(row[end])]
    return (
        f"| {row['text']} | {row['verdict']} | {row['other_verdict']} | {row['outcome']} "
        f"| {sizes[0]} | {sizes[1]} | {' to '.join(ends) if len(ends) == 2 else '–'} |"
    )


def main() -> None:
    """Compare the verdicts of two folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", type=Path, help="folder of reports")
    parser.add_argument("other", type=Path, help="folder of the other reports")
    parser.add_argument("experiments", nargs="*", help="default: all that are in both folders")
    options = parser.parse_args()
    shared = experiments_in(options.reports) & experiments_in(options.other)
    missing = sorted(set(options.experiments) - shared)
    if missing or not shared:
        sys.exit(
            f"{options.reports} and {options.other} have no verdicts on the same experiment"
            f"{' ' + ', '.join(missing) if missing else ''}; run it in both environments first"
        )
    outcomes: Counter[str] = Counter()
    for experiment in options.experiments or sorted(shared):
        table = compare_verdicts(
            *(read(folder, experiment) for folder in (options.reports, options.other))
        )
        outcomes.update(table["outcome"])
        print(f"## {experiment}\n")
        print(f"| {' | '.join(HEADINGS)} |")
        print("| --- | --- | --- | --- | ---: | ---: | ---: |")
        print(*map(line, table.to_dict("records")), sep="\n", end="\n\n")
    print(", ".join(f"{outcome}: {count}" for outcome, count in sorted(outcomes.items())))


if __name__ == "__main__":
    main()
