"""Nodes of reporting."""

import pandas as pd


def join_experiments(**condition_summaries: pd.DataFrame) -> pd.DataFrame:
    """The summaries of all experiments in one table, with the experiment as first column."""
    tables = [
        table.assign(experiment=name)[["experiment", *table.columns]]
        for name, table in condition_summaries.items()
    ]
    return pd.concat(tables, ignore_index=True)
