"""Calibration of the whole procedure: false verdicts, coverage, power and promised seeds.

    .venv/bin/python benchmarks/calibration.py           # uses the accuracies in calibration.csv
    .venv/bin/python benchmarks/calibration.py --train   # trains them first, with 60 seeds

One small condition (6,000 training images of Fashion-MNIST, 3 epochs) is trained with 60 seeds. Studies
of ten conditions with known true means are simulated with the residuals of its final accuracies. A part
of the residuals is common to all conditions of a seed, so that results are correlated. The claims of a
study are of all kinds. Verdicts come from the package's own functions.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from scipy import stats
from scipy.special import stdtr

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from cnn_ablation.evidence.effects import Effect, Prior
from cnn_ablation.evidence.implications import imply, seeds_to_decide
from cnn_ablation.evidence.spending import Look, Plan
from cnn_ablation.study.claims import Claim
from cnn_ablation.study.quantities import Quantity

TABLE = Path(__file__).with_suffix(".csv")
SEEDS = 60
SIZES = (3, 5, 10, 20)
LEVEL = 0.05
SMALLEST_EFFECT = 0.2
PAIRED_SD = 0.12
"""Standard deviation of differences within seeds, points; root mean square over pairs."""

CORRELATION = 0.3
"""Correlation of two conditions over seeds."""

STEP = 100 / (10_000 * 20)
"""Step of a mean accuracy over 20 moments and 10,000 images."""

TINY = 1e-6
"""Distance up to which a true value lies on a border."""

SD_BEFORE = 0.45
"""Paired standard deviation of the accuracy after the last step, points, in the study of version 1."""

CLAIMS_BEFORE = 8
"""Number of claims of an experiment in the study of version 1."""

FAMILY = 60
"""Number of contrasts of a study for which power is shown."""

DIFFERENCES = (0.1, 0.2, 0.3, 0.5)
NAMES = [f"c{number}" for number in range(10)]
IDENTITIES = {name: name for name in NAMES}

TRUTHS = {
    "all equal": np.full(10, 92.0),
    "mixture": 92 + np.array([0.0, 0.0, 0.1, 0.1, 0.2, 0.3, 0.3, 0.5, 0.5, 0.0]),
}
"""True means of the conditions, percent."""

SPREADS = {
    "equal": np.ones(10),
    "unequal, 1 to 4": np.geomspace(1, 4, 10)[[3, 8, 0, 5, 9, 2, 7, 1, 6, 4]],
}
"""Standard deviations of the conditions, relative to each other."""


def claim(kind: str, **fields: Any) -> Claim:
    """A claim from its fields."""
    parsed: Claim = TypeAdapter(Claim).validate_python({"text": "So it is.", "kind": kind, **fields})
    return parsed


def above(condition: str, than: str, **fields: Any) -> Claim:
    """A claim that one condition is above another."""
    return claim("above", condition=condition, than=than, **fields)


EXPERIMENTS: list[list[Claim]] = [
    [
        *(above("c1", "c0"), above("c2", "c0"), above("c3", "c2", smallest_effect=0.1)),
        claim("best", condition="c3", among=["c0", "c1", "c2"]),
        claim("trend", direction="rising", conditions=["c0", "c1", "c2", "c3"]),
        claim("equivalent", conditions=["c0", "c1"]),
        claim("equivalent", conditions=["c2", "c3"], smallest_effect=0.1),
    ],
    [
        *(above("c4", "c0"), above("c5", "c4"), above("c6", "c4")),
        claim("difference", condition="c5", than="c0", claimed=0.3, tolerance=0.1),
        claim("difference", condition="c6", than="c0", claimed=0.5),
        claim("at_most", condition="c4", than="c0", bound=0.2),
        claim("best", condition="c6", among=["c4", "c5", "c0"]),
        claim("reaches", condition="c5", accuracy=92, within=2),
    ],
    [
        *(above("c7", "c8"), above("c7", "c0"), above("c8", "c9", relative=True, smallest_effect=0.2)),
        claim("value", condition="c7", value=92.5, tolerance=0.3),
        claim("value", condition="c8", value=92.0, tolerance=0.2),
        claim("value", condition="c9", relative_to="c0", value=1.0, tolerance=0.002),
        claim("at_most", condition="c9", relative_to="c8", bound=1.0),
        claim("at_most", condition="c9", bound=92.0),
        claim("trend", direction="falling", conditions=["c7", "c8", "c9"]),
    ],
    [
        claim("interaction", effect=["c7", "c0"], other_effect=["c5", "c1"], expected="larger"),
        claim("interaction", effect=["c1", "c0"], other_effect=["c3", "c2"], expected="equal"),
        claim("interaction", effect=["c8", "c7"], other_effect=["c6", "c5"], expected="larger"),
        claim("best", condition="c8"),
        claim("best", condition="c7", among=["c0", "c3", "c5"]),
    ],
    [
        *(above("c0", "c9"), above("c1", "c9"), above("c3", "c9"), above("c6", "c9")),
        claim("equivalent", conditions=["c0", "c1", "c9"]),
        claim("difference", condition="c6", than="c5", claimed=0.2, tolerance=0.1),
    ],
]
"""Claims of all kinds, by experiment."""


PROMISES: dict[str, Claim] = {
    "above": above("c2", "c0", smallest_effect=0.02),
    "above, contradicted": above("c0", "c2", smallest_effect=0.02),
    "above, relative": above("c2", "c0", relative=True, smallest_effect=0.02),
    "above, equivalent": above("c1", "c0", smallest_effect=0.1),
    "best of three": claim("best", condition="c7", among=["c5", "c6"], smallest_effect=0.05),
    "among the best": claim("best", condition="c7", among=["c8", "c6"], smallest_effect=0.1),
    "equivalent, three": claim("equivalent", conditions=["c0", "c1", "c9"], smallest_effect=0.1),
    "trend": claim(
        "trend", direction="rising", conditions=["c0", "c1", "c2", "c3"], smallest_effect=0.02
    ),
    "interaction, larger": claim(
        "interaction",
        effect=["c7", "c0"],
        other_effect=["c5", "c1"],
        expected="larger",
        smallest_effect=0.02,
    ),
    "interaction, equal": claim(
        "interaction",
        effect=["c1", "c0"],
        other_effect=["c3", "c2"],
        expected="equal",
        smallest_effect=0.15,
    ),
    "difference": claim("difference", condition="c5", than="c0", claimed=0.3, tolerance=0.1),
    "at_most, than": claim("at_most", condition="c4", than="c0", bound=0.3),
    "at_most, ratio": claim("at_most", condition="c9", relative_to="c8", bound=0.9956),
    "value": claim("value", condition="c7", value=92.5, tolerance=0.1),
    "value, ratio": claim("value", condition="c9", relative_to="c0", value=1.0, tolerance=0.001),
    "reaches": claim("reaches", condition="c5", accuracy=92.2, within=2),
}
"""A claim of each kind. The mixture of true means decides it with some ten seeds."""


def train() -> None:
    """Train all seeds and write their accuracies to the table."""
    from throughput import ALL_IMAGES, BASELINE, RAW

    from cnn_ablation.data import fashion_mnist, splits
    from cnn_ablation.execution.engine import Engine
    from cnn_ablation.execution.progress import StudyProgress
    from cnn_ablation.execution.store import TrialStore
    from cnn_ablation.execution.worker import TrialData
    from cnn_ablation.study.parameters import EvaluationParameters, ExecutionParameters
    from cnn_ablation.study.trials import Condition, Trial

    few = ALL_IMAGES.model_copy(update={"train_images": 6000})
    arrays = splits.split_images(fashion_mnist.load(RAW), few)
    data = TrialData(arrays, splits.summarize_splits(arrays, list(fashion_mnist.CLASS_NAMES)))
    training = BASELINE.training.model_copy(update={"epochs": 3})
    condition = Condition(name="small", levels={}, model=BASELINE.model, training=training)
    trials = [Trial(condition=condition, seed=seed) for seed in range(SEEDS)]
    execution = ExecutionParameters.model_validate(
        {
            "device": "cpu",
            "precision": "fp32",
            "layers": "fast",
            "workers": None,
            "scheduler": None,
            "tls": None,
        }
    )
    evaluation = EvaluationParameters(moments=1)
    engine = Engine(StudyProgress())
    with TemporaryDirectory() as folder:
        store = TrialStore(Path(folder))
        accuracies = {
            outcome.trial.seed: outcome.stored.metrics["final_val_accuracy"]
            for outcome in engine.train(trials, data, store, execution, evaluation)
            if outcome.stored is not None
        }
    engine.close()
    table = pd.Series(accuracies, name="final_val_accuracy").rename_axis("seed").sort_index()
    table.round(2).to_csv(TABLE)


class Study:
    """The distinct contrasts of some claims about the ten conditions."""

    def __init__(self, claims: Sequence[Claim]) -> None:
        self.claims = list(claims)
        self.margins = [each.tolerance_of(SMALLEST_EFFECT) for each in self.claims]
        self.quantities: dict[str, Quantity] = {}
        self._picks: list[tuple[np.ndarray, np.ndarray]] = []
        for each in self.claims:
            quantities = {quantity.key(IDENTITIES): quantity for quantity in each.quantities(NAMES)}
            self.quantities = self.quantities | {
                key: own for key, own in quantities.items() if key not in self.quantities
            }
            order = list(self.quantities)
            # A contrast that another claim names the other way round changes its sign.
            signs = [
                1 if own.weights == self.quantities[key].weights else -1
                for key, own in quantities.items()
            ]
            self._picks.append((np.array([order.index(key) for key in quantities]), np.array(signs)))
        self.norms = [math.hypot(*each.weights.values()) for each in self.quantities.values()]

    def values(self, accuracies: np.ndarray) -> np.ndarray:
        """The contrasts' values, (..., contrasts), of accuracies in percent, (..., conditions)."""
        columns = []
        for quantity in self.quantities.values():
            table = np.log(accuracies) if quantity.relative else accuracies
            column = table @ np.array([quantity.weights.get(name, 0.0) for name in NAMES])
            if quantity.divisor is not None:
                column = column / accuracies[..., NAMES.index(quantity.divisor)]
            columns.append(column)
        return np.stack(columns, axis=-1)

    def pick(self, number: int, values: np.ndarray) -> np.ndarray:
        """A claim's quantities, (..., quantities), of the contrasts' values, (..., contrasts)."""
        places, signs = self._picks[number]
        return np.asarray(values[..., places] * signs)

    def pick_quantities(self, number: int) -> list[Quantity]:
        """A claim's quantities."""
        return self.claims[number].quantities(NAMES)

    def in_unit(self, number: int, values: np.ndarray) -> np.ndarray:
        """Values of a claim's quantities in its unit."""
        return 100 * np.expm1(values) if self.pick_quantities(number)[0].relative else values

    def effects(self, values: np.ndarray) -> tuple[list[Effect], list[Effect]]:
        """Effects of the contrasts' values, (seeds, contrasts): their own, and moderated."""
        own = [
            Effect.of(column, STEP * norm * scale, norm=norm)
            for column, norm, scale in zip(values.T, self.norms, self._scales(), strict=True)
        ]
        groups: dict[Any, list[Effect]] = {}
        kinds = [
            (each.relative, each.divisor is None, len(each.weights) > 1, each.within)
            for each in self.quantities.values()
        ]
        for kind, effect in zip(kinds, own, strict=True):
            groups.setdefault(kind, []).append(effect)
        priors = {kind: Prior.of(effects) for kind, effects in groups.items()}
        return own, [effect.moderated(priors[kind]) for kind, effect in zip(kinds, own, strict=True)]

    def _scales(self) -> list[float]:
        """Sizes of the contrasts' units, relative to a point of accuracy."""
        return [
            0.01 if each.relative or each.divisor is not None else 1.0
            for each in self.quantities.values()
        ]

    def verdicts(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Verdicts, (..., claims), that the contrasts' intervals, (..., contrasts), imply."""
        return np.stack([self.verdict(place, low, high) for place in range(len(self.claims))], axis=-1)

    def verdict(self, number: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Verdicts on one claim."""
        ends = [self.in_unit(number, self.pick(number, end)) for end in (low, high)]
        lower, upper = np.minimum(*ends), np.maximum(*ends)
        return imply(self.claims[number], self.margins[number], lower, upper)

    def are_false(self, verdicts: np.ndarray, means: np.ndarray) -> np.ndarray:
        """Whether each verdict, (..., claims), is false for the true means of the conditions.

        If a true value lies on the border of a claim's region, every verdict that depends on the side is
        counted as false.
        """
        columns = []
        for number, (each, margin) in enumerate(zip(self.claims, self.margins, strict=True)):
            true = self.in_unit(number, self.pick(number, self.values(means)))
            regions = {"supported": each.region(margin), "equivalent": (-margin, margin)}
            regions["among the best"] = (-margin, math.inf)
            first, last = regions["supported"]
            fails = bool(((true < first - TINY) | (true > last + TINY)).any())
            right = (verdicts[..., number] == "contradicted") & fails
            for name, (low, high) in regions.items():
                holds = bool(((true > low + TINY) & (true < high - TINY)).all())
                right |= (verdicts[..., number] == name) & holds
            columns.append((verdicts[..., number] != "undecided") & ~right)
        return np.stack(columns, axis=-1)


class Simulation:
    """Draws results of the ten conditions from the residuals of real trainings."""

    def __init__(self, accuracies: np.ndarray) -> None:
        self._residuals = (accuracies - accuracies.mean()) / accuracies.std()
        self._rng = np.random.default_rng(0)

    def draw(self, means: np.ndarray, spread: np.ndarray, *shape: int) -> np.ndarray:
        """Accuracies, percent, (*shape, conditions). The last axis of shape is that of the seeds."""
        sds = PAIRED_SD / math.sqrt(2 * (1 - CORRELATION)) * spread / math.sqrt((spread**2).mean())
        common = self._rng.choice(self._residuals, (*shape, 1))
        own = self._rng.choice(self._residuals, (*shape, len(NAMES)))
        noise = math.sqrt(CORRELATION) * common + math.sqrt(1 - CORRELATION) * own
        return np.round((means + sds * noise) / STEP) * STEP


def ends(effects: Sequence[Effect], level: float) -> np.ndarray:
    """Ends of the effects' intervals, (2, contrasts)."""
    return np.array([effect.interval(1 - level) for effect in effects]).T


def look_levels(level: float) -> list[float]:
    """Levels of looks at all sizes."""
    plan, levels = Plan(SIZES[-1], "pocock", level), []
    looks: list[Look] = []
    for size in SIZES:
        looks, nominal = plan.look(looks, range(size))
        levels.append(nominal)
    return levels


def holm(p_values: np.ndarray) -> np.ndarray:
    """P values, (..., claims), adjusted for their number (Holm, 1979)."""
    order = p_values.argsort(axis=-1)
    factors = np.arange(p_values.shape[-1], 0, -1)
    steps = factors * np.take_along_axis(p_values, order, axis=-1)
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, np.maximum.accumulate(steps, axis=-1), axis=-1)
    return adjusted


def judge_as_before(study: Study, values: np.ndarray) -> np.ndarray:
    """Verdicts by the rule of version 1.

    T tests without moderation are adjusted by Holm's method among the claims of an experiment, those of
    equivalence apart from the others. Each look has the whole level.

    Args:
        study: All claims, experiment by experiment.
        values: (rounds, seeds, contrasts).
    """
    seeds = values.shape[1]
    decided, supported, equivalent = [], [], []
    for number, (each, margin) in enumerate(zip(study.claims, study.margins, strict=True)):
        picked = study.pick(number, values)
        error = picked.std(axis=1, ddof=1) / math.sqrt(seeds)
        relative = study.pick_quantities(number)[0].relative

        def p_above(
            end: float, picked: Any = picked, error: Any = error, relative: bool = relative
        ) -> Any:
            bound = math.log1p(max(end, -99.9) / 100) if relative else end
            return stdtr(seeds - 1, (bound - picked.mean(axis=1)) / error)

        first, last = each.region(margin)
        one_sided = np.maximum(p_above(first), 1 - p_above(last))
        holds = (one_sided if math.isfinite(first) and math.isfinite(last) else 2 * one_sided).max(
            axis=-1
        )
        outside = 2 * np.minimum(1 - p_above(first), p_above(last))
        fails = picked.shape[-1] * outside.min(axis=-1)
        supported.append(holds <= fails)
        decided.append(np.minimum(holds, fails).clip(max=1))
        indifferent = np.maximum(p_above(-margin), 1 - p_above(margin)).max(axis=-1)
        equivalent.append(
            np.full(len(values), np.nan) if each.indifference(margin) is None else indifferent
        )
    result, start = [], 0
    for claims in EXPERIMENTS:
        part = slice(start, start + len(claims))
        start += len(claims)
        p_decided = holm(np.stack(decided[part], axis=-1))
        p_equivalent = np.stack(equivalent[part], axis=-1)
        tested = ~np.isnan(p_equivalent[0])
        p_equivalent[:, tested] = holm(p_equivalent[:, tested])
        sides = np.where(np.stack(supported[part], axis=-1), "supported", "contradicted")
        result.append(
            np.select([p_equivalent <= LEVEL, p_decided <= LEVEL], ["equivalent", sides], "undecided")
        )
    return np.concatenate(result, axis=-1)


def show(*cells: object) -> None:
    """Print a row of a Markdown table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def head(*cells: object) -> None:
    """Print the head of a Markdown table whose first column alone is text."""
    show(*cells)
    print("| --- |" + " ---: |" * (len(cells) - 1))


def share(hits: np.ndarray) -> str:
    """A percentage with its 95 % interval (Clopper & Pearson, 1934)."""
    low, high = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return f"{100 * hits.mean():.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def measure_errors(simulation: Simulation, rounds: int) -> None:
    """Print the tables of false verdicts and of coverage."""
    study = Study([each for claims in EXPERIMENTS for each in claims])
    level = LEVEL / len(study.quantities)
    levels = look_levels(level)
    print(f"{len(study.claims)} claims about {len(study.quantities)} distinct contrasts\n")
    rows, coverage = [], []
    for truth, means in TRUTHS.items():
        for spread_name, spread in SPREADS.items():
            values = study.values(simulation.draw(means, spread, rounds, SIZES[-1]))
            true = study.values(means)
            single: list[np.ndarray] = []
            looks: list[np.ndarray] = []
            before: list[np.ndarray] = []
            covered: list[float] = []
            for size, nominal in zip(SIZES, levels, strict=True):
                intervals = np.empty((4, rounds, 2, len(true)))
                for number, sample in enumerate(values[:, :size]):
                    own, moderated = study.effects(sample)
                    intervals[:, number] = [
                        ends(moderated, level),
                        ends(moderated, nominal),
                        ends(own, LEVEL),
                        ends(moderated, LEVEL),
                    ]
                for found, part in ((single, intervals[0]), (looks, intervals[1])):
                    verdicts = study.verdicts(part[:, 0], part[:, 1])
                    found.append(np.any(study.are_false(verdicts, means), axis=-1))
                verdicts = judge_as_before(study, values[:, :size])
                before.append(np.any(study.are_false(verdicts, means), axis=-1))
                inside = (intervals[2:, :, 0] <= true) & (true <= intervals[2:, :, 1])
                covered += [inside[0].mean(), inside[1].mean(), inside[1].mean(axis=0).min()]
            name = f"{truth}, spreads {spread_name}"
            for rule, found in (
                ("now", [*single, np.any(looks, axis=0)]),
                ("before", [*before, np.any(before, axis=0)]),
            ):
                rows.append([f"{name}: {rule}", *map(share, found)])
            coverage.append([name, *(f"{100 * part:.1f}" for part in covered)])
    print("Studies with a false verdict, by number of seeds.\n")
    head("truth", *(f"{size}, one look" for size in SIZES), "looks at " + ", ".join(map(str, SIZES)))
    for row in rows:
        show(*row)
    print("\nCoverage of 95 % intervals, percent: of a contrast's own, of the moderated one, and of the")
    print("moderated one of the contrast that is covered least.\n")
    head("truth", *(f"{size}: {kind}" for size in SIZES for kind in ("own", "moderated", "least")))
    for row in coverage:
        show(*row)


def measure_power(simulation: Simulation, rounds: int) -> None:
    """Print the power of a claim that one condition is above another."""
    pairs = [above(one, other, smallest_effect=0.01) for one, other in combinations(NAMES, 2)]
    study = Study(pairs)
    level = LEVEL / FAMILY
    values = study.values(simulation.draw(TRUTHS["all equal"], SPREADS["equal"], rounds, SIZES[-1]))
    print("\nPower of a claim `above`, percent, by the true difference in points:")
    print(f"{FAMILY} contrasts, paired sd {PAIRED_SD}. Before: {CLAIMS_BEFORE} claims, Holm's method,")
    print(f"paired sd {SD_BEFORE}, one look.\n")
    head(
        "seeds",
        *(f"{shift}: {rule}" for shift in DIFFERENCES for rule in ("one look", "looks", "before")),
    )
    reached = np.zeros((rounds, len(DIFFERENCES)), dtype=bool)
    for size, nominal in zip(SIZES, look_levels(level), strict=True):
        # The first pair stands for all of them: moderation depends on the others' spreads alone.
        first = [study.effects(sample)[1][0] for sample in values[:, :size]]
        cells: list[str] = []
        for place, shift in enumerate(DIFFERENCES):
            shifted = [replace(effect, estimate=effect.estimate + shift) for effect in first]
            shown = []
            for used in (level, nominal):
                low, high = (np.array(end)[:, None] for end in ends(shifted, used))
                shown.append(imply(pairs[0], 0.01, low, high) == "supported")
            reached[:, place] |= shown[1]
            critical = stats.t.isf(LEVEL / CLAIMS_BEFORE / 2, size - 1)
            before = stats.nct.sf(critical, size - 1, shift / SD_BEFORE * math.sqrt(size))
            cells += [
                f"{100 * part:.0f}" for part in (shown[0].mean(), reached[:, place].mean(), before)
            ]
        show(size, *cells)


def measure_promises(simulation: Simulation, rounds: int) -> None:
    """Print how often the promised number of seeds decides a claim of each kind."""
    study = Study(list(PROMISES.values()))
    plan, pilot = Plan(100, "pocock", LEVEL / FAMILY), SIZES[0]
    looks, _ = plan.look([], range(pilot))
    means, spread = TRUTHS["mixture"], SPREADS["equal"]
    many = study.values(simulation.draw(means, spread, 20_000))
    true, sds = study.values(means), many.std(axis=0)
    print(
        "\nPromised seeds: share of studies, percent, in which the promised number decides the claim.\n"
    )
    head("claim", "promised seeds", "decided", "false")
    for number, name in enumerate(PROMISES):
        centres, spreads = study.pick(number, true), np.abs(study.pick(number, sds))
        quantities = study.pick_quantities(number)
        effects = [
            Effect(centre, sd / math.sqrt(pilot), pilot - 1 + Prior.MAX_DOF, pilot)
            for centre, sd in zip(centres, spreads, strict=True)
        ]
        correlations = np.atleast_2d(np.corrcoef(study.pick(number, many).T))
        needed = seeds_to_decide(
            *(study.claims[number], study.margins[number], quantities, effects, correlations),
            lambda seeds: plan.next_level(looks, seeds),
        )
        if needed is None:
            show(name, "none", "", "")
            continue
        level = plan.next_level(looks, needed)
        samples = study.values(simulation.draw(means, spread, rounds, needed))
        low, high = np.stack([ends(study.effects(sample)[1], level) for sample in samples], axis=1)
        verdicts = study.verdicts(low, high)
        decided = verdicts[:, number] != "undecided"
        wrong = study.are_false(verdicts, means)[:, number]
        show(name, needed, share(decided), f"{100 * wrong.mean():.1f} %")


def main() -> None:
    """Train if requested, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true", help="train the seeds again")
    parser.add_argument("--rounds", type=int, default=2000, help="rounds per measurement")
    options = parser.parse_args()
    if options.train:
        train()
    accuracies = pd.read_csv(TABLE)["final_val_accuracy"].to_numpy()
    skewness, kurtosis = stats.skew(accuracies), stats.kurtosis(accuracies)
    print(f"{len(accuracies)} seeds: skewness {skewness:.2f}, excess kurtosis {kurtosis:.2f}")
    simulation = Simulation(accuracies)
    measure_errors(simulation, options.rounds)
    measure_power(simulation, options.rounds)
    measure_promises(simulation, options.rounds)


if __name__ == "__main__":
    main()
