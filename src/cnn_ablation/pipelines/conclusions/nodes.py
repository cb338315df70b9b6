"""Nodes of conclusions."""

from itertools import chain
from typing import Any

import pandas as pd

from cnn_ablation.evidence.look_ledger import LookLedger
from cnn_ablation.report.chapters import Figure, conditions_of, histories_of, trial_metrics_of
from cnn_ablation.report.figures import Claims
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import EvidenceParameters, PursuitParameters


def list_contrasts(experiment: ExperimentParameters, baseline: Configuration) -> list[str]:
    """List the distinct contrasts that the claims of an experiment are about."""
    from cnn_ablation.evidence import measuring

    return measuring.list_contrasts(experiment.claims or {}, experiment.conditions_of(baseline))


def join_contrasts(**contrasts: list[str]) -> list[str]:
    """List the distinct contrasts of a study, from those of its experiments."""
    return sorted(set(chain.from_iterable(contrasts.values())))


def judge_claims(
    contrasts: list[str],
    looks: LookLedger,
    evidence: EvidenceParameters,
    **results: dict[str, Any],
) -> tuple[pd.DataFrame, ...]:
    """Judge the claims of some experiments of a study.

    Args:
        contrasts: All contrasts of the study.
        looks: Looks of all runs. Those of this run are added.
        evidence: Significance level, smallest effect that matters, and plan of the looks.
        results: Results of each experiment, as `reporting.nodes.collect_results` gives them.

    Returns:
        A table of verdicts per experiment, in the order of `results`.
    """
    return _judge(contrasts, looks, evidence, results, [])


def judge_pursued_claims(
    contrasts: list[str],
    looks: LookLedger,
    evidence: EvidenceParameters,
    pursuit: PursuitParameters,
    **results: dict[str, Any],
) -> tuple[pd.DataFrame, ...]:
    """Judge claims for which seeds were added, and take the looks of the pursuit into account."""
    return _judge(contrasts, looks, evidence, results, pursuit.seeds)


def _judge(
    contrasts: list[str],
    looks: LookLedger,
    evidence: EvidenceParameters,
    results: dict[str, dict[str, Any]],
    pursued: list[int],
) -> tuple[pd.DataFrame, ...]:
    from cnn_ablation.evidence import verdicts
    from cnn_ablation.evidence.spending import dump_looks, load_looks

    experiments = {name: _read(result) for name, result in results.items()}
    # Results from other images are other results, so that no look at them counts.
    data = " ".join(sorted({result["data_fingerprint"] for result in results.values()}))
    with looks.update() as remembered:
        before = load_looks(remembered.get(data, {}))
        tables, after = verdicts.judge(experiments, contrasts, evidence, before, pursued)
        remembered[data] = dump_looks(after)
    return tuple(tables.values())


def _read(results: dict[str, Any]) -> Any:
    from cnn_ablation.evidence.measuring import Results
    from cnn_ablation.evidence.noise import ImageNoise

    experiment = ExperimentParameters.model_validate(results["experiment"])
    return Results(
        claims=experiment.claims or {},
        conditions=list(conditions_of(results).values()),
        trial_metrics=trial_metrics_of(results),
        histories=histories_of(results),
        images=results["images"],
        moments=results["moments"],
        image_noise=ImageNoise.load(results["image_noise"] or None),
    )


def plot_effects(results: dict[str, Any], verdicts: pd.DataFrame) -> Claims:
    """Draw the claims about differences as intervals, with zero and the claimed sizes."""
    return Claims(title=results["title"], verdicts=verdicts)


def write_chapter(
    results: dict[str, Any],
    verdicts: pd.DataFrame,
    claims_figure: Figure | None,
    evidence: EvidenceParameters,
    contrasts: list[str],
) -> dict[str, Any]:
    """Complete the results of an experiment by verdicts: the chapter of the journal.

    Returns:
        The results, and `verdicts`, `evidence` (parameters, and number of contrasts), `description` (the
        chapter in a few lines of Markdown), and the figure of claims among the figures.
    """
    from cnn_ablation.report import journal

    chapter = journal.add_verdicts(results, verdicts, evidence, len(contrasts))
    if claims_figure is not None:
        chapter["figures"] = {**results["figures"], "claims": claims_figure}
    return {**chapter, "description": journal.describe(chapter)}
