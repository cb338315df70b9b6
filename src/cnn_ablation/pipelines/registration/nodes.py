"""Nodes of registration."""

from typing import Any

from cnn_ablation.execution.store import TrialStore
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.parameters import DataParameters, EvidenceParameters

TRIALS = "trials_of_"
METRICS = "metrics_of_"
"""Arguments of `choose_winner`: what they begin with, before the experiment's name."""


def choose_winner(data_summary: dict[str, Any], data: DataParameters, **parts: Any) -> dict[str, Any]:
    """The condition with the highest mean of all experiments, and its best trial.

    Args:
        data_summary: Of the images.
        data: The protocol.
        parts: Per experiment its trials and their metrics.
    """
    from cnn_ablation.evidence import champion

    trials = {n.removeprefix(TRIALS): part for n, part in parts.items() if n.startswith(TRIALS)}
    metrics = {n.removeprefix(METRICS): part for n, part in parts.items() if n.startswith(METRICS)}
    return champion.choose_winner(trials, metrics, data_summary, data)


def contest_champion(
    winner: dict[str, Any], champion: dict[str, Any] | None, evidence: EvidenceParameters
) -> dict[str, Any]:
    """Whether the winner takes the champion's place."""
    from cnn_ablation.evidence.champion import contest

    return contest(winner, champion, evidence)


def build_registered_model(
    winner: dict[str, Any], contest: dict[str, Any], store: TrialStore, data_summary: dict[str, Any]
) -> dict[str, Any]:
    """What is registered: the winner, its classifier, and whether it is the champion."""
    from cnn_ablation.serving.classifier import Classifier

    classifier = Classifier.of_trial(
        Configuration.model_validate({key: winner[key] for key in ("model", "training")}).model,
        store.fetch(winner["key"]),
        data_summary,
    )
    return {"winner": winner, "contest": contest, "classifier": classifier}
