"""The engine: equal bits on any workers, independent trials, no lost results."""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numba
import psutil
import pytest
import torch
from distributed import Security, get_worker

from cnn_ablation.data import fashion_mnist
from cnn_ablation.data.splits import Arrays, split_images, summarize_splits
from cnn_ablation.errors import ClusterError, StoreError
from cnn_ablation.execution.cluster import connect
from cnn_ablation.execution.engine import Engine
from cnn_ablation.execution.identity import identify
from cnn_ablation.execution.outcomes import Outcome, describe_result
from cnn_ablation.execution.progress import StudyProgress
from cnn_ablation.execution.store import StoredTrial, TrialStore
from cnn_ablation.execution.worker import TrialData, train_on_worker
from cnn_ablation.parts.architectures import ConvNet
from cnn_ablation.study.configuration import TrainingParameters
from cnn_ablation.study.parameters import EvaluationParameters, ExecutionParameters
from cnn_ablation.study.trials import Condition, Trial
from cnn_ablation.training.results import TrainedTrial
from tests.conftest import ALL_IMAGES, EVALUATION, JOURNAL_MODEL, QUICK_TRAINING, ROOT, needs_cuda
from tests.execution.test_store import TRAINED
from tests.reliability.harness import is_worker

LOCAL: dict[str, Any] = {
    "device": "cpu",
    "precision": "fp32",
    "layers": "fast",
    "workers": 2,
    "scheduler": None,
    "tls": None,
}


def execution(**changes: Any) -> ExecutionParameters:
    return ExecutionParameters.model_validate({**LOCAL, **changes})


def make_trial(
    seed: int = 0, model: dict[str, Any] | None = None, training: dict[str, Any] | None = None
) -> Trial:
    condition = Condition(
        name="c",
        levels={},
        model=ConvNet.model_validate(JOURNAL_MODEL.model_dump() | (model or {})),
        training=TrainingParameters.model_validate(QUICK_TRAINING.model_dump() | (training or {})),
    )
    return Trial(condition=condition, seed=seed)


@pytest.fixture(scope="module")
def data(raw_images: Arrays) -> TrialData:
    arrays = split_images(raw_images, ALL_IMAGES)
    return TrialData(arrays, summarize_splits(arrays, list(fashion_mnist.CLASS_NAMES)))


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(StudyProgress())
    yield engine
    engine.close()


def weights_hash(outcome: Outcome) -> str:
    assert outcome.stored is not None, outcome.error
    digest = hashlib.sha256()
    for name, value in sorted(outcome.stored.weights().items()):
        digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()


def hashes(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.key: weights_hash(outcome) for outcome in outcomes}


TRIALS = [make_trial(0), make_trial(1), make_trial(0, {"use_batch_norm": False})]


def test_bits_depend_neither_on_workers_nor_on_order_of_trials(tmp_path: Path, data: TrialData) -> None:
    found = []
    for name, workers, trials in [
        ("two", 2, TRIALS),
        ("one", 1, TRIALS[::-1]),
        ("alone", 1, TRIALS[1:2]),
    ]:
        engine = Engine(StudyProgress())
        store = TrialStore(tmp_path / name)
        found.append(
            hashes(list(engine.train(trials, data, store, execution(workers=workers), EVALUATION)))
        )
        engine.close()
    two, one, alone = found
    assert two == one
    assert len(set(two.values())) == 3
    assert alone.items() <= two.items()


def test_stored_trials_are_reused(
    tmp_path: Path, data: TrialData, engine: Engine, messages: list[str]
) -> None:
    store = TrialStore(tmp_path)
    first = list(engine.train(TRIALS[:2], data, store, execution(), EVALUATION))
    assert [outcome.reused for outcome in first] == [False, False]
    assert messages == [
        "Trials to train: 2, to reuse: 0",
        "Starting workers and sending them the data",
        "Compiling loops that are not in the cache, then training 2 at once",
    ]
    again = list(engine.train(TRIALS, data, store, execution(), EVALUATION))
    assert sorted(outcome.reused for outcome in again) == [False, True, True]
    assert "Trials to train: 1, to reuse: 2" in messages
    engine.close()
    all_there = list(engine.train(TRIALS, data, store, execution(), EVALUATION))
    assert all(outcome.reused for outcome in all_there)
    assert engine._client is None, "no cluster is started where there is nothing to train"


def test_trials_are_reused_only_in_the_same_precision_and_with_the_same_moments(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    store = TrialStore(tmp_path)
    (fp32,) = engine.train(TRIALS[:1], data, store, execution(), EVALUATION)
    (bf16,) = engine.train(TRIALS[:1], data, store, execution(precision="bf16"), EVALUATION)
    assert not bf16.reused
    assert weights_hash(fp32) != weights_hash(bf16)
    assert bf16.stored is not None
    assert bf16.stored.history[-1]["train_loss"] < bf16.stored.history[0]["train_loss"]
    (more,) = engine.train(TRIALS[:1], data, store, execution(), EvaluationParameters(moments=3))
    assert not more.reused
    assert more.key != fp32.key
    assert weights_hash(more) == weights_hash(fp32)
    assert more.stored is not None
    assert more.stored.validation_hits().shape == (3, 200)


@needs_cuda
def test_each_gpu_has_a_worker_and_all_give_the_same_bits(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    on_gpus = execution(device="cuda", workers=None)
    trials = [make_trial(seed) for seed in range(max(2, torch.cuda.device_count()))]
    together = hashes(
        list(engine.train(trials, data, TrialStore(tmp_path / "together"), on_gpus, EVALUATION))
    )
    assert engine._client is not None
    assert len(engine._client.nthreads()) == min(len(trials), torch.cuda.device_count())
    engine.close()
    for trial in trials:
        (alone,) = engine.train([trial], data, TrialStore(tmp_path / "alone"), on_gpus, EVALUATION)
        assert together[alone.key] == weights_hash(alone)


def test_planned_trials_are_trained_ahead_and_do_not_count_as_reused(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    store = TrialStore(tmp_path)
    engine.planned = TRIALS
    (first,) = engine.train(TRIALS[:1], data, store, execution(workers=1), EVALUATION)
    assert not first.reused
    rest = list(engine.train(TRIALS[1:], data, store, execution(workers=1), EVALUATION))
    assert [outcome.reused for outcome in rest] == [False, False]
    (again,) = engine.train(TRIALS[1:2], data, store, execution(workers=1), EVALUATION)
    assert again.reused


def test_trials_that_are_trained_ahead_are_logged_when_they_end(
    tmp_path: Path, data: TrialData, messages: list[str]
) -> None:
    engine = Engine(StudyProgress(), partial(end_last, tmp_path))
    engine.planned = [make_trial(seed) for seed in range(3)]
    (outcome,) = engine.train(
        engine.planned[:1], data, TrialStore(tmp_path), execution(workers=2), EVALUATION
    )
    engine.close()
    assert outcome.stored is not None
    ahead = [line for line in messages if line.startswith("Trained ahead")]
    assert [line.split(" (")[0] for line in ahead] == [
        f"Trained ahead  c seed {seed}: {describe_result(outcome.stored)}" for seed in (1, 2)
    ]


def test_trials_that_are_trained_ahead_are_stored_while_nobody_waits(
    tmp_path: Path, data: TrialData
) -> None:
    engine = Engine(StudyProgress(), partial(end_first, tmp_path))
    engine.planned = [make_trial(seed) for seed in range(3)]
    list(engine.train(engine.planned[:1], data, TrialStore(tmp_path), execution(workers=2), EVALUATION))
    ends = time.monotonic() + 60
    while len(list(TrialStore(tmp_path))) < 3:
        assert time.monotonic() < ends
        time.sleep(0.05)
    engine.close()


def test_an_open_ended_study_has_all_workers_from_the_beginning(tmp_path: Path, data: TrialData) -> None:
    engine = Engine(StudyProgress(), count_tasks)
    engine.open_ended = True
    list(engine.train([make_trial(0)], data, TrialStore(tmp_path), execution(workers=2), EVALUATION))
    assert engine._client is not None
    assert len(engine._client.nthreads()) == 2
    engine.close()


def end_first(store: Path, _key: str, trial: Trial, *_: object) -> TrainedTrial:
    """Return a result without training, that of seed 0 before all others."""
    while trial.seed > 0 and not list(TrialStore(store)):
        time.sleep(0.01)
    return TRAINED


def end_last(store: Path, _key: str, trial: Trial, *_: object) -> TrainedTrial:
    """Return a result without training, with seed 0 after two others are in the store."""
    while trial.seed == 0 and len(list(TrialStore(store))) < 2:
        time.sleep(0.01)
    return TRAINED


def test_equal_trials_share_a_result_under_different_names(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    named = [
        Trial(condition=TRIALS[0].condition.model_copy(update={"name": name}), seed=0) for name in "ab"
    ]
    engine.planned = [TRIALS[0]]
    outcomes = list(engine.train(named, data, TrialStore(tmp_path), execution(), EVALUATION))
    assert sorted(outcome.trial.condition.name for outcome in outcomes) == ["a", "b"]
    assert len({outcome.key for outcome in outcomes}) == 1


def test_a_worker_loads_no_unneeded_library(tmp_path: Path, data: TrialData, engine: Engine) -> None:
    (outcome,) = engine.train(TRIALS[:1], data, TrialStore(tmp_path), execution(workers=1), EVALUATION)
    assert outcome.stored is not None, outcome.error
    assert engine._client is not None
    (loaded,) = engine._client.run(lambda: set(sys.modules)).values()
    assert "torch.optim" in loaded
    # Each of these takes tens of MiB and adds seconds to the start of a worker.
    assert not loaded & {
        "torch._dynamo",
        "sympy",
        "torchvision",
        "kedro",
        "mlflow",
        "pandas",
        "matplotlib",
    }


def test_a_diverged_or_failed_trial_does_not_affect_the_others(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    diverging = make_trial(training={"optimizer": {"kind": "sgd", "learning_rate": 1e30}})
    failing = make_trial(model={"fc_units": [10**12]})  # more memory than there is
    outcomes = list(
        engine.train(
            [diverging, failing, TRIALS[0]], data, TrialStore(tmp_path), execution(), EVALUATION
        )
    )
    by_trial = {str(outcome.trial): outcome for outcome in outcomes}
    diverged = by_trial[str(diverging)].stored
    assert diverged is not None
    assert diverged.status == "diverged"
    assert len(diverged.history) == 1
    assert math.isnan(diverged.metrics["final_val_accuracy"])
    failed = by_trial[str(failing)]
    assert failed.stored is None
    assert "memory" in failed.error
    finished = by_trial[str(TRIALS[0])].stored
    assert finished is not None
    assert finished.status == "finished"


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    children = process.children(recursive=True)
    return [child for child in children if is_worker(child.pid)]


def test_the_trial_of_a_killed_worker_is_trained_elsewhere(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    trials = [make_trial(seed, training={"epochs": 15}) for seed in range(3)]
    killed = []

    def kill_one_in_the_middle() -> None:
        while not engine._progress._running:
            time.sleep(0.02)
        victim = workers_of(psutil.Process())[0]
        victim.kill()
        killed.append(victim.pid)

    killer = threading.Thread(target=kill_one_in_the_middle)
    killer.start()
    outcomes = list(engine.train(trials, data, TrialStore(tmp_path / "killed"), execution(), EVALUATION))
    killer.join()
    assert killed
    assert not any(psutil.pid_exists(pid) for pid in killed)
    undisturbed = Engine(StudyProgress())
    calm = list(undisturbed.train(trials, data, TrialStore(tmp_path / "calm"), execution(), EVALUATION))
    undisturbed.close()
    assert hashes(outcomes) == hashes(calm)


def test_nothing_listens_beyond_loopback(tmp_path: Path, data: TrialData, engine: Engine) -> None:
    outcomes = engine.train(TRIALS, data, TrialStore(tmp_path), execution(), EVALUATION)
    next(outcomes)
    this = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in [this, *this.children(recursive=True)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}
    list(outcomes)


@contextmanager
def cluster(folder: Path, *options: str) -> Iterator[str]:
    """Address of a scheduler with two workers, each in a separate process, as on a cluster."""
    source = str(ROOT / "src")
    environment = os.environ | {"PYTHONPATH": source, "DASK_LOGGING__DISTRIBUTED": "critical"}
    file = folder / "scheduler.json"
    shared = ["--scheduler-file", str(file), "--no-dashboard", *options]
    commands = [
        ["scheduler", "--host", "127.0.0.1", "--port", "0", *shared],
        *[["worker", "--nthreads", "1", "--name", str(n), *shared] for n in range(2)],
    ]
    processes = []
    for command in commands:
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "dask", *command],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        while not file.exists():
            time.sleep(0.1)
    try:
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_trains_on_an_existing_cluster(tmp_path: Path, data: TrialData, engine: Engine) -> None:
    with cluster(tmp_path) as scheduler:
        settings = execution(scheduler=scheduler, workers=None)
        remote = list(engine.train(TRIALS, data, TrialStore(tmp_path / "remote"), settings, EVALUATION))
        engine.close()
    local = list(engine.train(TRIALS, data, TrialStore(tmp_path / "local"), execution(), EVALUATION))
    assert hashes(remote) == hashes(local)


def test_trains_on_a_cluster_that_requires_certificates(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    made = Security.temporary()
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(made.tls_client_cert)
    key.write_text(made.tls_client_key)
    tls = {"ca_file": str(certificate), "cert": str(certificate), "key": str(key)}
    options = [f"--tls-{name.replace('_', '-')}={file}" for name, file in tls.items()]
    with cluster(tmp_path, *options, "--protocol", "tls") as scheduler:
        assert scheduler.startswith("tls://127.0.0.1:")
        settings = execution(scheduler=scheduler, workers=None, tls=tls)
        outcomes = list(
            engine.train(TRIALS[:1], data, TrialStore(tmp_path / "store"), settings, EVALUATION)
        )
        assert [outcome.error for outcome in outcomes] == [""]
        engine.close()
        stranger = execution(scheduler=scheduler.replace("tls:", "tcp:"), workers=None)
        with pytest.raises(ClusterError):
            connect(stranger, "cpu", 1)
        unencrypted = settings.model_copy(update={"scheduler": stranger.scheduler})
        with pytest.raises(ClusterError, match=r"execution\.scheduler: tcp://.* begins with tls://"):
            connect(unencrypted, "cpu", 1)


def test_dask_and_interrupts_do_not_disturb_the_training_thread() -> None:
    client = connect(execution(), "cpu", trials=1)
    assert client.cluster is not None
    with client.cluster, client:
        (settings,) = client.run(worker_settings).values()
    assert settings == {"profiles": False, "tick": "1s", "interrupt": signal.SIG_IGN}


def worker_settings(dask_worker: Any) -> dict[str, Any]:
    return {
        "profiles": "profile" in dask_worker.periodic_callbacks,
        "tick": dask.config.get("distributed.admin.tick.interval"),
        # Otherwise, Ctrl-C could end the worker with a traceback before the run stops it.
        "interrupt": signal.getsignal(signal.SIGINT),
    }


def test_the_longest_trials_start_first(tmp_path: Path, data: TrialData, engine: Engine) -> None:
    long, short = make_trial(training={"epochs": 4}), make_trial(training={"epochs": 1})
    outcomes = engine.train([short, long], data, TrialStore(tmp_path), execution(workers=1), EVALUATION)
    assert [outcome.trial for outcome in outcomes] == [long, short]


def test_trials_wait_until_a_worker_is_free(tmp_path: Path, data: TrialData) -> None:
    engine = Engine(StudyProgress(), count_tasks)
    trials = [make_trial(seed) for seed in range(12)]
    outcomes = list(engine.train(trials, data, TrialStore(tmp_path), execution(), EVALUATION))
    engine.close()
    # If all were assigned at once, a busy worker could hold trials while another one is idle.
    counts = [outcome.stored.history[0]["tasks"] for outcome in outcomes if outcome.stored]
    assert counts == [1] * 12


class FullStore(TrialStore):
    """A store whose disk becomes full after the first trial."""

    def put(self, key: str, identity: Mapping[str, Any], trained: TrainedTrial) -> StoredTrial:
        if list(self):
            raise StoreError("No space left on device")
        return super().put(key, identity, trained)


def test_a_trial_that_cannot_be_stored_fails_alone(tmp_path: Path, data: TrialData) -> None:
    engine = Engine(StudyProgress(), count_tasks)
    trials = [make_trial(seed) for seed in range(2)]
    outcomes = list(engine.train(trials, data, FullStore(tmp_path), execution(workers=1), EVALUATION))
    engine.close()
    assert [outcome.error for outcome in outcomes] == ["", "No space left on device"]
    assert [outcome.stored is None for outcome in outcomes] == [False, True]


class BrokenStore(TrialStore):
    """A store with a fault in its code."""

    def put(self, key: str, identity: Mapping[str, Any], trained: TrainedTrial) -> StoredTrial:
        raise ZeroDivisionError("a fault")


def test_an_unexpected_error_of_the_store_ends_the_study(tmp_path: Path, data: TrialData) -> None:
    engine = Engine(StudyProgress(), count_tasks)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        list(engine.train([make_trial()], data, BrokenStore(tmp_path), execution(), EVALUATION))
    engine.close()


def test_nothing_is_trained_if_the_store_cannot_be_written(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/trials"):
        list(engine.train(TRIALS, data, TrialStore(tmp_path / "file/trials"), execution(), EVALUATION))
    assert engine._client is None


def count_tasks(*_: object) -> TrainedTrial:
    """Return the number of unfinished tasks of this worker, without training."""
    states = Counter(task.state for task in get_worker().state.tasks.values())
    time.sleep(0.1)
    row = TRAINED.measurements.history[0] | {"tasks": states["executing"] + states["ready"]}
    return replace(TRAINED, measurements=replace(TRAINED.measurements, history=[row]))


@pytest.mark.parametrize(
    ("group", "name", "difference"),
    [
        ("versions", "loop", r"loop \(\d+, not other\)"),
        ("libraries", "numpy", r"numpy \(.*, not other\)"),
    ],
)
def test_a_worker_with_other_versions_refuses(group: str, name: str, difference: str) -> None:
    identity = identify(TRIALS[0], "data", 1, torch.device("cpu"), "fp32", "fast")
    identity[group][name] = "other"
    with pytest.raises(RuntimeError, match=f"differs .* in its versions of {difference}"):
        train_on_worker("key", TRIALS[0], identity, "data")


def test_a_worker_that_cannot_compile_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    identity = identify(TRIALS[0], "data", 1, torch.device("cpu"), "fp32", "fast")
    with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT"):
        train_on_worker("key", TRIALS[0], identity, "data")


@pytest.mark.parametrize("scheduler", [None, "tcp://127.0.0.1:1"])
@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [("tcp", "5s", "at least 11 seconds"), ("tcp", "soon", "11"), ("connect", -1, "at least 0 seconds")],
)
def test_a_timeout_that_dask_cannot_use_is_a_clear_error(
    scheduler: str | None, setting: str, value: object, allowed: str
) -> None:
    with (
        dask.config.set({f"distributed.comm.timeouts.{setting}": value}),
        pytest.raises(ClusterError, match=allowed) as caught,
    ):
        connect(execution(scheduler=scheduler, workers=None), "cpu", 1)
    assert f"DASK_DISTRIBUTED__COMM__TIMEOUTS__{setting.upper()}" in str(caught.value)


def test_an_unreachable_scheduler_is_a_clear_error() -> None:
    nowhere = execution(scheduler="tcp://127.0.0.1:9", workers=None)
    with pytest.raises(ClusterError, match=r"no workers at tcp://127\.0\.0\.1:9.*Start the scheduler"):
        connect(nowhere, "cpu", 1)


def test_many_trials_do_not_increase_a_workers_memory(
    tmp_path: Path, data: TrialData, engine: Engine
) -> None:
    def resident() -> float:
        rss: int = sum(worker.memory_info().rss for worker in workers_of(psutil.Process()))
        return rss / 2**20

    store = TrialStore(tmp_path)
    quick = {"epochs": 1, "batch_size": 200}
    trials = [make_trial(seed, training=quick) for seed in range(100)]
    list(engine.train(trials[:30], data, store, execution(workers=1), EVALUATION))
    before = resident()
    list(engine.train(trials[30:], data, store, execution(workers=1), EVALUATION))
    assert resident() < before + 60  # MiB; a trial's weights alone are 1.6


@pytest.mark.full_data
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from Linux's /proc")
def test_a_worker_stays_within_its_memory_budget(
    tmp_path: Path, full_data: Path, engine: Engine
) -> None:
    arrays = split_images(fashion_mnist.load(full_data), ALL_IMAGES)
    data = TrialData(arrays, summarize_splits(arrays, list(fashion_mnist.CLASS_NAMES)))
    (outcome,) = engine.train(
        [make_trial(training={"epochs": 1})],
        data,
        TrialStore(tmp_path),
        execution(workers=1),
        EVALUATION,
    )
    assert outcome.stored is not None, outcome.error
    assert engine._client is not None
    (peak,) = engine._client.run(peak_memory).values()
    assert peak < 1.2 * 2**30


def peak_memory() -> int:
    # ru_maxrss would include the memory of the parent process at the time of the fork.
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return 1024 * int(line.split()[1])
