"""Comparison of the verdicts on the same claims from two sets of results, such as two data sets."""

import numpy as np
import pandas as pd

COLUMNS = [
    *("claim", "text", "unit", "verdict", "other_verdict", "outcome", "estimate", "other_estimate"),
    *("difference", "low", "high"),
]

OPPOSITES = {"supported": "contradicted", "contradicted": "supported"}
"""Verdicts that exclude each other."""


def compare_verdicts(verdicts: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """A row per claim that both tables judge, in the order of the first.

    A verdict that is settled on one side and undecided on the other is not a difference between them.
    Whether sizes differ is another question, which the interval of their difference answers. It is
    computed from the two intervals, because the results are independent (Zou & Donner, 2008).

    Args:
        verdicts: A row per claim, see `verdicts.judge`.
        other: The same for the other results.

    Returns:
        Columns: claim; text; unit; verdict; other_verdict; outcome; estimate; other_estimate; difference
        (of the first from the other), with low and high (95 % interval; missing if an interval is).
        outcome is `carries over` (the same verdict), `reversed` (supported on one side, contradicted on
        the other), `changed` (any two other verdicts) or `open` (one of them is undecided).
    """
    theirs = other.set_index("claim")
    rows = []
    for row in verdicts[verdicts["claim"].isin(theirs.index)].to_dict("records"):
        match = theirs.loc[row["claim"]]
        difference = row["estimate"] - match["estimate"]
        below = np.hypot(row["estimate"] - row["low"], match["high"] - match["estimate"])
        above = np.hypot(row["high"] - row["estimate"], match["estimate"] - match["low"])
        rows.append(
            {
                **{name: row[name] for name in ("claim", "text", "unit", "verdict", "estimate")},
                "other_verdict": match["verdict"],
                "outcome": _outcome(row["verdict"], match["verdict"]),
                "other_estimate": match["estimate"],
                "difference": difference,
                "low": difference - below,
                "high": difference + above,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _outcome(verdict: str, other: str) -> str:
    if "undecided" in (verdict, other):
        return "open"
    if verdict == other:
        return "carries over"
    return "reversed" if OPPOSITES.get(verdict) == other else "changed"
