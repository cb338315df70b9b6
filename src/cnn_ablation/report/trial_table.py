"""The stored trials as a table."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import pandas as pd

from cnn_ablation.errors import InputError, suggestion
from cnn_ablation.execution.identity import is_current, settings_of
from cnn_ablation.execution.store import StoredTrial

VERSIONS = ("versions.", "libraries.")
"""Beginnings of the entries of an identity that are not settings."""


def tabulate_trials(entries: Sequence[StoredTrial]) -> pd.DataFrame:
    """A row per stored trial: key, trained, status, code, settings and metrics.

    `trained` is the time at which the training ended. `code` is `current` if a run can reuse the trial,
    else `older`. Settings have dotted names.
    """
    return pd.DataFrame(
        [
            {
                "key": entry.key,
                "trained": entry.manifest["trained_at"],
                "status": entry.status,
                "code": "current" if is_current(entry.identity) else "older",
                **{
                    name: value
                    for name, value in settings_of(entry.identity).items()
                    if not name.startswith(VERSIONS)
                },
                **entry.metrics,
            }
            for entry in entries
        ]
    )


def select_trials(
    table: pd.DataFrame, filters: Mapping[str, str], sort: str | None = None
) -> pd.DataFrame:
    """The rows whose columns have the given values, sorted.

    Args:
        table: See `tabulate_trials`.
        filters: Value, as text, by column. A column may be given by the last part of its dotted name.
        sort: Column to sort by, with a hyphen before it for the reverse order; None: as they are.

    Raises:
        InputError: There is no such column.
    """
    for name, value in filters.items():
        column = table[_column(table, name)]
        same = column.map(str) == value
        # A column with missing values holds whole numbers as floats.
        table = table[same | (pd.to_numeric(column, errors="coerce") == _number(value))]
    if sort is None:
        return table
    column = table[_column(table, sort.removeprefix("-"))]
    missing = column.isna()
    ordered = sorted(
        table.index[~missing], key=lambda row: _sort_key(column[row]), reverse=sort.startswith("-")
    )
    return table.loc[[*ordered, *table.index[missing]]]


def differing_settings(table: pd.DataFrame) -> list[str]:
    """For each row, the settings in which it differs from most rows, as text."""
    texts = table[[name for name in table.columns if "." in name]].map(str)
    commonest = texts.mode().iloc[0] if len(texts) else pd.Series(dtype=str)
    return [
        ", ".join(f"{name}={value}" for name, value in row.items() if value != commonest[name])
        for _, row in texts.iterrows()
    ]


def _sort_key(value: Any) -> tuple[bool, float, str]:
    """Numbers first, then texts: a setting such as use_pooling is either a value or a list."""
    is_number = isinstance(value, Real)
    return not is_number, float(value) if is_number else 0.0, str(value)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _column(table: pd.DataFrame, name: str) -> str:
    matches = [column for column in table.columns if name in (column, column.rpartition(".")[2])]
    if len(matches) != 1:
        raise InputError(
            f"{name}: {'more than one column has' if matches else 'no column has'} this name; allowed: "
            f"{', '.join(table.columns)}.{suggestion(name, table.columns)}"
        )
    return str(matches[0])
