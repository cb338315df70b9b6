"""Nodes of registration."""

from typing import Any

from cnn_ablation.execution.store import TrialStore
from cnn_ablation.report.chapters import conditions_of, require_all, trial_metrics_of
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.parameters import EvidenceParameters


def choose_winner(**chapters: dict[str, Any] | None) -> dict[str, Any]:
    """Choose the best condition of all experiments and its best trial, see `champion.best_trial`.

    Args:
        chapters: Chapter of each experiment, as `conclusions.nodes.write_chapter` gives it.

    Raises:
        StudyError: An experiment was not run.
    """
    from cnn_ablation.evidence import champion

    return champion.choose_winner(
        {
            name: champion.Contender(
                conditions=list(conditions_of(chapter).values()),
                trial_metrics=trial_metrics_of(chapter),
                images=chapter["images"],
                moments=chapter["moments"],
                data=chapter["data_fingerprint"],
                protocol=chapter["final_model"]["protocol"],
                class_names=chapter["class_names"],
            )
            for name, chapter in require_all(chapters).items()
        }
    )


def contest_champion(
    winner: dict[str, Any], champion: dict[str, Any] | None, evidence: EvidenceParameters
) -> dict[str, Any]:
    """Decide whether the winner takes the champion's place."""
    from cnn_ablation.evidence.champion import contest

    return contest(winner, champion, evidence)


def build_registered_model(
    winner: dict[str, Any], contest: dict[str, Any], store: TrialStore, data_summary: dict[str, Any]
) -> dict[str, Any]:
    """Combine what is registered: the winner, its classifier, and whether it becomes the champion.

    Returns:
        winner, contest and classifier; empty if there is no winner.
    """
    from cnn_ablation.serving.classifier import Classifier

    if not winner:
        return {}
    classifier = Classifier.of_trial(
        Configuration.within(winner).model,
        store.fetch(winner["key"]),
        data_summary,
    )
    return {"winner": winner, "contest": contest, "classifier": classifier}
