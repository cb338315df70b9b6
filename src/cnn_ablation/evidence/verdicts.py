"""A verdict for every claim, read off intervals that hold for the whole study at once.

The claims of a study are reduced to distinct contrasts: one contrast has one interval, wherever it is
claimed. The significance level is divided by the number of contrasts (Bonferroni), so that all intervals
together contain all true values with the promised probability. A verdict is what the intervals imply. A
verdict can be false only if an interval misses the true value, whatever the kind of claim.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from cnn_ablation.evidence import implications
from cnn_ablation.evidence.implications import deciding_interval, imply, in_unit, seeds_to_decide
from cnn_ablation.evidence.measuring import Measured, MeasuredExperiment, Results, moderate
from cnn_ablation.evidence.spending import Look, Looks, Plan
from cnn_ablation.evidence.wording import describe_finding
from cnn_ablation.study.claims import Claim, Verdict, deciding_conditions
from cnn_ablation.study.parameters import EvidenceParameters

COLUMNS = [
    *("claim", "text", "source", "kind", "metric", "comparison", "unit", "verdict", "estimate", "low"),
    *("high", "deciding_low", "deciding_high", "image_low", "image_high", "margin", "p_value", "level"),
    *("seeds", "looks", "paired", "correlation", "claimed", "seeds_needed", "worker_minutes"),
    *("contrasts", "is_difference", "finding"),
]


def judge(
    experiments: Mapping[str, Results],
    family: Collection[str],
    evidence: EvidenceParameters,
    looks: Mapping[str, list[Look]],
    pursued: Sequence[int] = (),
) -> tuple[dict[str, pd.DataFrame], Looks]:
    """A verdict for each claim of some experiments of a study.

    Each claim says that quantities lie in a region; see `claims`. It is supported if the intervals of
    all of them lie in it, and contradicted if one of them lies outside. A claim that something is larger
    is equivalent if all intervals lie within the smallest effect that matters, even if the difference is
    significant. A claim that a condition is the best is `among the best` if no rival is better by what
    matters. A claim with alternatives has a group of quantities for each of them: what all quantities
    imply in one group holds for the claim, and it is contradicted if each group has an interval outside.

    Variances are moderated over the contrasts of the same metric (Smyth, 2004).

    Args:
        experiments: Results by name.
        family: Keys of all contrasts of the study, see `measuring.list_contrasts`; also of those whose
            experiments are not given.
        evidence: Significance level, smallest effect that matters, and plan of the looks.
        looks: Earlier looks by key of the contrast.
        pursued: Numbers of seeds at which a pursuit has looked before.

    Returns:
        For each experiment a table with a row per claim, and all looks including these. Columns: claim;
        text; source; kind; metric; comparison; unit; verdict; estimate; low and high (95 % interval of
        this contrast alone); deciding_low and deciding_high (the interval that decides); image_low and
        image_high (95 % interval over seeds and images); margin; p_value (of the contrast alone); level
        (which p_value is compared with); seeds; looks (number of this look at the contrast); paired;
        correlation; claimed; seeds_needed (total number to decide an undecided claim); worker_minutes
        (time that one worker needs for the missing seeds); contrasts (number of quantities that decide
        the claim); is_difference (whether they are differences of conditions); finding (in words).
    """
    analysis = _Analysis(experiments, family, evidence, looks, pursued)
    return {name: analysis.judge(name) for name in experiments}, analysis.looks


def decide(
    results: Results,
    family: Collection[str],
    evidence: EvidenceParameters,
    looks: Mapping[str, list[Look]],
) -> tuple[dict[str, Verdict], Looks]:
    """Only the verdicts of `judge` for one experiment, by claim."""
    analysis = _Analysis({"": results}, family, evidence, looks)
    return {name: finding.verdict for name, finding in analysis.findings("").items()}, analysis.looks


class _Finding(NamedTuple):
    """A claim's measured quantities and its verdict."""

    claim: Claim
    measured: list[Measured]
    levels: list[float]
    margin: float
    verdict: Verdict


class _Analysis:
    """The measured contrasts of some experiments, their priors, and the looks at them."""

    def __init__(
        self,
        experiments: Mapping[str, Results],
        family: Collection[str],
        evidence: EvidenceParameters,
        looks: Mapping[str, list[Look]],
        pursued: Sequence[int] = (),
    ) -> None:
        self.looks: Looks = {key: list(before) for key, before in looks.items()}
        self._pursued = pursued
        self._evidence = evidence
        self._plan = Plan(
            evidence.planned_seeds, evidence.spending, evidence.level / max(1, len(family))
        )
        self._experiments = experiments
        self._measured = {name: MeasuredExperiment(each) for name, each in experiments.items()}
        claims = [(name, claim) for name, each in experiments.items() for claim in each.claims]
        measured = [
            self._measured[name].measure(experiments[name].claims[claim]) for name, claim in claims
        ]
        self._findings: dict[str, dict[str, _Finding]] = {name: {} for name in experiments}
        for (name, claim), moderated in zip(claims, moderate(measured), strict=True):
            self._findings[name][claim] = self._find(experiments[name].claims[claim], moderated)

    def findings(self, experiment: str) -> dict[str, _Finding]:
        """The findings of an experiment, by claim."""
        return self._findings[experiment]

    def judge(self, experiment: str) -> pd.DataFrame:
        """See `judge`."""
        seconds = self._measured[experiment].seconds()
        rows = [
            self._row(name, finding, experiment, seconds)
            for name, finding in self._findings[experiment].items()
        ]
        return pd.DataFrame(rows, columns=COLUMNS).astype({"seeds_needed": "Int64"})

    def _find(self, claim: Claim, measured: list[Measured]) -> _Finding:
        levels = []
        for entry in measured:
            if entry.key is None:
                levels.append(1.0)
                continue
            looks = self.looks.get(entry.key, [])
            for count in self._pursued:
                if count < len(entry.seeds):
                    looks, _ = self._plan.look(looks, sorted(entry.seeds)[:count])
            self.looks[entry.key], level = self._plan.look(
                looks, entry.seeds, correlated=entry.effect.is_moderated
            )
            levels.append(level)
        margin = claim.tolerance_of(self._evidence.smallest_effect)
        ends = [deciding_interval(entry, level) for entry, level in zip(measured, levels, strict=True)]
        low, high = (np.array([end[place] for end in ends]) for place in (0, 1))
        verdict = cast(Verdict, str(imply(claim, margin, low, high)))
        return _Finding(claim, measured, levels, margin, verdict)

    def _row(self, name: str, finding: _Finding, experiment: str, seconds: pd.Series) -> dict[str, Any]:
        claim, measured, levels, margin, verdict = finding
        weakest = implications.weakest(claim, margin, measured)
        quantity, key, effect, *_ = shown = measured[weakest]
        needed, minutes = None, None
        if verdict == "undecided":
            needed = self._seeds_needed(finding)
            if needed is not None:
                missing = needed if self._is_spent(finding) else needed - effect.seeds
                names = deciding_conditions(claim, self._measured[experiment].names)
                minutes = missing * seconds.reindex(names).sum() / 60
        noise = self._experiments[experiment].image_noise
        over_images = (math.nan, math.nan)
        if noise is not None and quantity.is_accuracy and noise.covers(quantity.conditions):
            over_images = noise.interval(effect, quantity.weights)
        low, high = in_unit(quantity, np.array(effect.interval()))
        deciding = deciding_interval(shown, levels[weakest])
        row = {
            "claim": name,
            "text": claim.text,
            "source": claim.source,
            "kind": claim.kind,
            "metric": claim.metric,
            "comparison": claim.describe(quantity),
            "unit": claim.unit,
            "verdict": verdict,
            "estimate": float(in_unit(quantity, np.array(effect.estimate))),
            "low": float(low),
            "high": float(high),
            "deciding_low": deciding[0],
            "deciding_high": deciding[1],
            "image_low": over_images[0],
            "image_high": over_images[1],
            "margin": margin,
            "p_value": implications.p_value(claim, margin, measured),
            "level": min(levels),
            "seeds": effect.seeds,
            "looks": _number(self.looks.get(key, []), shown.seeds) if key is not None else 0,
            "paired": effect.paired,
            "correlation": effect.correlation,
            "claimed": claim.claimed_value,
            "seeds_needed": needed,
            "worker_minutes": minutes,
            "contrasts": len(measured),
            "is_difference": len(quantity.weights) > 1,
        }
        fault = next((entry.fault for entry in measured if entry.fault), "")
        words = describe_finding(row, anew=self._is_spent(finding), fault=fault)
        return row | {"finding": words}

    def _seeds_needed(self, finding: _Finding) -> int | None:
        claim, measured, *_, margin, _ = finding
        correlations = np.eye(len(measured))
        if len(measured) > 1:
            samples = pd.concat([entry.samples for entry in measured], axis=1).dropna()
            if len(samples) < 2:
                return None
            correlations = np.nan_to_num(np.corrcoef(samples.to_numpy().T), nan=0.0)
            np.fill_diagonal(correlations, 1.0)
        before = [
            (self.looks[entry.key], entry.effect.is_moderated)
            for entry in measured
            if entry.key is not None
        ]
        anew = self._is_spent(finding)

        def level(seeds: int) -> float:
            if anew:
                return self._plan.level
            return min(
                self._plan.next_level(looks, seeds, correlated=moderated) for looks, moderated in before
            )

        quantities = [entry.quantity for entry in measured]
        effects = [entry.effect for entry in measured]
        return seeds_to_decide(claim, margin, quantities, effects, correlations, level)

    def _is_spent(self, finding: _Finding) -> bool:
        """Whether the level of a quantity is used up, so that more seeds cannot decide the claim."""
        looks = (self.looks.get(entry.key, []) for entry in finding.measured if entry.key is not None)
        return any(taken and taken[-1].spent >= 1 for taken in looks)


def _number(looks: Sequence[Look], seeds: Iterable[int]) -> int:
    """The number, from 1, of the look at these seeds; that of the last look if there is none."""
    current = frozenset(seeds)
    return next((n for n, look in enumerate(looks, 1) if look.seeds == current), len(looks))
