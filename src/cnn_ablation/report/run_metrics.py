"""The headline results of a run: a few numbers by which runs can be compared."""

from collections.abc import Sequence

import pandas as pd

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
    means = [value for table in summaries for value in table[f"{PRIMARY_METRIC}_mean"].dropna()]
    if means:
        metrics[f"best_{PRIMARY_METRIC}"] = round(max(means), 4)
    if verdicts:
        found = [verdict for table in verdicts for verdict in table["verdict"]]
        counted = {
            verdict: found.count(verdict) for verdict in ("supported", "contradicted", "undecided")
        }
        counted |= {verdict: found.count(verdict) for verdict in found}
        metrics["claims"] = len(found)
        metrics |= {f"claims_{verdict.replace(' ', '_')}": n for verdict, n in counted.items()}
    if runs:
        trials = pd.concat(runs).drop_duplicates("key")
        failed = trials["status"] == "failed"
        metrics["trials"] = len(trials)
        metrics["trials_trained"] = int((~trials["reused"].astype(bool) & ~failed).sum())
        metrics["trials_failed"] = int(failed.sum())
    return metrics
