"""Nodes of training."""

from collections.abc import Iterator
from typing import Any

from cnn_ablation.parameters import DataParameters, ExecutionParameters, Trial
from cnn_ablation.results import TrialRun
from cnn_ablation.splits import Arrays
from cnn_ablation.store import TrialStore, trial_key


def train_trials(
    trials: list[Trial],
    splits: Arrays,
    data_summary: dict[str, Any],
    store: TrialStore,
    data: DataParameters,
    execution: ExecutionParameters,
) -> Iterator[TrialRun]:
    """Train what the store does not have yet; yield each trial as soon as it has a result."""
    import torch

    from cnn_ablation.progress import training_progress
    from cnn_ablation.training import TrainingData, code_version, resolve_device, train

    device = resolve_device(execution.device)
    images = TrainingData.from_arrays(splits, data_summary["mean"], data_summary["std"], device)
    # Sums are split among threads: their number shows in the last bits.
    version, threads = code_version(), torch.get_num_threads()
    with training_progress(trials) as progress:
        for trial in trials:
            identity = {
                **trial.settings(),
                "data": data_summary["fingerprint"],
                "device": device.type,
                "threads": threads,
                "code": version,
            }
            key = trial_key(identity)
            stored = store.get(key)
            reused = stored is not None
            if stored is None:
                trained = train(
                    trial.condition.model,
                    trial.condition.training,
                    trial.seed,
                    images,
                    len(data_summary["class_names"]),
                    on_epoch=progress.on_epoch(trial),
                )
                stored = store.put(key, identity, trained)
            progress.finish(trial, stored.metrics, reused)
            yield TrialRun(
                trial=trial,
                key=key,
                reused=reused,
                settings=trial.settings() | {f"data.{k}": v for k, v in data.model_dump().items()},
                history=stored.history,
                metrics=stored.metrics,
            )
