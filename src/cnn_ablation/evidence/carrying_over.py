"""Comparison of the verdicts on the same claims from two sets of results, such as two data sets."""

import numpy as np
import pandas as pd

COLUMNS = [
    *("claim", "text", "unit", "verdict_a", "verdict_b", "outcome", "estimate_a", "estimate_b"),
    *("difference", "low", "high"),
]

OPPOSITES = {"supported": "contradicted", "contradicted": "supported"}
"""Verdicts that exclude each other."""


def compare_verdicts(a: pd.DataFrame, b: pd.DataFrame, *, independent: bool) -> pd.DataFrame:
    """A row per claim that both tables judge, in the order of the first.

    A verdict that is settled on one side and undecided on the other is not a difference between them.
    Whether sizes differ is another question, which the interval of their difference answers. It is
    computed from the two intervals, if the results are independent (Zou & Donner, 2008).

    Args:
        a: A row per claim, see `verdicts.judge`.
        b: The same for the other results.
        independent: Whether the results are from different images.

    Returns:
        Columns: claim; text; unit; verdict_a and verdict_b; outcome; estimate_a and estimate_b;
        difference (B minus A; missing if the estimates are of different quantities), with low and high
        (95 % interval; missing if an interval is, or if the results are not independent). outcome is
        `carries over` (the same verdict), `reversed` (supported on one side, contradicted on the
        other), `changed` (any two other verdicts) or `open` (one of them is undecided).
    """
    others = b.set_index("claim")
    rows = []
    for row in a[a["claim"].isin(others.index)].to_dict("records"):
        other = others.loc[row["claim"]]
        alike = all(row[name] == other[name] for name in ("metric", "comparison", "unit"))
        difference = other["estimate"] - row["estimate"] if alike else np.nan
        below = np.hypot(other["estimate"] - other["low"], row["high"] - row["estimate"])
        above = np.hypot(other["high"] - other["estimate"], row["estimate"] - row["low"])
        rows.append(
            {
                "claim": row["claim"],
                **{name: other[name] for name in ("text", "unit")},
                **{f"{name}_a": row[name] for name in ("verdict", "estimate")},
                **{f"{name}_b": other[name] for name in ("verdict", "estimate")},
                "outcome": _outcome(row["verdict"], other["verdict"]),
                "difference": difference,
                "low": difference - below if independent else np.nan,
                "high": difference + above if independent else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _outcome(verdict: str, other: str) -> str:
    if "undecided" in (verdict, other):
        return "open"
    if verdict == other:
        return "carries over"
    return "reversed" if OPPOSITES.get(verdict) == other else "changed"
