"""The stored trials as a table."""

from collections import Counter
from collections.abc import Sequence
from numbers import Real
from typing import Any

import pandas as pd
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cnn_ablation.errors import InputError, suggestion
from cnn_ablation.execution.identity import is_current, settings_of
from cnn_ablation.execution.store import StoredTrial

GROUPS = ("model.", "training.")
"""Beginnings of the names of most settings."""

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
    table: pd.DataFrame, filters: Sequence[tuple[str, str]], sort: str | None = None
) -> pd.DataFrame:
    """The rows whose columns have the given values, sorted.

    Args:
        table: See `tabulate_trials`.
        filters: Columns, each with a value as text, which is read as YAML. A column may be given by the
            last part of its dotted name.
        sort: Column to sort by, with a hyphen before it for the reverse order; None: as they are.

    Raises:
        InputError: There is no such column, or two filters have the same one.
    """
    columns = [_column(table, name, "--where") for name, _ in filters]
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f"--where: {column} is given more than once; allowed: one value per column")
    selected = pd.Series(True, index=table.index)
    for column, (_, text) in zip(columns, filters, strict=True):
        selected &= _matches(table[column], text)
    table = table[selected]
    if sort is None:
        return table
    column = table[_column(table, sort.removeprefix("-"), "--sort")]
    missing = column.isna()
    ordered = sorted(
        table.index[~missing], key=lambda row: _sort_key(column[row]), reverse=sort.startswith("-")
    )
    return table.loc[[*ordered, *table.index[missing]]]


def differing_settings(table: pd.DataFrame) -> list[str]:
    """For each row, the settings in which it differs from most rows, as text.

    `model.` and `training.` are left out where the rest of the name says enough, as in `select_trials`.
    """
    dotted = [name for name in table.columns if "." in name]
    shorter = {name: name.partition(".")[2] for name in dotted if name.startswith(GROUPS)}
    counts = Counter(shorter.get(name, name) for name in table.columns)
    names = {name: short for name, short in shorter.items() if counts[short] == 1}
    texts = table[dotted].map(str).rename(columns=names)
    commonest = texts.mode().iloc[0] if len(texts) else pd.Series(dtype=str)
    return [
        ", ".join(f"{name}={value}" for name, value in row.items() if value != commonest[name])
        for _, row in texts.iterrows()
    ]


def _sort_key(value: Any) -> tuple[bool, float, str]:
    """Numbers first, then texts: a setting such as use_pooling is either a value or a list."""
    is_number = isinstance(value, Real)
    return not is_number, float(value) if is_number else 0.0, str(value)


def _matches(column: pd.Series, text: str) -> pd.Series:
    """Whether the entries of a column have a value, which is given as YAML, or have it as their text."""
    try:
        content: Any = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))
        value = content["value"]
    except (yaml.YAMLError, OmegaConfBaseException, ValueError):
        value = text
    # Keys of trials and times are texts that YAML may take for a number or a date.
    same = column.map(str) == text
    if value is None:
        return same | column.isna()
    is_bool = isinstance(value, bool)
    # Python takes true for 1 and false for 0.
    return same | column.map(lambda entry: entry == value and isinstance(entry, bool) == is_bool)


def _column(table: pd.DataFrame, name: str, option: str) -> str:
    """The column that an option names by its whole dotted name, or by the last part of it."""
    matches = [column for column in table.columns if name in (column, column.rpartition(".")[2])]
    if len(matches) != 1:
        raise InputError(
            f"{option}: {'more than one' if matches else 'no'} column has the name {name!r}; allowed: "
            f"{', '.join(table.columns)}.{suggestion(name, table.columns)}"
        )
    return str(matches[0])
