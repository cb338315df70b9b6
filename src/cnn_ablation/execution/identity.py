"""The identity of a trial: everything that determines its result.

A stored trial is reused if its identity is the same. The identity contains versions of the loop, of the
parts that the trial uses, and of the fast layers. It contains no hash of the code, which every reworded
comment would change. `tests/execution/test_versions.py` fails if code changes without its version.
"""

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
import torch
from pydantic import ValidationError

from cnn_ablation import kernels
from cnn_ablation.dotted_keys import flatten
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.trials import Trial
from cnn_ablation.training import loop


def identify(
    trial: Trial, data: str, moments: int, device: torch.device, precision: str, layers: str
) -> dict[str, Any]:
    """The identity of a trial, in types that JSON can hold.

    Args:
        trial: Its seed, and the settings that differ from the frozen defaults, are included.
        data: Fingerprint of the training and validation images.
        moments: Number of evaluations in the last epoch.
        device: Only its type is included.
        precision: fp32 or bf16.
        layers: fast or torch, as `training.devices.resolve_layers` returns it.
    """
    return {
        **trial.condition.identity(),
        "seed": trial.seed,
        "data": data,
        "moments": moments,
        "device": device.type,
        "precision": precision,
        "layers": layers,
        "versions": code_versions(trial.condition, layers),
        "libraries": library_versions(),
    }


def code_versions(configuration: Configuration, layers: str) -> dict[str, int]:
    """Versions of the code that a trial runs, by name.

    A part with version 1 is left out, like a setting with its default value. A new setting whose default
    is a part therefore does not change the identity of stored trials.
    """
    versions = {"loop": loop.VERSION}
    if layers == "fast":
        versions["kernels"] = kernels.VERSION
    return versions | {part.kind: part.version for part in configuration.parts() if part.version > 1}


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a result depends on."""
    return {
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def is_current(identity: Mapping[str, Any]) -> bool:
    """Whether a run with the installed code and libraries can reuse this trial."""
    try:
        configuration = Configuration.within(identity)
        versions = code_versions(configuration, identity["layers"])
        return bool(identity["versions"] == versions and identity["libraries"] == library_versions())
    except (KeyError, TypeError, ValidationError):
        return False  # Stored by a version of this package with other settings.


def settings_of(identity: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of an identity by dotted names, including the defaults that it leaves out.

    If a version of this package with other settings stored the trial, defaults are not added.
    """
    flat = dict(flatten(identity))
    try:
        configuration = Configuration.within(identity)
    except (KeyError, ValidationError):
        return flat
    held = ("model.", "training.")
    return configuration.settings() | {
        name: value for name, value in flat.items() if not name.startswith(held)
    }
