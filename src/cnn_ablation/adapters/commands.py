"""Commands of the project: `kedro run` with lists in --params and an orderly Ctrl-C, `kedro trials`."""

import copy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import env_option
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from cnn_ablation.adapters.interrupts import interruptible

if TYPE_CHECKING:
    from cnn_ablation.execution.store import TrialStore


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
    """Parameters, nested, from `group.key=value,…` or from the mapping of a `--config` file."""
    if not isinstance(value, str):
        return value
    items = split_outside_brackets(value)
    for item in items:
        if not item.partition("=")[0].strip() or "=" not in item:
            context.fail(f"--params: {item!r} is no key=value pair, such as seeds=[0,1]")
    return OmegaConf.to_container(OmegaConf.from_dotlist(items))


def run_until_interrupted(**options: Any) -> Any:
    """Run as Kedro does. Ctrl-C and TERM end the run, with a word on how to go on."""
    with interruptible():
        return kedro_run.callback(**options)  # type: ignore[misc]


# Kedro's own option splits at every comma, so that no list could be given.
run = copy.copy(kedro_run)
run.callback = run_until_interrupted
run.params = [copy.copy(option) for option in kedro_run.params]
for _option in run.params:
    if _option.name == "params":
        _option.callback = parse_params
cli.add_command(run)


@cli.group()
def trials() -> None:
    """List, inspect and prune the store of trained trials."""


@trials.command("list")
@env_option
@click.pass_obj
def list_trials(metadata: ProjectMetadata, env: str | None) -> None:
    """List the trained trials: when, what, and how accurate; keys are cut short."""
    from cnn_ablation.execution.identity import flatten, is_current

    store = _store(metadata, env)
    table = Table("Key", "Trained", "Seed", "Differs from most in", "Val. accuracy (%)", "Code")
    entries = store.entries()
    settings = [
        {
            name: value
            for name, value in flatten(entry.identity)
            if name not in ("seed", "data", "code") and not name.startswith(("versions.", "libraries."))
        }
        for entry in entries
    ]
    commonest = {
        name: max(values, key=values.count)
        for name in dict.fromkeys(name for own in settings for name in own)
        for values in [[other.get(name) for other in settings]]
    }
    for entry, own in zip(entries, settings, strict=True):
        table.add_row(
            entry.key[:8],
            f"{datetime.fromisoformat(entry.manifest['trained_at']):%Y-%m-%d %H:%M}",
            str(entry.identity["seed"]),
            ", ".join(
                f"{name}={own.get(name, 'default')}"
                for name in commonest
                if own.get(name) != commonest[name]
            ),
            "diverged" if entry.status == "diverged" else f"{entry.metrics['final_val_accuracy']:.2f}",
            "current" if is_current(entry.identity) else "older",
        )
    console = Console()
    console.print(table)
    console.print(f"{len(entries)} trials in {store.root}", highlight=False)
    if leftovers := store.leftovers():
        console.print(f"{len(leftovers)} unfinished or damaged: `kedro trials prune` removes them")


@trials.command("show")
@click.argument("key")
@env_option
@click.pass_obj
def show_trial(metadata: ProjectMetadata, key: str, env: str | None) -> None:
    """Show one trial: its settings and its history. KEY may be cut short."""
    store = _store(metadata, env)
    matches = [name for name in store if name.startswith(key)]
    if len(matches) != 1:
        found = f"fits {len(matches)} trials" if matches else "is no trial's"
        raise click.ClickException(f"{key} {found}: `kedro trials list` names them")
    entry = store.get(matches[0])
    if entry is None:
        raise click.ClickException(f"{matches[0]} was damaged, and is set aside")
    console = Console()
    for name, value in entry.identity.items():
        console.print(f"{name}: {value}")
    table = Table(*entry.history[0])
    for row in entry.history:
        table.add_row(*(f"{value:.4g}" if value % 1 else f"{value:.0f}" for value in row.values()))
    console.print(table)
    console.print(f"{entry.status}, {entry.folder}", highlight=False)


@trials.command("prune")
@click.option("--older", is_flag=True, help="Also remove trials of older code: none will be reused.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@env_option
@click.pass_obj
def prune_trials(metadata: ProjectMetadata, older: bool, yes: bool, env: str | None) -> None:
    """Remove what was left unfinished or found damaged, and with --older what no run can reuse."""
    import shutil

    store = _store(metadata, env)
    leftovers = store.leftovers()
    outdated = []
    if older:
        from cnn_ablation.execution.identity import is_current

        outdated = [entry.key for entry in store.entries() if not is_current(entry.identity)]
    summary = f"{len(leftovers)} unfinished or damaged and {len(outdated)} older trials"
    if not leftovers and not outdated:
        click.echo("Nothing to remove.")
        return
    if not yes:
        click.confirm(f"Remove {summary} from {store.root}? A study that runs must be over", abort=True)
    for folder in leftovers:
        shutil.rmtree(folder, ignore_errors=True)
    for key in outdated:
        store.remove(key)
    click.echo(f"Removed {summary}.")


def _store(metadata: ProjectMetadata, env: str | None) -> "TrialStore":
    session = KedroSession.create(Path(metadata.project_path), env=env)
    store: TrialStore = session.load_context().catalog.load("trial_store")
    return store
