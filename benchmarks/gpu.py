"""Reproducibility, accuracy and throughput of training on one GPU, in several ways.

    python3 benchmarks/gpu.py                        # on a CUDA device, about 7 minutes
    python3 benchmarks/gpu.py --device cpu --images 640   # short: the sections without a GPU

It needs only PyTorch, NumPy, Numba, pydantic and the files in data/01_raw/fashion_mnist. Each section
prints a table as soon as it is measured. After an error, the next section starts in a new process,
because CUDA may be unusable in the old one. Sections that no longer fit into `--minutes` are skipped.
"""

import argparse
import csv
import faulthandler
import hashlib
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from batched_trials import BatchedTrials
from plain_pytorch import PlainTraining, make_network, unpack

from cnn_ablation.data import fashion_mnist, splits
from cnn_ablation.parts.architectures import ConvNet
from cnn_ablation.parts.optimizers import Adam
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from cnn_ablation.study.parameters import DataParameters
from cnn_ablation.training import cuda_graphs
from cnn_ablation.training.loop import train
from cnn_ablation.training.results import TrainedTrial
from cnn_ablation.training.training_data import TRAINING_ARRAYS, TrainingData

RAW = ROOT / "data/01_raw/fashion_mnist"
ALL_IMAGES = DataParameters(
    protocol="journal", train_images=None, validation_images=None, test_images=None, split_seed=0
)
CLASSES = 10
STUDY: dict[str, ConvNet] = {
    "base": ConvNet(),
    "no dropout": ConvNet(dropout_rate=0.0),
    "dropout 0.2": ConvNet(dropout_rate=0.2),
    "dropout 0.3": ConvNet(dropout_rate=0.3),
    "dropout 0.7": ConvNet(dropout_rate=0.7),
    "no batch norm": ConvNet(use_batch_norm=False),
    "no batch norm, no dropout": ConvNet(use_batch_norm=False, dropout_rate=0.0),
    "one layer": ConvNet(conv_channels=[32]),
    "three layers": ConvNet(conv_channels=[32, 64, 128]),
    "no pooling": ConvNet(use_pooling=False),
}
"""The distinct configurations of the study, as in conf/base/parameters_overall.yml."""

STUDY_SEEDS = 5
STUDY_EPOCHS = 10
T_QUANTILE = {3: 4.303, 5: 2.776, 8: 2.365}
"""97.5 % quantiles of Student's t, by number of values."""


def configuration(model: ConvNet, epochs: int, learning_rate: float = 0.001) -> Configuration:
    """A network with the training of the published journal."""
    training = TrainingParameters(
        epochs=epochs, batch_size=64, optimizer=Adam(learning_rate=learning_rate)
    )
    return Configuration(model=model, training=training)


def load_data(device: torch.device, images: int | None) -> TrainingData:
    """All images, or the first `images` of both splits, on the device."""
    arrays = splits.split_images(fashion_mnist.load(RAW), ALL_IMAGES)
    kept = {name: arrays[name][:images] for name in TRAINING_ARRAYS}
    return TrainingData.from_arrays(kept, [0.286], [0.353], device)


@dataclass
class Bench:
    """Data and settings that all sections share, and measurements that later sections need."""

    device: torch.device
    data: TrainingData
    images: int | None
    ends: float
    graphs: bool = True
    """Whether steps can be replayed as graphs."""
    together: dict[tuple[str, str, int], float] = field(default_factory=dict)
    """Images per second of k trials at once, by method, variant and k."""

    @property
    def cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def train_images(self) -> int:
        """Images per epoch."""
        return len(self.data.train_labels)

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit."""
        return self.ends - time.monotonic()

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions to compare."""
        return ("bf16", "fp32") if self.cuda else ("fp32",)

    def variants(self) -> Iterator[tuple[str, str, bool]]:
        """Name, precision and whether steps are replayed as graphs."""
        for graphs in (False, True) if self.graphs else (False,):
            for precision in self.precisions:
                yield variant_name(precision, graphs), precision, graphs

    def train(
        self,
        model: ConvNet = STUDY["base"],
        epochs: int = 1,
        seed: int = 0,
        precision: str = "fp32",
        graphs: bool = False,
        learning_rate: float = 0.001,
    ) -> TrainedTrial:
        """Train one trial."""
        return train(
            configuration(model, epochs, learning_rate),
            seed,
            self.data,
            CLASSES,
            precision=precision,
            layers="torch",
            graphs=graphs,
        )

    def rate(self, trained: TrainedTrial) -> float:
        """Images per second of the median epoch, including validation, without the first epoch."""
        rows = trained.measurements.history[1:] or trained.measurements.history
        return self.train_images / statistics.median(row["seconds"] for row in rows)

    def wait(self) -> None:
        """Wait until the device is idle."""
        if self.cuda:
            torch.cuda.synchronize()


def variant_name(precision: str, graphs: bool) -> str:
    """Name of a variant in tables."""
    return f"{precision}, {'graphs' if graphs else 'eager'}"


def weights_hash(trained: TrainedTrial) -> str:
    """Hash of all weights and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(trained.weights.items()):
        digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()[:12]


def say(text: str = "") -> None:
    """Print immediately."""
    print(text, flush=True)


def row(*cells: object) -> None:
    """Print a row of a table."""
    say("| " + " | ".join(str(cell) for cell in cells) + " |")


def head(*names: str) -> None:
    """Print the head of a table; the first column is text."""
    row(*names)
    row("---", *["---:"] * (len(names) - 1))


def show_device(bench: Bench) -> None:
    """Print device, driver and versions."""
    head("", "value")
    row("Python, torch", f"{sys.version.split()[0]}, {torch.__version__}")
    row("CPU threads of torch", torch.get_num_threads())
    row("images", f"{bench.train_images:,} + {len(bench.data.validation_labels):,}")
    if not bench.cuda:
        return
    properties = torch.cuda.get_device_properties(0)
    row("device", f"{properties.name}, {properties.multi_processor_count} SMs")
    row("memory", f"{properties.total_memory / 2**30:.0f} GiB")
    row("CUDA, cuDNN", f"{torch.version.cuda}, {torch.backends.cudnn.version()}")
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    row("driver", driver.stdout.strip())


def check_bits(bench: Bench) -> None:
    """Check that training gives the same bits twice, and the same bits with graphs."""
    head("one epoch of the base network", "first", "again", "same bits", "val. accuracy, %")
    for name, precision, graphs in bench.variants():
        first, again = (bench.train(precision=precision, graphs=graphs) for _ in range(2))
        one, other = weights_hash(first), weights_hash(again)
        row(name, one, other, one == other, f"{first.measurements.history[-1]['val_accuracy']:.2f}")
    if not bench.graphs:
        return
    say()
    say("Graph against eager. A rate of 2^-10 is exact in float32, in which a graph reads it.")
    head("one epoch", "eager, float rate", "eager, rate on device", "graph", "graph = eager on device")
    for precision in bench.precisions:
        for rate in (0.001, 2**-10):
            eager = weights_hash(bench.train(precision=precision, learning_rate=rate))
            with no_graphs():
                tensor = weights_hash(bench.train(precision=precision, learning_rate=rate, graphs=True))
            graph = weights_hash(bench.train(precision=precision, learning_rate=rate, graphs=True))
            row(f"{precision}, rate {rate}", eager, tensor, graph, tensor == graph)
    say()
    waits = [count_waits(bench, batch_size) for batch_size in (512, 64)]
    say(
        f"Waits of the host in an epoch of batches of 512 and of 64: {waits[0]}, {waits[1]} (same: good)"
    )


@contextmanager
def no_graphs() -> Iterator[None]:
    """Prepare steps for graphs, but launch their kernels one by one."""
    kept = cuda_graphs.WARM_UP_CALLS
    cuda_graphs.WARM_UP_CALLS = 10**9
    try:
        yield
    finally:
        cuda_graphs.WARM_UP_CALLS = kept


def count_waits(bench: Bench, batch_size: int) -> int:
    """Number of times that the host waits for the device in a training of one epoch."""
    base = configuration(STUDY["base"], 1)
    training = base.training.model_copy(update={"batch_size": batch_size})
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(base.model_copy(update={"training": training}), 0, bench.data, CLASSES, layers="torch")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def measure_single(bench: Bench) -> None:
    """Measure images per second of one trial at a time."""
    head("base network, one trial, validation included", "images/s", "seconds per epoch", "first epoch")
    for name, precision, graphs in bench.variants():
        trained = bench.train(precision=precision, graphs=graphs, epochs=8 if graphs else 4)
        rate = bench.rate(trained)
        first = trained.measurements.history[0]["seconds"]
        row(name, f"{rate:,.0f}", f"{bench.train_images / rate:.3f}", f"{first:.3f}")


def measure_plain(bench: Bench) -> None:
    """Measure scripts as users write them: the network, Adam, and metrics that are read at each step."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    # Restore PyTorch's defaults, which train() changes.
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = True, False
    head("plain script, fp32 with PyTorch's defaults, training alone", "images/s")
    rows: dict[str, Callable[[], Any]] = {
        "tensors on the device, indexed": lambda: device_batches(bench),
        "TensorDataset on the CPU, DataLoader": lambda: loader_batches(bench),
        "torchvision dataset, transforms per image, DataLoader": lambda: torchvision_batches(bench),
    }
    try:
        for name, batches in rows.items():
            try:
                row(name, f"{plain_rate(bench, batches()):,.0f}")
            except Exception as error:
                row(name, f"failed: {error!r}")
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = kept


Batches = Iterator[tuple[Tensor, Tensor]]


def device_batches(bench: Bench) -> Batches:
    """Shuffled batches of tensors on the device."""
    images = (bench.data.train_images.float() / 255 - 0.286) / 0.353
    while True:
        order = torch.randperm(len(images), device=bench.device)
        for batch in order.split(64):
            yield images[batch], bench.data.train_labels[batch]


def loader_batches(bench: Bench) -> Batches:
    """A DataLoader over tensors on the CPU."""
    images = (bench.data.train_images.cpu().float() / 255 - 0.286) / 0.353
    loader = DataLoader(TensorDataset(images, bench.data.train_labels.cpu()), 64, shuffle=True)
    while True:
        yield from loader


def torchvision_batches(bench: Bench) -> Batches:
    """The DataLoader of plain_pytorch.py."""
    with TemporaryDirectory() as folder:
        unpack(RAW, Path(folder))
        while True:
            yield from PlainTraining(Path(folder), STUDY["base"]).train_loader


def plain_rate(bench: Bench, batches: Batches, seconds: float = 3.0) -> float:
    """Images per second of a plain training."""
    network = make_network(STUDY["base"]).to(bench.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()
    total_loss, correct, seen, start = 0.0, 0, 0, time.perf_counter()
    for step, (images, labels) in enumerate(batches):
        images, labels = images.to(bench.device), labels.to(bench.device)
        optimizer.zero_grad()
        logits = network(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(labels)
        correct += int((logits.argmax(1) == labels).sum())
        if step == 10:  # Earlier steps are warm-up.
            seen, start = 0, time.perf_counter()
        else:
            seen += len(labels)
        if step > 20 and time.perf_counter() - start > seconds:
            break
    return seen / (time.perf_counter() - start)


def measure_threads(bench: Bench) -> None:
    """Measure several trials at once in one process, each in its own thread and stream."""
    head("trials at once, threads of one process", "k", "images/s, all", "same bits as alone")
    for precision in bench.precisions:
        name = variant_name(precision, bench.graphs)
        alone = weights_hash(bench.train(precision=precision, graphs=bench.graphs, epochs=5))
        for k in (2, 4, 8, 16) if bench.cuda else (2,):
            trained = train_in_threads(bench, k, precision, [(STUDY["base"], s, 5) for s in range(k)])
            rate = sum(map(bench.rate, trained))
            bench.together["threads", name, k] = rate
            row(name, k, f"{rate:,.0f}", weights_hash(trained[0]) == alone)


def train_in_threads(
    bench: Bench, k: int, precision: str, trials: list[tuple[ConvNet, int, int]]
) -> list[TrainedTrial]:
    """Train trials, (network, seed, epochs), k at once."""
    with ThreadPoolExecutor(k) as pool:
        return list(
            pool.map(
                lambda trial: bench.train(
                    trial[0], seed=trial[1], epochs=trial[2], precision=precision, graphs=bench.graphs
                ),
                trials,
            )
        )


def measure_processes(bench: Bench) -> None:
    """Measure several trials at once, each in its own process."""
    counts = (1, 2, 4, 8) if bench.cuda else (1, 2)
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    start = time.perf_counter()
    try:
        for _ in range(max(counts)):
            here, there = context.Pipe()
            process = context.Process(
                target=serve, args=(there, str(bench.device), bench.images), daemon=True
            )
            process.start()
            pipes.append(here)
            processes.append(process)
        for pipe in pipes:
            answer(pipe, 120)
        say(f"{len(pipes)} processes started in {time.perf_counter() - start:.1f} s.")
        say()
        head("trials at once, processes", "k", "images/s, all", "same bits as here")
        for name, precision, graphs in reversed(list(bench.variants())):
            epochs = 5 if graphs else 3
            here_hash = weights_hash(bench.train(precision=precision, graphs=graphs, epochs=epochs))
            for k in counts:
                for seed, pipe in enumerate(pipes[:k]):
                    pipe.send({"seed": seed, "precision": precision, "graphs": graphs, "epochs": epochs})
                answers = [answer(pipe, 60) for pipe in pipes[:k]]
                rate = sum(images_per_second for images_per_second, _ in answers)
                bench.together["processes", name, k] = rate
                row(name, k, f"{rate:,.0f}", answers[0][1] == here_hash)
    finally:
        for process in processes:
            process.kill()
            process.join()


def serve(pipe: Connection, device: str, images: int | None) -> None:
    """Train the trials that the pipe delivers; send images per second and the hash of the weights."""
    torch.set_num_threads(1)
    data = load_data(torch.device(device), images)
    bench = Bench(torch.device(device), data, images, math.inf)
    bench.train()
    pipe.send("ready")
    while True:
        try:
            trained = bench.train(**pipe.recv())
            pipe.send((bench.rate(trained), weights_hash(trained)))
        except EOFError:
            return
        except Exception as error:
            traceback.print_exc(file=sys.stdout)
            pipe.send(error)


def answer(pipe: Connection, seconds: float) -> Any:
    """Wait for the answer of a process."""
    if not pipe.poll(seconds):
        raise TimeoutError(f"no answer in {seconds} s")
    received = pipe.recv()
    if isinstance(received, Exception):
        raise received
    return received


def measure_batched(bench: Bench) -> None:
    """Measure several trials as one network, whose layers are batched matrix products."""
    head(
        "trials at once, one batched network, training alone", "k", "images/s, all", "loss, first, last"
    )
    for precision in bench.precisions:
        for k in (1, 4, 8, 16, 32) if bench.cuda else (2,):
            trials = BatchedTrials(k, bench.data, precision, torch.Generator().manual_seed(0))
            order = torch.stack([torch.randperm(bench.train_images) for _ in range(k)])
            order = order.to(bench.device)
            steps = bench.train_images // 64
            warm_up = min(10, steps // 2)
            with cuda_graphs.own_stream(bench.device):
                step = cuda_graphs.Graphed(trials.step) if bench.graphs else trials.step
                losses = [step(order[:, i * 64 : (i + 1) * 64]).mean().clone() for i in range(warm_up)]
                bench.wait()
                start = time.perf_counter()
                for i in range(warm_up, steps):
                    loss = step(order[:, i * 64 : (i + 1) * 64])
                bench.wait()
                seconds = time.perf_counter() - start
                last = loss.mean()
            rate = k * 64 * (steps - warm_up) / seconds
            bench.together["batched", variant_name(precision, True), k] = rate
            row(precision, k, f"{rate:,.0f}", f"{losses[0]:.3f}, {last:.3f}")


def measure_accuracy(bench: Bench) -> None:
    """Measure the accuracy after ten epochs, beside that of `moments.py` in fp32 on a CPU."""
    seeds = 5 if bench.cuda else 3
    epochs = STUDY_EPOCHS if bench.cuda else 1
    head("base network, last epoch", "seeds", "mean, %", "sd", "95 % interval", "mean of last 3 epochs")
    cpu = cpu_accuracies()
    mean, sd, n = statistics.mean(cpu), statistics.stdev(cpu), len(cpu)
    row("fp32 on a CPU", n, f"{mean:.2f}", f"{sd:.2f}", interval(mean, sd, n), "")
    for precision in bench.precisions:
        start = time.perf_counter()
        trained = [
            bench.train(seed=seed, epochs=epochs, precision=precision, graphs=bench.graphs)
            for seed in range(seeds)
        ]
        seconds = time.perf_counter() - start
        last = [trial.measurements.history[-1]["val_accuracy"] for trial in trained]
        tail = [r["val_accuracy"] for trial in trained for r in trial.measurements.history[-3:]]
        mean, sd = statistics.mean(last), statistics.stdev(last)
        row(
            f"{bench.device.type}, {precision}, {seconds:.1f} s",
            *(seeds, f"{mean:.2f}", f"{sd:.2f}", interval(mean, sd, seeds)),
            f"{statistics.mean(tail):.2f}",
        )


def cpu_accuracies() -> list[float]:
    """Final validation accuracy, percent, of the base network's seeds that `moments.py` trained."""
    with (ROOT / "benchmarks/moments.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["condition"] == "baseline"]
    last = max(int(row["moment"]) for row in rows)
    return [float(row["val_accuracy"]) for row in rows if int(row["moment"]) == last]


def interval(mean: float, sd: float, n: int) -> str:
    """Student's interval of a mean."""
    half = T_QUANTILE[n] * sd / math.sqrt(n)
    return f"{mean - half:.2f} to {mean + half:.2f}"


def estimate_study(bench: Bench) -> None:
    """Estimate the time of the study's 50 trials, one at a time, from epochs of its networks."""
    head("networks, one trial at a time", *(f"{p}, images/s" for p in bench.precisions))
    rates: dict[str, dict[str, float]] = {}
    # Dropout's rate does not change the cost.
    names = ("base", "no pooling", "three layers", "one layer", "no batch norm")
    for name in names:
        rates[name] = {
            precision: bench.rate(
                bench.train(STUDY[name], epochs=3, precision=precision, graphs=bench.graphs)
            )
            for precision in bench.precisions
        }
        row(name, *(f"{rates[name][precision]:,.0f}" for precision in bench.precisions))
    say()
    for precision in bench.precisions:
        seconds = sum(
            STUDY_SEEDS * STUDY_EPOCHS * bench.train_images / rates[likeness(name)][precision]
            for name in STUDY
        )
        say(f"50 trials of {STUDY_EPOCHS} epochs, {precision}, one at a time: {seconds:.0f} s.")


def likeness(name: str) -> str:
    """The measured network with the same cost."""
    if name in ("one layer", "three layers", "no pooling"):
        return name
    return "no batch norm" if "no batch norm" in name else "base"


def run_study(bench: Bench) -> None:
    """Train the study's 50 trials in threads of one process."""
    measured = {key: rate for key, rate in bench.together.items() if key[0] == "threads"}
    _, name, k = max(measured, key=lambda key: measured[key], default=("", "bf16, graphs", 8))
    precision = name.split(",")[0]
    epochs = STUDY_EPOCHS if bench.cuda else 1
    seeds = STUDY_SEEDS if bench.cuda else 1
    # Start the longest trials first, so that all threads end together.
    order = ["no pooling", *(name for name in STUDY if name != "no pooling")]
    trials = [(STUDY[name], seed, epochs) for name in order for seed in range(seeds)]
    start = time.perf_counter()
    trained = train_in_threads(bench, k, precision, trials)
    seconds = time.perf_counter() - start
    say(f"{len(trials)} trials of {epochs} epochs, {precision}, {k} at once: {seconds:.1f} s.")
    say()
    head("condition", "mean val. accuracy, %", "sd")
    for place, name in enumerate(order):
        last = [
            t.measurements.history[-1]["val_accuracy"]
            for t in trained[place * seeds : (place + 1) * seeds]
        ]
        spread = statistics.stdev(last) if len(last) > 1 else math.nan
        row(name, f"{statistics.mean(last):.2f}", f"{spread:.2f}")


def show_kernels(bench: Bench) -> None:
    """Print the kernels that a step's time on the device consists of."""
    from torch.profiler import ProfilerActivity, profile

    few = TrainingData(
        bench.data.train_images[:1280],
        bench.data.train_labels[:1280],
        bench.data.validation_images[:125],
        bench.data.validation_labels[:125],
        bench.data.mean,
        bench.data.std,
    )
    activity = ProfilerActivity.CUDA if bench.cuda else ProfilerActivity.CPU
    for precision in bench.precisions:
        with profile(activities=[activity]) as profiler:
            train(configuration(STUDY["base"], 5), 0, few, CLASSES, precision=precision, layers="torch")
        events = profiler.key_averages()

        def time_of(event: Any) -> float:
            return float(event.self_device_time_total if bench.cuda else event.self_cpu_time_total)

        total = sum(map(time_of, events))
        say(f"{precision}: {total / 100:.0f} µs of kernels per step (20 steps an epoch, 5 epochs).")
        say()
        head("kernel", "µs per step", "calls per step")
        for event in sorted(events, key=time_of, reverse=True)[:14]:
            row(
                event.key[:90].replace("|", "/"),
                f"{time_of(event) / 100:.1f}",
                f"{event.count / 100:.1f}",
            )
        say()


@dataclass(frozen=True)
class Section:
    """A section of the output."""

    title: str
    run: Callable[[Bench], None]
    seconds: float
    """Approximate duration on a GPU."""


SECTIONS = [
    Section("Device", show_device, 0),
    Section("Same bits", check_bits, 20),
    Section("One trial", measure_single, 10),
    Section("Plain scripts", measure_plain, 15),
    Section("Accuracy", measure_accuracy, 20),
    Section("The study, estimated", estimate_study, 15),
    Section("Several trials in processes", measure_processes, 60),
    Section("Several trials in threads", measure_threads, 20),
    Section("The study, run", run_study, 60),
    Section("Kernels", show_kernels, 10),
    Section("Several trials as one network", measure_batched, 20),
]


def main() -> None:
    """Run all sections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--minutes", type=float, default=7, help="skip sections that would end later")
    parser.add_argument("--images", type=int, default=None, help="number of images per split")
    parser.add_argument("--start", type=int, default=0, help="number of the first section to run")
    parser.add_argument("--no-graphs", action="store_true", help="do not use CUDA graphs")
    options = parser.parse_args()

    ends = time.monotonic() + 60 * options.minutes
    # If the benchmark hangs, show where.
    faulthandler.dump_traceback_later(60 * options.minutes + 60, exit=True)
    device = torch.device(options.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    graphs = device.type == "cuda" and not options.no_graphs
    bench = Bench(device, load_data(device, options.images), options.images, ends, graphs)
    for place, section in enumerate(SECTIONS[options.start :], start=options.start):
        say(f"\n## {section.title}\n")
        if bench.seconds_left < section.seconds:
            say(f"Skipped: {bench.seconds_left:.0f} s left, needs about {section.seconds:.0f}.")
            continue
        start = time.perf_counter()
        try:
            section.run(bench)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            again = ["--device", options.device, "--minutes", str(bench.seconds_left / 60)]
            again += ["--start", str(place + 1)]
            again += ["--images", str(options.images)] if options.images else []
            # The first section that uses graphs shows whether they work.
            again += ["--no-graphs"] if not bench.graphs or section.run is check_bits else []
            sys.stdout.flush()
            os.execv(sys.executable, [sys.executable, __file__, *again])
        say(f"\n({time.perf_counter() - start:.1f} s)")


if __name__ == "__main__":
    main()
