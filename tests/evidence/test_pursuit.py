"""Seeds are added for undecided claims, up to the planned number."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnn_ablation.evidence.measuring import list_contrasts
from cnn_ablation.evidence.pursuit import pursue
from cnn_ablation.evidence.spending import Look, Looks
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import EvidenceParameters, PursuitParameters
from cnn_ablation.study.trials import Trial

EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2, planned_seeds=16, spending="pocock")
PURSUIT = PursuitParameters(seeds=[4, 8, 16], minutes=None)
IMAGES = {"train": 60_000, "validation": 10_000}
MOMENTS = 20


def experiment(**claims: dict[str, Any]) -> ExperimentParameters:
    return ExperimentParameters.model_validate(
        {
            "title": "Dropout",
            "question": "?",
            "hypothesis": "!",
            "factors": {"model": {"dropout_rate": [0.0, 0.2, 0.4]}},
            "condition_name": "d{dropout_rate}",
            "claims": {name: {"text": "So it is.", **claim} for name, claim in claims.items()},
        }
    )


class Trainer:
    """Simulates results: a mean per condition plus noise per trial."""

    def __init__(self, **means: float) -> None:
        self.means = means
        self.asked: list[int] = []

    def __call__(self, trials: list[Trial]) -> Iterator[Any]:
        self.asked.append(len(trials))
        for trial in reversed(trials):  # trials end in any order
            rate = trial.condition.model.dropout_rate
            noise = np.random.default_rng([trial.seed, int(10 * rate)]).normal(0, 0.15)
            accuracy = 90 + self.means.get(f"d{10 * rate:.0f}", 0.0) + noise
            row = {"epoch": 1, "val_accuracy": accuracy, "seconds": 1.0}
            stored = SimpleNamespace(
                status="finished", metrics={"mean_val_accuracy": accuracy}, history=[row]
            )
            yield SimpleNamespace(trial=trial, stored=stored)


def pursued(
    experiment: ExperimentParameters,
    baseline: Configuration,
    trainer: Trainer,
    pursuit: PursuitParameters = PURSUIT,
    looks: Looks | None = None,
) -> list[Trial]:
    """All trials of a pursuit whose study consists of this experiment."""
    family = list_contrasts(experiment.claims or {}, experiment.conditions_of(baseline))
    return pursue(experiment, baseline, EVIDENCE, pursuit, IMAGES, MOMENTS, family, looks or {}, trainer)


def seeds(trials: list[Trial]) -> dict[str, int]:
    names = [trial.condition.name for trial in trials]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def test_only_conditions_of_undecided_claims_get_more_seeds(baseline: Configuration) -> None:
    claims = experiment(
        clear={"kind": "above", "condition": "d0.4", "than": "d0.0"},
        close={"kind": "above", "condition": "d0.2", "than": "d0.0"},
    )
    trainer = Trainer(d2=0.2, d4=2.0)
    trials = pursued(claims, baseline, trainer)
    assert seeds(trials) == {"d0.0": 16, "d0.2": 16, "d0.4": 4}
    assert trainer.asked == [12, 20, 36]
    assert [trial.seed for trial in trials[:16]] == list(range(16))


def test_it_ends_as_soon_as_all_claims_are_decided(baseline: Configuration) -> None:
    claims = experiment(trend={"kind": "trend", "direction": "rising"})
    trainer = Trainer(d2=1.0, d4=2.0)
    assert seeds(pursued(claims, baseline, trainer)) == dict.fromkeys(("d0.0", "d0.2", "d0.4"), 4)
    assert trainer.asked == [12]


def test_it_ends_when_the_time_is_over(baseline: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, 1000))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    claims = experiment(close={"kind": "above", "condition": "d0.2", "than": "d0.0"})
    limited = PursuitParameters(seeds=[4, 8, 16], minutes=10.0)
    trainer = Trainer()
    pursued(claims, baseline, trainer, limited)
    assert trainer.asked == [12]


def test_earlier_looks_at_other_seeds_leave_no_level(baseline: Configuration) -> None:
    claims = experiment(clear={"kind": "above", "condition": "d0.4", "than": "d0.0"})
    (contrast,) = list_contrasts(claims.claims or {}, claims.conditions_of(baseline))
    trainer = Trainer(d4=2.0)
    assert len(pursued(claims, baseline, trainer)) == 3 * 4
    before = {contrast: [Look(frozenset({100, 101}), spent=0.5)]}
    assert len(pursued(claims, baseline, trainer, looks=before)) == 2 * 16 + 4


def test_an_experiment_without_claims_has_the_seeds_of_the_first_look(baseline: Configuration) -> None:
    trainer = Trainer()
    assert len(pursued(experiment(), baseline, trainer)) == 12
