"""Commands of the project: Kedro's own, with lists as values of `kedro run --params`."""

import copy
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from omegaconf import OmegaConf


@click.group(name="cnn-ablation")
def cli() -> None:
    """Commands of the project."""


def split_outside_brackets(text: str) -> list[str]:
    """Parts between commas, but for commas inside square brackets: `a=[0,1],b=2` has two."""
    parts, depth = [""], 0
    for character in text:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def parse_params(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Parameters as a nested dictionary, from `group.key=value,…` or a `--config` file's mapping."""
    if not isinstance(value, str):
        return value
    items = split_outside_brackets(value)
    for item in items:
        if not item.partition("=")[0].strip() or "=" not in item:
            context.fail(f"--params: {item!r} is no key=value pair, such as seeds=[0,1]")
    return OmegaConf.to_container(OmegaConf.from_dotlist(items))


# Kedro's own option splits at every comma, so that no list could be given.
run = copy.copy(kedro_run)
run.params = [copy.copy(option) for option in kedro_run.params]
for _option in run.params:
    if _option.name == "params":
        _option.callback = parse_params
cli.add_command(run)
