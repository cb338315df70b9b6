"""`kedro run` of this project: Kedro's command, with YAML in --params and an orderly end by Ctrl-C."""

import copy
import inspect
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click
from click.core import ParameterSource
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines
from kedro.runner import AbstractRunner, ParallelRunner
from kedro.utils import load_obj
from omegaconf import OmegaConf

from cnn_ablation.adapters.config_loader import NO_VALUE, missing_value
from cnn_ablation.adapters.interrupts import interruptible
from cnn_ablation.adapters.session import selectable
from cnn_ablation.adapters.terminal import print_while_possible
from cnn_ablation.errors import one_line

logger = logging.getLogger(__name__)


class Params(click.ParamType):  # type: ignore[type-arg]  # It takes arguments since click 8.4.
    """Parameters from `group.key=value,…`, nested, or from the mapping of a `--config` file.

    Values are YAML. A comma separates parameters if the value before it is complete, so that
    `seeds=[0,1],title='A, B'` gives two. Kedro's own option splits at every comma.
    """

    name = "params"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The parameters as nested dictionaries. A mapping is returned unchanged."""
        if not isinstance(value, str):
            if not isinstance(value, Mapping):
                self.fail(f"{value!r} is not a mapping of names to values", param, ctx)
            return self._without_missing(value, param, ctx)
        try:
            # If the terminal's encoding is not UTF-8, Python passes the bytes of other characters on.
            value = os.fsencode(value).decode("utf-8")
        except UnicodeError:
            self.fail("is not UTF-8; allowed: YAML in UTF-8", param, ctx)
        items, unfinished, reason = [], "", ""
        for piece in value.split(","):
            item, unfinished = unfinished + piece, ""
            key, separator, text = (part.strip() for part in item.partition("="))
            if fault := _fault(key, separator, text):
                self.fail(fault, param, ctx)
            try:
                OmegaConf.from_dotlist([f"{key}={text}"])
            except Exception as error:  # YAML's constructors raise errors of any type.
                unfinished = f"{item},"  # The value may continue after the comma.
                reason = getattr(error, "problem", None) or one_line(error)
            else:
                items.append(f"{key}={text}")
        if unfinished:
            self.fail(f"{unfinished[:-1].strip()!r} does not end as YAML: {reason}", param, ctx)
        keys = [item.partition("=")[0] for item in items]
        if repeated := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
            self.fail(f"{', '.join(repeated)} is given more than once; allowed: one value", param, ctx)
        values: Any = OmegaConf.to_container(OmegaConf.from_dotlist(items))
        try:
            json.dumps(values)
        except TypeError as error:
            self.fail(f"{error}; allowed: numbers, texts, true, false, null, lists of them", param, ctx)
        return self._without_missing(values, param, ctx)

    def _without_missing(
        self, values: Mapping[str, Any], param: click.Parameter | None, ctx: click.Context | None
    ) -> Mapping[str, Any]:
        if key := missing_value(values):
            self.fail(f"{key}: {NO_VALUE}", param, ctx)
        return values


class Text(click.ParamType):  # type: ignore[type-arg]  # It takes arguments since click 8.4.
    """Text from the command line or from a `--config` file, where it can also be a list of names.

    Args:
        several: Whether Kedro splits the text at commas, so that a list is allowed.
    """

    name = "text"

    def __init__(self, *, several: bool) -> None:
        self.several = several

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, or the names of a list with commas between them."""
        listed = self.several and isinstance(value, list)
        items: list[Any] = value if listed else [value]
        if not all(isinstance(item, str) for item in items):
            self.fail(f"{value!r} is not text{' or a list of texts' * self.several}", param, ctx)
        return ",".join(items)


def _fault(key: str, separator: str, text: str) -> str | None:
    """The reason why this is not a parameter, or None. The value's YAML is not checked here."""
    if not separator:
        if not key:
            return "a parameter is empty; write key=value pairs, such as seeds=[0,1]"
        return (
            f"{key!r} is not a key=value pair, such as seeds=[0,1]; quote a value that contains a comma"
        )
    if {"[", "]"} & set(key):
        return f"{f'{key}={text}'!r}: the key has a bracket; allowed: names, with dots between them"
    if not all(part.strip() for part in key.split(".")):
        return f"{f'{key}={text}'!r}: the key, or a part of it between dots, is empty"
    return None if text else f"{f'{key}='!r}: the value is missing; write null for none"


@click.pass_context
def run_until_interrupted(context: click.Context, /, **options: Any) -> Any:
    """Run pipelines as Kedro does. After Ctrl-C, TERM or HUP, print how to continue.

    The run goes on if nobody can read what it prints.
    """
    _check_runner(options["runner"], options["runner_params"])
    if options["is_async"] or options["runner_params"].get("is_async"):
        raise click.UsageError("--async: not supported, because nodes save each trial when it ends")
    # Figures are files. Matplotlib cannot even be imported if its variable names no backend.
    os.environ["MPLBACKEND"] = "agg"
    with print_while_possible(), interruptible():
        # The first line on the screen: imports and checks take some seconds.
        logger.info("Checking parameters, catalog and tracking")
        return context.invoke(kedro_run, **options)


def _check_runner(name: str | None, arguments: dict[str, Any]) -> None:
    reason = None
    try:
        runner = load_obj(name or "SequentialRunner", "kedro.runner")
        if not issubclass(runner, AbstractRunner):
            reason = "is not the class of a runner"
        elif issubclass(runner, ParallelRunner):
            reason = "cannot run the pipelines, which train in parallel by themselves"
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        reason = f"is not the class of a runner ({error})"
    if reason is not None:
        raise click.BadParameter(
            f"{name!r} {reason}; allowed: SequentialRunner, ThreadRunner, or the dotted name of a class",
            param_hint="--runner",
        )
    workers = arguments.get("max_workers")
    takes_workers = "max_workers" in inspect.signature(runner).parameters
    if takes_workers and not (workers is None or (type(workers) is int and workers > 0)):
        raise click.BadParameter(
            f"max_workers: {workers!r} is no number of workers; allowed: 1 or more, or null",
            param_hint="--runner-params",
        )
    try:
        runner(**arguments)
    except (TypeError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="--runner-params") from None


def _read_config(
    read: Callable[..., Any], context: click.Context, option: click.Parameter, value: Any
) -> Any:
    """Read a `--config` file by Kedro's callback, and report a file that it cannot read in a line."""
    try:
        return read(context, option, value)
    except click.ClickException:
        raise
    except Exception as error:
        # Kedro takes the file's content for what it should be.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise click.BadParameter(
            f"{value}: {reason}; allowed: YAML with the options of the run, such as "
            "{run: {pipelines: [dropout]}}",
            param_hint="--config",
        ) from None


def _unchanged(_: click.Context, __: click.Parameter, value: Any) -> Any:
    return value


def _refuse_empty(
    read: Callable[..., Any], context: click.Context, option: click.Parameter, value: Any
) -> Any:
    """Read an option by Kedro's callback, and refuse one that is given without a value.

    A variable of the shell that is not set gives one. Kedro ignores it, and would run the whole study.
    """
    result = read(context, option, value)
    given = context.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT
    if given and isinstance(value, str) and not result:
        names = selectable(pipelines) if option.name in ("pipeline", "pipelines") else []
        allowed = ", ".join(names) or "a value, or a command without the option"
        raise click.UsageError(f"{option.opts[0]}: is empty; allowed: {allowed}")
    return result


def _replaced(option: click.Parameter) -> click.Parameter:
    """An option of Kedro's command, or this project's in its place."""
    if option.name == "params":
        return click.Option(
            ["--params"],
            type=Params(),
            help="Parameters for this run only, as YAML: seeds=[0,1],baseline.training.epochs=2. "
            "Quote values that contain a comma.",
        )
    option = copy.copy(option)
    read = option.callback or _unchanged
    if option.type is click.STRING:
        # Of Kedro's options, those that take several names are empty by default.
        option.type = Text(several=option.default == "")
    if option.name == "config":
        read = partial(_read_config, read)
    option.callback = partial(_refuse_empty, read)
    return option


run = click.Command(
    "run",
    callback=run_until_interrupted,
    params=[_replaced(option) for option in kedro_run.params],
    help=kedro_run.help,
)
