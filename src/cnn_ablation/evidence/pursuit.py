"""Adding seeds until claims are decided. Each look at the claims spends a share of the level."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from cnn_ablation.evidence.measuring import Results
from cnn_ablation.evidence.spending import Look
from cnn_ablation.evidence.verdicts import decide
from cnn_ablation.study.claims import deciding_conditions
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiment import ExperimentParameters
from cnn_ablation.study.parameters import EvidenceParameters, PursuitParameters
from cnn_ablation.study.trials import Trial
from cnn_ablation.training.results import HISTORY, METRICS

if TYPE_CHECKING:
    from cnn_ablation.execution.outcomes import Outcome

logger = logging.getLogger(__name__)


def pursue(
    experiment: ExperimentParameters,
    baseline: Configuration,
    evidence: EvidenceParameters,
    pursuit: PursuitParameters,
    images: Mapping[str, int],
    moments: int,
    family: Collection[str],
    looks: Mapping[str, list[Look]],
    train: Callable[[list[Trial]], Iterable["Outcome"]],
) -> list[Trial]:
    """Train more and more seeds of the conditions that undecided claims are about.

    Every condition gets the seeds of the first look. After a look, only conditions of claims that are
    still undecided get those of the next one.

    Args:
        experiment: Experiment whose claims are to be decided.
        baseline: See `ExperimentParameters.conditions_of`.
        evidence: Significance level, smallest effect that matters, and plan of the looks.
        pursuit: Seeds at each look, and the time after which no look starts.
        images: Number of images by split, see `measuring.rounding_step`.
        moments: Number of evaluations in the last epoch.
        family: Keys of all contrasts of the study; see `measuring.list_contrasts`.
        looks: Earlier looks by key of the contrast.
        train: Trains trials, or takes them from the store, and yields their outcomes.

    Returns:
        All trials, in the order of conditions and seeds.
    """
    conditions = experiment.conditions_of(baseline)
    claims = experiment.claims or {}
    seeds = dict.fromkeys((condition.name for condition in conditions), 0)
    open_conditions = list(seeds)
    start = time.monotonic()
    for look, count in enumerate(pursuit.seeds, start=1):
        seeds |= dict.fromkeys(open_conditions, count)
        trials = [
            Trial(condition=condition, seed=seed)
            for condition in conditions
            for seed in range(seeds[condition.name])
        ]
        # Outcomes come in the order in which trials end.
        outcomes = {outcome.trial.name: outcome for outcome in train(trials)}
        metrics, histories = _tabulate(outcomes[trial.name] for trial in trials)
        results = Results(claims, conditions, metrics, histories, images, moments)
        verdicts, looks = decide(results, family, evidence, looks)
        undecided = [claim for claim, verdict in verdicts.items() if verdict == "undecided"]
        open_conditions = [
            name for claim in undecided for name in deciding_conditions(claims[claim], list(seeds))
        ]
        minutes = (time.monotonic() - start) / 60
        logger.info(
            "%s: look %d of %d, %d seeds: %d of %d claims undecided",
            *(experiment.title, look, len(pursuit.seeds), count, len(undecided), len(claims)),
        )
        if not open_conditions or (pursuit.minutes is not None and minutes >= pursuit.minutes):
            break
    return trials


def _tabulate(outcomes: Iterable["Outcome"]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics per trial, and histories per trial and epoch, in the form that `verdicts.judge` takes."""
    metrics, histories = [], []
    for outcome in outcomes:
        stored = outcome.stored
        where = {"condition": outcome.trial.condition.name, "seed": outcome.trial.seed}
        metrics.append(where | {"status": stored.status if stored else "failed"})
        if stored:
            metrics[-1] |= stored.metrics
            histories += [where | row for row in stored.history]
    columns = ["condition", "seed", "status", *METRICS]
    return (
        pd.DataFrame(metrics, columns=columns),
        pd.DataFrame(histories, columns=["condition", "seed", *HISTORY]),
    )
