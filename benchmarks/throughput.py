"""Training throughput: a plain PyTorch script, our trial on one worker, and our workers together.

    .venv/bin/python benchmarks/throughput.py

All are measured in this one run, alternately, on the base network and the whole of Fashion-MNIST. An
epoch is the training on 60,000 images and the validation on 10,000; the first one of each is warm-up.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from plain_pytorch import PlainTraining

from cnn_ablation import fashion_mnist, splits
from cnn_ablation.engine import Engine, TrialData
from cnn_ablation.network import describe_network
from cnn_ablation.parameters import (
    BaselineParameters,
    Condition,
    DataParameters,
    ExecutionParameters,
    Trial,
)
from cnn_ablation.progress import StudyProgress
from cnn_ablation.store import TrialStore

TRAIN_IMAGES = 60_000
BASELINE = BaselineParameters.model_validate(
    yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text())["baseline"]
)


def plain_seconds(epochs: int) -> list[float]:
    """Seconds per epoch of the plain script, all cores, warm-up left out."""
    training = PlainTraining(ROOT / "data/01_raw/fashion_mnist")
    seconds = []
    for _ in range(epochs + 1):
        start = time.perf_counter()
        training.run_epoch()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def our_seconds(data: TrialData, precision: str, workers: int, epochs: int) -> list[list[float]]:
    """Seconds per epoch of each of `workers` trials that run at once, warm-up left out."""
    training = BASELINE.training.model_copy(update={"epochs": epochs + 1})
    condition = Condition(name="base", levels={}, model=BASELINE.model, training=training)
    trials = [Trial(condition=condition, seed=seed) for seed in range(workers)]
    execution = ExecutionParameters.model_validate(
        {"device": "cpu", "precision": precision, "workers": workers, "scheduler": None, "tls": None}
    )
    engine = Engine(StudyProgress())
    with TemporaryDirectory() as folder:
        outcomes = list(engine.train(trials, data, TrialStore(Path(folder)), execution))
    engine.close()
    return [
        [row["seconds"] for row in outcome.stored.history[1:]]
        for outcome in outcomes
        if outcome.stored is not None
    ]


def matrix_peak() -> float:
    """FLOP/s of a large bf16 matrix product on all cores: the best of several."""
    code = """
import time, torch
left, right, best = torch.randn(4096, 4096).bfloat16(), torch.randn(4096, 4096).bfloat16(), 1e9
for _ in range(20):
    start = time.perf_counter()
    left @ right
    best = min(best, time.perf_counter() - start)
print(2 * 4096**3 / best)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(result.stdout)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2, help="measured per round")
    parser.add_argument("--rounds", type=int, default=2, help="alternations")
    options = parser.parse_args()

    raw = fashion_mnist.load(ROOT / "data/01_raw/fashion_mnist")
    everything = DataParameters(
        protocol="journal", train_images=None, validation_images=None, split_seed=0
    )
    arrays = splits.split_images(raw, everything)
    data = TrialData(arrays, splits.summarize_splits(arrays, list(fashion_mnist.CLASS_NAMES)))
    cores = torch.get_num_threads()
    variants = {
        f"ours, {precision}, {workers} worker{'s' * (workers > 1)}": (precision, workers)
        for precision in ("fp32", "bf16")
        for workers in (1, cores)
    }
    plain: list[float] = []
    ours: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(options.rounds):
        plain += plain_seconds(options.epochs)
        for name, (precision, workers) in variants.items():
            per_trial = our_seconds(data, precision, workers, options.epochs)
            # Trials that run at once: their throughputs add up.
            together = [1 / sum(1 / s for s in epoch) for epoch in zip(*per_trial, strict=True)]
            ours[name] += together

    layers = describe_network(BASELINE.model, (1, 28, 28), 10)
    # A forward pass, and a backward one of twice its work but for the images' own gradient.
    first = layers["multiply_adds"].iloc[0]
    flops = 2 * (3 * layers["multiply_adds"].sum() - first) * TRAIN_IMAGES
    peak = matrix_peak()
    reference = statistics.median(plain)
    rows = {f"plain PyTorch script, {cores} threads": plain, **ours}
    print(f"{cores} cores, torch {torch.__version__}, bf16 matrix peak {peak / 1e9:.0f} GFLOP/s")
    print("| | images/s | ratio to plain | share of bf16 peak |")
    print("| --- | --- | --- | --- |")
    for name, seconds in rows.items():
        median = statistics.median(seconds)
        print(
            f"| {name} | {TRAIN_IMAGES / median:,.0f} | {reference / median:.2f} "
            f"| {100 * flops / median / peak:.0f} % |"
        )
    print(json.dumps({name: [round(s, 2) for s in seconds] for name, seconds in rows.items()}))


if __name__ == "__main__":
    main()
