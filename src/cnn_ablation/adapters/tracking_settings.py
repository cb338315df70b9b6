"""Values of mlflow.yml that kedro-mlflow accepts, but MLflow refuses late or in a traceback."""

import re
from collections.abc import Mapping
from typing import Any

from kedro.utils import load_obj

from cnn_ablation.adapters.conf_files import ConfFiles
from cnn_ablation.errors import InputError, one_line
from cnn_ablation.workarounds import set_variables

EXPERIMENT = ("tracking", "experiment")
"""Steps of the key in mlflow.yml that describes the experiment."""

ADDRESSES = ("mlflow_tracking_uri", "mlflow_registry_uri")
"""Keys of `server` that are addresses."""

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")

_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)

_TYPES = {"int": "an integer", "float": "a number", "bool": "true or false"}
"""Allowed values of an environment variable, by the name of its type."""


def check_addresses(conf_files: ConfFiles, server: Mapping[str, Any]) -> None:
    """Reject addresses with control characters, with which MLflow would try for minutes.

    Raises:
        InputError: There is such a character. The message is without the address, which may be secret.
    """
    for key in ADDRESSES:
        if CONTROL_CHARACTER.search(server.get(key, "")):
            reason = "has a control character, such as a line break; allowed: an address without them"
            raise conf_files.invalid(("server", key), reason, "mlflow")


def check_variables(conf_files: ConfFiles, group: str, variables: Mapping[Any, str]) -> None:
    """Check that a group of credentials.yml can be set as environment variables.

    Raises:
        InputError: A name or a value cannot be used. The message is without the value.
    """
    for name, value in variables.items():
        steps = (group, str(name))
        if not (isinstance(name, str) and _VARIABLE.fullmatch(name)):
            reason = f"{name!r} is not a name of a variable; allowed: letters, _ and, later, digits"
            raise conf_files.invalid(steps, reason, "credentials")
        if "\0" in value:
            reason = "the value has the character NUL; allowed: a text without it"
            raise conf_files.invalid(steps, reason, "credentials")


def check_environment() -> None:
    """Check the types of the environment variables that MLflow reads.

    Raises:
        InputError: MLflow cannot read one. The message is without the value, which may be secret.
    """
    from mlflow import environment_variables

    for variable in set_variables(environment_variables):
        try:
            variable.get()
        except ValueError:
            kind = getattr(variable.type, "__name__", "")
            raise InputError(
                f"{variable.name}: the value of this environment variable cannot be used; allowed: "
                f"{_TYPES.get(kind, 'what the documentation of MLflow says')}, or unset it"
            ) from None


def check_provider(conf_files: ConfFiles, name: str) -> None:
    """Check that the class that adds headers to MLflow's requests can be loaded.

    Raises:
        InputError: It cannot, or it is something else.
    """
    from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider

    try:
        provider = load_obj(name)
    except Exception as error:  # The user's module can raise any error.
        problem = f"cannot be loaded ({type(error).__name__}: {one_line(error)})"
    else:
        if isinstance(provider, type) and issubclass(provider, RequestHeaderProvider):
            return
        problem = "is not a RequestHeaderProvider"
    raise conf_files.invalid(
        ("server", "request_header_provider", "type"),
        f"{name!r} {problem}; allowed: a subclass of mlflow.tracking.request_header."
        "abstract_request_header_provider.RequestHeaderProvider, such as my_package.MyProvider",
        "mlflow",
    )


def check_experiment(conf_files: ConfFiles, experiment: Mapping[str, Any]) -> None:
    """Check the name and the tags of the experiment.

    Raises:
        InputError: MLflow cannot store one of them.
    """
    _check_name(conf_files, experiment["name"])
    for name, value in experiment.get("create_experiment_kwargs", {}).get("tags", {}).items():
        steps = (*EXPERIMENT, "create_experiment_kwargs", "tags", str(name))
        if not isinstance(name, str):
            reason = f"the name {name!r} is not a text; allowed: '{name}'"
            raise conf_files.invalid(steps, reason, "mlflow")
        if not isinstance(value, str):
            reason = f"{value!r} is not a text; allowed: a text, in quotation marks if needed"
            raise conf_files.invalid(steps, reason, "mlflow")


def _check_name(conf_files: ConfFiles, name: str) -> None:
    from mlflow.utils.validation import MAX_EXPERIMENT_NAME_LENGTH as LONGEST

    steps = (*EXPERIMENT, "name")
    if not name.strip():
        reason = "is empty; allowed: a name, such as fashion_mnist_cnn_tuning"
        raise conf_files.invalid(steps, reason, "mlflow")
    if len(name) > LONGEST:
        reason = f"has {len(name)} characters; allowed: at most {LONGEST}"
        raise conf_files.invalid(steps, reason, "mlflow")
