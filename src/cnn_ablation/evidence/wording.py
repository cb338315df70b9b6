"""Findings in words, and numbers with their units."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def describe_finding(row: Mapping[str, Any], *, anew: bool, fault: str = "") -> str:
    """The finding: estimate, interval, seeds, and the number of seeds that would decide the claim.

    Args:
        row: Of the table of verdicts.
        anew: Whether the level is used up, so that only a study with new seeds can decide the claim.
        fault: The reason why a quantity of the claim has no estimate, if it is not the lack of finished
            trials; or empty.
    """
    unit, signed = row["unit"], row["is_difference"]
    if np.isnan(row["estimate"]):
        return f"no result: {fault}" if fault else "no result"
    words = f"{row['comparison']}: {quantity(row['estimate'], unit, signed=signed)}"
    if row["claimed"] is not None:
        bound = {"at_most": "at most ", "at_least": "at least "}.get(row["kind"], "")
        words += f", claimed {bound}{quantity(row['claimed'], unit)}"
    if row["seeds"] == 1 and row["verdict"] == "undecided":
        return f"{words}; one seed cannot tell"
    if row["verdict"] == "undecided" and np.isnan(row["low"]):
        return (
            f"{words}; the {row['seeds']} results are equal up to rounding, so their spread is unknown"
        )
    if row["low"] < row["high"]:
        pairing = (", paired" if row["paired"] else ", not paired") if signed else ""
        words += (
            f" (95 % interval {quantity(row['low'], unit, bare=True)} to "
            f"{quantity(row['high'], unit, bare=True)}; {row['seeds']} seeds{pairing})"
        )
    if row["verdict"] == "undecided":
        if fault:
            words += f"; {fault}"
        elif row["level"] == 0:
            words += "; earlier looks leave no level for these seeds"
        elif row["seeds_needed"] is None:
            words += "; no number of seeds is known to decide it"
        else:
            seeds = row["seeds_needed"]
            words += (
                f"; the level is used up, and about {seeds:,.0f} new seeds, planned for one look, would "
                "decide it"
                if anew
                else f"; about {seeds:,.0f} seeds would decide it"
            )
            if row["worker_minutes"]:
                words += f", {duration(row['worker_minutes'])} of training on one worker"
    return words


def quantity(value: float, unit: str, *, signed: bool = False, bare: bool = False) -> str:
    """A number with its unit. The unit determines the number of digits; `bare` leaves the unit out."""
    digits = {"nats": 3, "parameters": 0, "KiB": 0, "epochs": 1, "s": 1, "µs": 1}.get(unit, 2)
    text = f"{value:{'+' if signed else ''},.{digits}f}".replace("-", "−")
    return text if bare or unit in ("", "ratio") else f"{text} {unit}"


def duration(minutes: float) -> str:
    """A time in words: minutes below two hours, hours above."""
    if minutes < 1:
        return "less than a minute"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
