"""Commands of the project: its own `kedro run`, `kedro serve` and `kedro trials`."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from rich.console import Console
from rich.table import Table

from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.run_command import run
from cnn_ablation.errors import InputError

if TYPE_CHECKING:
    from cnn_ablation.datasets import MlflowClassifierDataset
    from cnn_ablation.execution.store import TrialStore


@click.group(name="cnn-ablation")
def cli() -> None:
    """Commands of the project."""


cli.add_command(run)


@cli.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), default=5001, show_default=True)
@env_option
@click.pass_obj
@click_errors()
def serve_model(metadata: ProjectMetadata, port: int, env: str | None) -> None:
    """Serve the registered model on this machine. The champion answers, unless conf says otherwise."""
    session = KedroSession.create(Path(metadata.project_path), env=env)
    dataset = session.load_context().catalog.get("classifier")
    model = cast("MlflowClassifierDataset", dataset).load_served()

    import uvicorn

    from cnn_ablation.serving.server import application

    click.echo(f"Serving at http://127.0.0.1:{port}/invocations; end with Ctrl-C")
    uvicorn.run(application(model), host="127.0.0.1", port=port, log_level="warning")


@cli.group()
def trials() -> None:
    """List, inspect and prune the store of trained trials."""


@trials.command("list")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv"]),
    default="table",
    show_default=True,
    help="csv: every setting and metric, to be redirected to a file.",
)
@click.option("--sort", metavar="COLUMN", help="Sort by a column; with a hyphen before it, backwards.")
@click.option(
    "--where", "filters", multiple=True, metavar="COLUMN=VALUE", help="Only trials with this value."
)
@env_option
@click.pass_obj
@click_errors()
def list_trials(
    metadata: ProjectMetadata, form: str, sort: str | None, filters: tuple[str, ...], env: str | None
) -> None:
    """List the trained trials with their settings and accuracy.

    The accuracy is the mean over the moments of the last epoch. The table abbreviates keys. Columns are
    those of the CSV format, such as seed, dropout_rate or mean_val_accuracy.
    """
    from cnn_ablation.report.trial_table import differing_settings, select_trials, tabulate_trials

    store = _store(metadata, env)
    listed = tabulate_trials(store.entries())
    if len(listed):
        listed = select_trials(listed, dict(map(_split_filter, filters)), sort)
    if form == "csv":
        click.echo(listed.to_csv(index=False), nl=False)
        return
    table = Table("Key", "Trained", "Seed", "Differs from most in", "Mean val. accuracy (%)", "Code")
    for differences, (_, row) in zip(differing_settings(listed), listed.iterrows(), strict=True):
        table.add_row(
            row["key"][:8],
            f"{datetime.fromisoformat(row['trained']):%Y-%m-%d %H:%M}",
            str(row["seed"]),
            differences,
            "diverged" if row["status"] == "diverged" else f"{row['mean_val_accuracy']:.2f}",
            row["code"],
        )
    console = Console()
    console.print(table)
    console.print(f"{len(listed)} trials in {store.root}", highlight=False)
    if leftovers := store.leftovers():
        console.print(f"{len(leftovers)} unfinished or damaged: `kedro trials prune` removes them")


def _split_filter(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InputError(f"--where: {text!r} has no '='; allowed: COLUMN=VALUE, such as seed=0")
    return name, value


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
