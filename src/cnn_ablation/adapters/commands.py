"""Commands of the project: its own `kedro run`, and `kedro trials`."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from rich.console import Console
from rich.table import Table

from cnn_ablation.adapters.run_command import run

if TYPE_CHECKING:
    from cnn_ablation.execution.store import TrialStore


@click.group(name="cnn-ablation")
def cli() -> None:
    """Commands of the project."""


cli.add_command(run)


@cli.group()
def trials() -> None:
    """List, inspect and prune the store of trained trials."""


@trials.command("list")
@env_option
@click.pass_obj
def list_trials(metadata: ProjectMetadata, env: str | None) -> None:
    """List the trained trials with their settings and accuracy. Keys are abbreviated.

    The accuracy is the mean over the moments of the last epoch.
    """
    from cnn_ablation.execution.identity import is_current, settings_of

    store = _store(metadata, env)
    table = Table("Key", "Trained", "Seed", "Differs from most in", "Mean val. accuracy (%)", "Code")
    entries = store.entries()
    settings = [
        {
            name: value
            for name, value in settings_of(entry.identity).items()
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
                f"{name}={own.get(name)}" for name in commonest if own.get(name) != commonest[name]
            ),
            "diverged" if entry.status == "diverged" else f"{entry.metrics['mean_val_accuracy']:.2f}",
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
    """Show the settings and the history of one trial. KEY may be abbreviated."""
    from cnn_ablation.execution.identity import settings_of

    store = _store(metadata, env)
    matches = [name for name in store if name.startswith(key)]
    if len(matches) != 1:
        found = f"{len(matches)} trials match" if matches else "no trial matches"
        raise click.ClickException(f"{found} {key!r}: `kedro trials list` shows all keys")
    entry = store.get(matches[0])
    if entry is None:
        raise click.ClickException(f"{matches[0]} is damaged and was set aside")
    console = Console()
    for name, value in settings_of(entry.identity).items():
        console.print(f"{name}: {value}")
    table = Table(*entry.history[0])
    for row in entry.history:
        table.add_row(*(f"{value:.4g}" if value % 1 else f"{value:.0f}" for value in row.values()))
    console.print(table)
    console.print(f"{entry.status}, {entry.folder}", highlight=False)


@trials.command("prune")
@click.option("--older", is_flag=True, help="Also remove trials of older code, which no run reuses.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@env_option
@click.pass_obj
def prune_trials(metadata: ProjectMetadata, older: bool, yes: bool, env: str | None) -> None:
    """Remove trials that are unfinished or damaged, and with --older those that no run can reuse."""
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
        click.confirm(f"Remove {summary} from {store.root}? Make sure that no study runs", abort=True)
    for folder in leftovers:
        shutil.rmtree(folder, ignore_errors=True)
    for key in outdated:
        store.remove(key)
    click.echo(f"Removed {summary}.")


def _store(metadata: ProjectMetadata, env: str | None) -> "TrialStore":
    session = KedroSession.create(Path(metadata.project_path), env=env)
    store: TrialStore = session.load_context().catalog.load("trial_store")
    return store
