"""Training throughput of a plain PyTorch script, of one worker, and of all workers together.

    .venv/bin/python benchmarks/throughput.py            # on the base network
    .venv/bin/python benchmarks/throughput.py --study    # the published journal's 19 runs
    .venv/bin/python benchmarks/throughput.py --parts    # augmentations, residual networks and more

One run measures all of them, alternating, on all of Fashion-MNIST. An epoch trains on 60,000 images and
validates on 10,000; the first epoch of each is warm-up. Shares of the peak count the multiplications of
direct convolutions. Winograd's algorithm needs fewer, so its share can exceed 100 %.

`--study` measures epochs of the plain script on each network of the study, and extrapolates to 10
epochs. The engine trains the distinct trials of the study in full, including start-up. Like the plain
script, it validates once per epoch; benchmarks/moments.py measures the cost of more evaluations.

`--parts` measures one worker on the base network, on the base network with each augmentation, with label
smoothing and with the moving average, and on residual networks. The variants alternate. Their times are
given as a ratio to the base network of the same round.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from plain_pytorch import PlainTraining, unpack

from cnn_ablation.data import fashion_mnist, splits
from cnn_ablation.execution.engine import Engine
from cnn_ablation.execution.progress import StudyProgress
from cnn_ablation.execution.store import TrialStore
from cnn_ablation.execution.worker import TrialData
from cnn_ablation.parts.architectures import Architecture, ConvNet, ResNet
from cnn_ablation.parts.base import kind_of, parts_in
from cnn_ablation.report.layer_table import describe_network
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.study.experiment import ExperimentParameters, expand_trials
from cnn_ablation.study.parameters import (
    DataParameters,
    EvaluationParameters,
    ExecutionParameters,
    SeedParameters,
)
from cnn_ablation.study.trials import Condition, Trial
from cnn_ablation.training.devices import resolve_precision

CONF = ROOT / "conf/base"
PARAMETERS = yaml.safe_load((CONF / "parameters.yml").read_text())
JOURNAL = ("dropout", "batchnorm", "conv_depth", "pooling", "interactions", "combined")
RAW = ROOT / "data/01_raw/fashion_mnist"
TRAIN_IMAGES = 60_000
BASELINE = Configuration.model_validate(PARAMETERS["baseline"])
EVALUATION = EvaluationParameters.model_validate(PARAMETERS["evaluation"])
ONCE_PER_EPOCH = EvaluationParameters(moments=1)
"""The evaluation of the plain script."""

ALL_IMAGES = DataParameters(
    protocol="journal", train_images=None, validation_images=None, test_images=None, split_seed=0
)
FASTEST = resolve_precision("auto", torch.device("cpu"))
"""The precision in which this processor multiplies fastest."""


def load_data(train_images: int | None = None) -> TrialData:
    """Load all images, or as many for training, and a sixth of them for validation."""
    wanted = ALL_IMAGES
    if train_images is not None:
        fewer = {"train_images": train_images, "validation_images": train_images // 6}
        wanted = ALL_IMAGES.model_copy(update=fewer)
    arrays = splits.split_images(fashion_mnist.load(RAW), wanted)
    return TrialData(arrays, splits.summarize_splits(arrays, list(fashion_mnist.CLASS_NAMES)))


def study_trials() -> list[Trial]:
    """Trials of the published journal's 19 runs."""
    return [
        trial
        for name in JOURNAL
        for trial in expand_trials(
            ExperimentParameters.model_validate(
                yaml.safe_load((CONF / f"parameters_{name}.yml").read_text())[name]
            ),
            BASELINE,
            SeedParameters([0]),
        )
    ]


def plain_seconds(folder: Path, model: Architecture, epochs: int) -> list[float]:
    """Seconds of each epoch of the plain script, all cores. It trains a `convnet` only."""
    assert isinstance(model, ConvNet)
    training = PlainTraining(folder, model)
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        training.run_epoch()
        seconds.append(time.perf_counter() - start)
    return seconds


def train_together(
    trials: list[Trial], data: TrialData, precision: str, workers: int
) -> list[list[float]]:
    """Seconds per epoch of each trial, with `workers` trials at once."""
    execution = ExecutionParameters.model_validate(
        {
            "device": "cpu",
            "precision": precision,
            "layers": "fast",
            "workers": workers,
            "scheduler": None,
            "tls": None,
        }
    )
    engine = Engine(StudyProgress())
    with TemporaryDirectory() as folder:
        outcomes = list(engine.train(trials, data, TrialStore(Path(folder)), execution, ONCE_PER_EPOCH))
    engine.close()
    seconds = []
    for outcome in outcomes:
        if outcome.stored is None:
            raise RuntimeError(f"{outcome.trial.name} failed: {outcome.error}")
        seconds.append([row["seconds"] for row in outcome.stored.history])
    return seconds


def our_seconds(
    data: TrialData,
    precision: str,
    workers: int,
    epochs: int,
    configuration: Configuration = BASELINE,
) -> list[float]:
    """Seconds per epoch of work with `workers` trials at once, without the warm-up epoch."""
    training = configuration.training.model_copy(update={"epochs": epochs + 1})
    condition = Condition(name="base", levels={}, model=configuration.model, training=training)
    trials = [Trial(condition=condition, seed=seed) for seed in range(workers)]
    per_trial = train_together(trials, data, precision, workers)
    # The throughputs of concurrent trials add up.
    return [1 / sum(1 / s for s in epoch) for epoch in list(zip(*per_trial, strict=True))[1:]]


def matrix_peak(precision: str) -> float:
    """FLOP/s of a large matrix product on all cores, best of 20."""
    dtype = {"fp32": "torch.float", "bf16": "torch.bfloat16"}[precision]
    code = f"""
import time, torch
left, right, best = torch.randn(4096, 4096).to({dtype}), torch.randn(4096, 4096).to({dtype}), 1e9
for _ in range(20):
    start = time.perf_counter()
    left @ right
    best = min(best, time.perf_counter() - start)
print(2 * 4096**3 / best)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(result.stdout)


def compare_base_network(folder: Path, data: TrialData, epochs: int, rounds: int) -> None:
    """Measure the base network's throughput and print the table."""
    cores = torch.get_num_threads()
    variants = {
        f"this project, {precision}, {workers} worker{'s' * (workers > 1)}": (precision, workers)
        for precision in dict.fromkeys(("fp32", FASTEST))
        for workers in (1, cores)
    }
    plain = f"plain PyTorch script, {cores} threads"
    rows: dict[str, list[float]] = {name: [] for name in (plain, *variants)}
    for _ in range(rounds):
        rows[plain] += plain_seconds(folder, BASELINE.model, epochs + 1)[1:]
        for name, (precision, workers) in variants.items():
            rows[name] += our_seconds(data, precision, workers, epochs)

    layers = describe_network(BASELINE.model, (1, 28, 28), 10)
    # The backward pass takes twice the work of the forward pass, except for the gradient of the images.
    first = layers["multiply_adds"].iloc[0]
    flops = 2 * (3 * layers["multiply_adds"].sum() - first) * TRAIN_IMAGES
    peak = matrix_peak(FASTEST)
    reference = statistics.median(rows[plain])
    print(f"{cores} cores, torch {torch.__version__}, {FASTEST} matrix peak {peak / 1e9:.0f} GFLOP/s")
    print(f"| | images/s | ratio to plain | share of {FASTEST} peak |")
    print("| --- | --- | --- | --- |")
    for name, seconds in rows.items():
        median = statistics.median(seconds)
        print(
            f"| {name} | {TRAIN_IMAGES / median:,.0f} | {reference / median:.2f} "
            f"| {100 * flops / median / peak:.0f} % |"
        )
    print(json.dumps({name: [round(s, 2) for s in seconds] for name, seconds in rows.items()}))


def with_parts() -> dict[str, Configuration]:
    """The base network, alone and with each part that makes a step dearer, and residual networks."""
    augmentations = TrainingParameters.model_fields["augmentation"].annotation
    settings: dict[str, dict[str, Any]] = {
        "base network": {},
        **{kind_of(part): {"augmentation": [kind_of(part)]} for part in parts_in(augmentations)},
        "label_smoothing": {"label_smoothing": 0.1},
        "ema": {"averaging": "ema"},
    }
    given = BASELINE.model_dump()
    varied = {
        name: Configuration.model_validate({**given, "training": given["training"] | training})
        for name, training in settings.items()
    }
    residual = {
        str(model): Configuration(model=model, training=BASELINE.training)
        for model in (ResNet(), ResNet(depth=8))
    }
    return varied | residual


def compare_parts(data: TrialData, epochs: int, rounds: int) -> None:
    """Measure one worker with each part, and print the table."""
    variants = with_parts()
    first = next(iter(variants))
    rows: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, configuration in variants.items():
            rows[name].append(statistics.median(our_seconds(data, FASTEST, 1, epochs, configuration)))
    count = len(data.arrays["train_labels"])
    print(f"one worker, torch {torch.__version__}, {FASTEST}, {count:,} training images")
    print("| | parameters | images/s | time of the base network's epoch |")
    print("| --- | ---: | ---: | ---: |")
    for name, seconds in rows.items():
        ratios = [mine / base for mine, base in zip(seconds, rows[first], strict=True)]
        parameters = describe_network(variants[name].model, (1, 28, 28), 10)["parameters"].sum()
        print(
            f"| {name} | {parameters:,} | {count / statistics.median(seconds):,.0f} "
            f"| {statistics.median(ratios):.2f} |"
        )
    print(json.dumps({name: [round(s, 2) for s in seconds] for name, seconds in rows.items()}))


def compare_study(folder: Path, data: TrialData, epochs: int) -> None:
    """Print the time of the plain script's 19 runs in sequence, and of our study with one seed."""
    runs = study_trials()
    journal_epochs = BASELINE.training.epochs
    plain: dict[str, float] = {}
    total = 0.0
    for trial in runs:
        # The dropout rate does not change the cost of a step.
        model = trial.condition.model.model_copy(update={"dropout_rate": 0.5})
        if str(model) not in plain:
            plain[str(model)] = statistics.median(plain_seconds(folder, model, epochs))
            print(f"plain script, an epoch of {model}: {plain[str(model)]:.1f} s", flush=True)
        total += journal_epochs * plain[str(model)]
    print(f"plain script, {len(runs)} runs: {total / 60:.1f} min")
    workers = torch.get_num_threads()
    start = time.perf_counter()
    train_together(runs, data, FASTEST, workers)
    seconds = time.perf_counter() - start
    print(f"this project, {FASTEST}, {workers} workers: {seconds / 60:.1f} min, 1/{total / seconds:.1f}")


def main() -> None:
    """Measure throughput and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2, help="epochs measured per round")
    parser.add_argument("--rounds", type=int, default=2, help="number of alternations")
    parser.add_argument("--study", action="store_true", help="measure the published journal's 19 runs")
    parser.add_argument("--parts", action="store_true", help="measure parts and residual networks")
    parser.add_argument("--images", type=int, help="training images with --parts; all by default")
    options = parser.parse_args()

    if options.parts:
        compare_parts(load_data(options.images), options.epochs, options.rounds)
        return
    data = load_data()
    with TemporaryDirectory() as unpacked:
        folder = Path(unpacked)
        unpack(RAW, folder)
        if options.study:
            compare_study(folder, data, options.epochs)
        else:
            compare_base_network(folder, data, options.epochs, options.rounds)


if __name__ == "__main__":
    main()
