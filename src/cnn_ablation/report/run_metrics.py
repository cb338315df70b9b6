"""The headline results of a run: a few numbers by which runs can be compared."""

from collections.abc import Sequence

import pandas as pd

from cnn_ablation.report.chapters import best_condition
from cnn_ablation.study.quantities import PRIMARY_METRIC


def summarize_run(
    summaries: Sequence[pd.DataFrame], verdicts: Sequence[pd.DataFrame], runs: Sequence[pd.DataFrame]
) -> dict[str, float]:
    """Summarize the results of some experiments.

    Args:
        summaries: A table per experiment, see `scores.summarize_conditions`.
        verdicts: A table per judged experiment, see `verdicts.judge`.
        runs: A table of trials per experiment, see `datasets.MlflowTrialRunsDataset`.

    Returns:
        `best_mean_val_accuracy` (%, mean over seeds of the best condition), `claims` and a count per
        verdict, such as `claims_undecided`, and the number of distinct `trials` and how many of these
        were `trials_trained` by this run and `trials_failed`. A number is left out if no table has it.
    """
    metrics: dict[str, float] = {}
    conditions = [
        row
        for table in summaries
        for row in table.rename(columns={f"{PRIMARY_METRIC}_mean": PRIMARY_METRIC})
        .dropna(subset=PRIMARY_METRIC)
        .to_dict("records")
    ]
    best = best_condition(conditions)
    if best is not None:
        metrics[f"best_{PRIMARY_METRIC}"] = round(best[PRIMARY_METRIC], 4)
    if verdicts:
        found = [verdict for table in verdicts for verdict in table["verdict"]]
        counted = {
            verdict: found.count(verdict) for verdict in ("supported", "contradicted", "undecided")
        }
        counted |= {verdict: found.count(verdict) for verdict in found}
        metrics["claims"] = len(found)
        metrics |= {f"claims_{verdict.replace(' ', '_')}": n for verdict, n in counted.items()}
    if runs:
        # Experiments share trials: the first to run trains one, and the others reuse it.
        trials = pd.concat(runs).sort_values("reused").drop_duplicates("key")
        failed = trials["status"] == "failed"
        metrics["trials"] = len(trials)
        metrics["trials_trained"] = int((~trials["reused"].astype(bool) & ~failed).sum())
        metrics["trials_failed"] = int(failed.sum())
    return metrics
