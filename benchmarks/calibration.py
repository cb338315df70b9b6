"""Error rates and power of the verdicts, and coverage of the intervals.

    .venv/bin/python benchmarks/calibration.py           # uses the accuracies in calibration.csv
    .venv/bin/python benchmarks/calibration.py --train   # trains them first, with 60 seeds

One small condition (6,000 training images of Fashion-MNIST, 3 epochs) is trained with 60 seeds. Disjoint
groups of these seeds, drawn again in each round, represent conditions that do not differ, so that each
verdict "supported" or "contradicted" is false. With a shift added to one group, "supported" is true.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from cnn_ablation.evidence import effects, verdicts
from cnn_ablation.study.claims import Above, Best, Claim, Trend
from cnn_ablation.study.parameters import EvidenceParameters

TABLE = Path(__file__).with_suffix(".csv")
SEEDS = 60
SIZES = (3, 5, 10, 20)
SHIFTS = (0.1, 0.2, 0.3, 0.5, 1.0)
LOOKS = (5, 10, 20)
GROUPS = ("a", "b", "c")
EVIDENCE = EvidenceParameters(level=0.05, smallest_effect=0.2)
IMAGES = {"train": 60_000, "validation": 10_000}


CLAIMS: dict[str, Claim] = {
    "a_above_b": Above(text="a is above b", kind="above", condition="a", than="b"),
    "b_above_c": Above(text="b is above c", kind="above", condition="b", than="c"),
    "a_above_c": Above(text="a is above c", kind="above", condition="a", than="c"),
    "a_best": Best(text="a is best", kind="best", condition="a"),
    "falling": Trend(text="it falls from a to c", kind="trend", direction="falling"),
}
NO_HISTORIES = pd.DataFrame(columns=["condition", "seed", "epoch", "val_accuracy", "seconds"])


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


def as_metrics(groups: dict[str, np.ndarray]) -> pd.DataFrame:
    """Convert groups of accuracies to the metrics of conditions. The nth accuracies share a seed."""
    return pd.DataFrame(
        {"condition": name, "seed": seed, "status": "finished", "final_val_accuracy": accuracy}
        for name, group in groups.items()
        for seed, accuracy in enumerate(group)
    )


def decide(groups: dict[str, np.ndarray], claims: dict[str, Claim], looks: int = 1) -> set[str]:
    """Set of verdicts on claims about groups of accuracies."""
    return set(
        verdicts.decide(claims, as_metrics(groups), NO_HISTORIES, EVIDENCE, IMAGES, looks).values()
    )


def share(hits: int, rounds: int) -> str:
    """Format a percentage with its 95 % interval (Clopper & Pearson, 1934)."""
    low, high = stats.binomtest(hits, rounds).proportion_ci()
    return f"{100 * hits / rounds:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    """Train if requested, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true", help="train the seeds again")
    parser.add_argument("--rounds", type=int, default=2000, help="rounds per measurement")
    options = parser.parse_args()
    if options.train:
        train()
    accuracies = pd.read_csv(TABLE)["final_val_accuracy"].to_numpy()
    rng = np.random.default_rng(0)
    rounds = options.rounds

    def draw(size: int) -> dict[str, np.ndarray]:
        drawn = rng.permutation(accuracies)[: size * len(GROUPS)].reshape(len(GROUPS), size)
        return dict(zip(GROUPS, drawn, strict=True))

    print(f"{len(accuracies)} seeds: mean {accuracies.mean():.2f} %, sd {accuracies.std(ddof=1):.2f}\n")
    print(f"False verdicts: any of {len(CLAIMS)} claims is decided although nothing differs.")
    print("| seeds | family-wise rate |\n| ---: | ---: |")
    for size in SIZES:
        false = sum(
            bool(decide(draw(size), CLAIMS) & {"supported", "contradicted"}) for _ in range(rounds)
        )
        print(f"| {size} | {share(false, rounds)} |", flush=True)
    false = 0
    for _ in range(rounds):
        groups = draw(LOOKS[-1])
        false += any(
            decide({name: group[:look] for name, group in groups.items()}, CLAIMS, len(LOOKS))
            & {"supported", "contradicted"}
            for look in LOOKS
        )
    print(f"| pursued: {', '.join(map(str, LOOKS))} | {share(false, rounds)} |\n", flush=True)

    print("Power: the probability that a single claim is supported, by the true difference in points.")
    print(f"| seeds | {' | '.join(map(str, SHIFTS))} |\n| ---: |{' ---: |' * len(SHIFTS)}")
    for size in SIZES:
        cells = []
        for shift in SHIFTS:
            found = 0
            for _ in range(rounds):
                groups = draw(size)
                groups["a"] = groups["a"] + shift
                found += "supported" in decide(groups, {"a_above_b": CLAIMS["a_above_b"]})
            cells.append(f"{100 * found / rounds:.0f} %")
        print(f"| {size} | {' | '.join(cells)} |", flush=True)

    print("\nCoverage of 95 % intervals, for a difference and for a single further run.")
    print("| seeds | difference | single run |\n| ---: | ---: | ---: |")
    for size in SIZES:
        covered = predicted = 0
        for _ in range(rounds):
            groups = draw(size)
            low, high = effects.contrast(pd.DataFrame(groups), {"a": 1, "b": -1}).interval()
            covered += low <= 0 <= high
            low, high = effects.prediction_interval(groups["a"])
            predicted += low <= groups["b"][0] <= high
        print(f"| {size} | {share(covered, rounds)} | {share(predicted, rounds)} |", flush=True)


if __name__ == "__main__":
    main()
