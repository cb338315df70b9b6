"""Commands of the project: `kedro run`, `trials`, `serve`, `tracking` and `relocate`."""

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.startup import ProjectMetadata
from rich.table import Table

from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.run_command import run
from cnn_ablation.adapters.server_commands import load_context, serve, tracking
from cnn_ablation.adapters.terminal import print_completely
from cnn_ablation.errors import InputError, StoreError
from cnn_ablation.report.console import plain_console

if TYPE_CHECKING:
    from cnn_ablation.execution.store import TrialStore


@click.group(name="cnn-ablation")
def cli() -> None:
    """Commands of the project."""


cli.add_command(run)
cli.add_command(serve)
cli.add_command(tracking)


@cli.group()
def trials() -> None:
    """List, inspect, compare and prune trained trials."""


def format_option(help_text: str) -> Callable[[Any], Any]:
    """The option `--format` of commands that print a table."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "csv"]),
        default="table",
        show_default=True,
        help=help_text,
    )


@trials.command("list")
@format_option("csv: every setting and metric, to be redirected to a file.")
@click.option("--sort", metavar="COLUMN", help="Sort by a column; with a hyphen before it, backwards.")
@click.option(
    "--where",
    "filters",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Only trials with this value, as conf writes it. May be given once per column.",
)
@env_option
@click.pass_obj
@click_errors()
@print_completely()
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
        listed = select_trials(listed, [_split_filter(text) for text in filters], sort)
    if form == "csv":
        click.echo(listed.to_csv(index=False), nl=False)
        return
    table = Table("Key", "Trained", "Seed")
    table.add_column("Differs from most in", overflow="fold")
    for name in ("Mean val. accuracy (%)", "Code"):
        table.add_column(name)
    for differences, (_, row) in zip(differing_settings(listed), listed.iterrows(), strict=True):
        table.add_row(
            row["key"][:8],
            f"{datetime.fromisoformat(row['trained']):%Y-%m-%d %H:%M}",
            str(row["seed"]),
            differences,
            "diverged" if row["status"] == "diverged" else f"{row['mean_val_accuracy']:.2f}",
            row["code"],
        )
    console = plain_console()
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
@click_errors()
@print_completely()
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
        raise click.ClickException(_explain_absence(store, matches[0]))
    console = plain_console()
    for name, value in settings_of(entry.identity).items():
        console.print(f"{name}: {value}")
    table = Table(*entry.history[0])
    for row in entry.history:
        table.add_row(*(f"{value:.4g}" if value % 1 else f"{value:.0f}" for value in row.values()))
    console.print(table)
    console.print(f"{entry.status}, {entry.folder}", highlight=False)


def _explain_absence(store: "TrialStore", key: str) -> str:
    """Explain why a trial that the store has just listed cannot be read."""
    if os.path.lexists(store.root / key):
        return f"{store.root / key} is damaged, and cannot be set aside"
    if any(folder.name.startswith(f".damaged-{key}-") for folder in store.leftovers()):
        return f"{key} is damaged and was set aside"
    return f"{key} is no longer in {store.root}: another process has removed it"


@trials.command("prune")
@click.option("--older", is_flag=True, help="Also remove trials of older code, which no run reuses.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@env_option
@click.pass_obj
@click_errors()
@print_completely()
def prune_trials(metadata: ProjectMetadata, older: bool, yes: bool, env: str | None) -> None:
    """Remove trials that are unfinished or damaged, and with --older those that no run can reuse."""
    store = _store(metadata, env)
    leftovers = store.leftovers()
    outdated = []
    if older:
        from cnn_ablation.execution.identity import is_current

        outdated = [entry.key for entry in store.entries() if not is_current(entry.identity)]
    if not leftovers and not outdated:
        click.echo("Nothing to remove.")
        return
    if not yes:
        summary = _count_trials(len(leftovers), len(outdated))
        click.confirm(f"Remove {summary} from {store.root}? Make sure that no study runs", abort=True)
    kept = _remove_each(store.remove_leftover, leftovers)
    kept_older = _remove_each(store.remove, outdated)
    removed = _count_trials(len(leftovers) - len(kept), len(outdated) - len(kept_older))
    click.echo(f"Removed {removed}.")
    if errors := [*kept, *kept_older]:
        raise click.ClickException(
            f"{_count_trials(len(kept), len(kept_older))} could not be removed. {errors[0]}"
        )


def _count_trials(leftovers: int, older: int) -> str:
    return f"{leftovers} unfinished or damaged and {older} older trials"


def _remove_each(remove: Callable[[Any], None], items: Iterable[Any]) -> list[StoreError]:
    """Remove what can be removed, and return the errors of the rest."""
    errors = []
    for item in items:
        try:
            remove(item)
        except StoreError as error:
            errors.append(error)
    return errors


@trials.command("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--metric", default="mean_val_accuracy", show_default=True, help="Metric to compare.")
@click.option("--verdicts", is_flag=True, help="List all claims, instead of those that changed.")
@format_option("csv: the conditions or, with --verdicts, the claims.")
@env_option
@click.pass_obj
@click_errors()
@print_completely()
def compare_runs(
    metadata: ProjectMetadata,
    a: str,
    b: str,
    metric: str,
    verdicts: bool,
    form: str,
    env: str | None,
) -> None:
    """Compare the results of two runs: conditions, verdicts, and the inputs that differ.

    A and B are each `conf`, for the results of conf; the name of a variant, or a part of it, for a run
    whose settings differ from conf (data/variants has a folder for each); or a folder of reports.
    """
    from cnn_ablation.adapters.variants import find_run, read_chapters
    from cnn_ablation.report.run_comparison import RunComparison, print_comparison

    context = load_context(metadata, env)
    reports = context.project_path / context.config_loader["globals"]["reports"]
    try:
        one, other = (read_chapters(find_run(name, reports)) for name in (a, b))
    except OSError as error:
        place = context.place_of("reports", "globals")
        raise InputError(f"{place}: reports: {reports} cannot be read: {error.strerror}") from None
    comparison = RunComparison(one, other, context.catalog.load("trial_store"))
    conditions, claims = comparison.conditions(metric), comparison.verdicts()
    if form == "csv":
        click.echo((claims if verdicts else conditions).to_csv(index=False), nl=False)
        return
    print_comparison(conditions, claims, comparison.unshared(), every_claim=verdicts)


@cli.command("relocate")
@env_option
@click.pass_obj
@click_errors()
@print_completely()
def relocate(metadata: ProjectMetadata, env: str | None) -> None:
    """Correct the paths in MLflow's database after the project was moved or copied.

    MLflow stores absolute paths of artifacts. Nothing else in the project depends on its folder.
    """
    from cnn_ablation.adapters import conf_files
    from cnn_ablation.adapters.relocation import LocalDatabase

    load_context(metadata, env)
    local = LocalDatabase.of(conf_files.current())
    if local is None:
        click.echo("Nothing to correct: conf names no SQLite database with a folder of artifacts.")
        return
    old = local.moved_from()
    if old is None:
        click.echo(f"Nothing to correct: {local.database} names no folder that was moved.")
        return
    count = local.relocate(old)
    click.echo(f"Corrected {count} paths in {local.database}: {old} is now {local.artifacts}.")


def _store(metadata: ProjectMetadata, env: str | None) -> "TrialStore":
    store: TrialStore = load_context(metadata, env).catalog.load("trial_store")
    return store
