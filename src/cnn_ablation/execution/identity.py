"""The identity of a trial: all that decides its result, and nothing else.

A stored trial is reused where its identity is the same. So the identity holds no hash of the code, which
a reworded comment would change, but versions: of the loop, of the parts that the trial uses and of the
fast layers. `tests/execution/test_versions.py` asks for a new version where code changes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numba
import numpy as np
import torch
from pydantic import ValidationError

from cnn_ablation import kernels
from cnn_ablation.study.configuration import Configuration
from cnn_ablation.study.trials import Trial
from cnn_ablation.training import loop


def identify(
    trial: Trial, data: str, device: torch.device, precision: str, layers: str
) -> dict[str, Any]:
    """All that decides the result of a trial, as JSON can hold it.

    Args:
        trial: Its settings count where they differ from the frozen defaults, and its seed.
        data: Fingerprint of the images that it is trained and validated on.
        device: Its type counts.
        precision: fp32 or bf16.
        layers: fast or torch, as `training.devices.resolve_layers` gives it.
    """
    return {
        **trial.condition.identity(),
        "seed": trial.seed,
        "data": data,
        "device": device.type,
        "precision": precision,
        "layers": layers,
        "versions": code_versions(trial.condition, layers),
        "libraries": library_versions(),
    }


def code_versions(configuration: Configuration, layers: str) -> dict[str, int]:
    """Versions of the code that a trial runs, by name.

    A part of version 1 is left out, as a setting at its default is: a new setting whose default is a
    part leaves the identity of stored trials as it was.
    """
    versions = {"loop": loop.VERSION}
    if layers == "fast":
        versions["kernels"] = kernels.VERSION
    return versions | {part.kind: part.version for part in configuration.parts() if part.version > 1}


def library_versions() -> dict[str, str]:
    """Versions of the libraries that compute a result."""
    return {
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def is_current(identity: Mapping[str, Any]) -> bool:
    """Whether the code and libraries that are installed could train this trial again, bit for bit."""
    try:
        configuration = Configuration.model_validate(
            {"model": identity["model"], "training": identity["training"]}
        )
        versions = code_versions(configuration, identity["layers"])
        return bool(identity["versions"] == versions and identity["libraries"] == library_versions())
    except (KeyError, TypeError, ValidationError):
        return False  # Stored by another version of this package, which knew other settings.


def settings_of(identity: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of an identity by dotted names, with the defaults that it leaves out.

    Other versions of this package may have had other settings: then only those that the identity holds.
    """
    flat = dict(flatten(identity))
    try:
        configuration = Configuration.model_validate(
            {"model": identity["model"], "training": identity["training"]}
        )
    except (KeyError, ValidationError):
        return flat
    held = ("model.", "training.")
    return configuration.settings() | {
        name: value for name, value in flat.items() if not name.startswith(held)
    }


def flatten(identity: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of an identity by dotted names: `training.optimizer.kind` and so on."""
    for name, value in identity.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
