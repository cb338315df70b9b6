"""Adding seeds until claims are decided, without deciding them falsely more often.

Whoever looks again and again at growing data, and stops when a test is significant, finds something
sooner or later (Armitage, McPherson & Rowe, 1969). So the looks are planned: their number is fixed
beforehand, and each has an equal part of the level (Bonferroni), which bounds the probability of a false
verdict at any of them by the level, however the looks depend on each other.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from cnn_ablation.evidence.verdicts import decide
from cnn_ablation.study.claims import concerned
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.experiments import ExperimentParameters
from cnn_ablation.study.parameters import EvidenceParameters, PursuitParameters
from cnn_ablation.study.trials import Trial

if TYPE_CHECKING:
    from cnn_ablation.execution.engine import Outcome

logger = logging.getLogger(__name__)


def pursue(
    experiment: ExperimentParameters,
    baseline: Configuration,
    evidence: EvidenceParameters,
    pursuit: PursuitParameters,
    images: Mapping[str, int],
    train: Callable[[list[Trial]], Iterable["Outcome"]],
) -> list[Trial]:
    """Train ever more seeds of the conditions that undecided claims are about.

    Every condition has the seeds of the first look. A claim that is decided at a look asks for no more.

    Args:
        experiment: Whose claims are pursued.
        baseline: See `ExperimentParameters.conditions_of`.
        evidence: Level and smallest effect.
        pursuit: Seeds at each look, and the time after which none is begun.
        images: Number of images by split, see `verdicts.rounding_step`.
        train: Trains trials, or finds them, and yields their outcomes.

    Returns:
        All trials that were trained, in the order of conditions and seeds.
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
        # They end in an order of their own.
        outcomes = {outcome.trial.name: outcome for outcome in train(trials)}
        metrics, histories = _tabulate(outcomes[trial.name] for trial in trials)
        verdicts = decide(claims, metrics, histories, evidence, images, len(pursuit.seeds))
        undecided = [claim for claim, verdict in verdicts.items() if verdict == "undecided"]
        open_conditions = [name for claim in undecided for name in concerned(claims[claim], list(seeds))]
        minutes = (time.monotonic() - start) / 60
        logger.info(
            "%s: look %d of %d, %d seeds: %d of %d claims undecided",
            *(experiment.title, look, len(pursuit.seeds), count, len(undecided), len(claims)),
        )
        if not open_conditions or (pursuit.minutes is not None and minutes >= pursuit.minutes):
            break
    return trials


def _tabulate(outcomes: Iterable["Outcome"]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics per trial, and histories per trial and epoch, as `verdicts.judge` takes them."""
    metrics, histories = [], []
    for outcome in outcomes:
        stored = outcome.stored
        where = {"condition": outcome.trial.condition.name, "seed": outcome.trial.seed}
        metrics.append(where | {"status": stored.status if stored else "failed"})
        if stored:
            metrics[-1] |= stored.metrics
            histories += [where | row for row in stored.history]
    return pd.DataFrame(metrics), pd.DataFrame(histories)
