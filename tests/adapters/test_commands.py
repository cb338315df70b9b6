"""`kedro trials` says what has happened to stored trials."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cnn_ablation.adapters import commands
from cnn_ablation.execution.store import StoredTrial, TrialStore
from tests.execution.test_store import KEY, TRAINED

OTHER = "f" * 24


@pytest.fixture
def store(tmp_path: Path) -> TrialStore:
    return TrialStore(tmp_path / "trials")


def invoke(monkeypatch: pytest.MonkeyPatch, store: TrialStore, *arguments: str) -> Result:
    """Run a command of `kedro trials` on a store."""
    context = SimpleNamespace(catalog=SimpleNamespace(load=lambda _: store))
    monkeypatch.setattr(commands, "load_context", lambda *_: context)
    return CliRunner().invoke(commands.trials, arguments)


def refuse(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let folders whose names begin with these belong to another user."""
    remove = shutil.rmtree

    def rmtree(path: Any, ignore_errors: bool = False, **options: Any) -> None:
        if not Path(path).name.startswith(names):
            remove(path, ignore_errors, **options)
        elif not ignore_errors:
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", rmtree)


def test_prune_counts_what_it_has_removed(monkeypatch: pytest.MonkeyPatch, store: TrialStore) -> None:
    mine, theirs = (store.root / f".unfinished-{name}" for name in ("abcd1234", "theirs__"))
    for folder in (mine, theirs):
        folder.mkdir(parents=True)
    store.put(KEY, {"seed": 0}, TRAINED)
    refuse(monkeypatch, ".unfinished-theirs")
    result = invoke(monkeypatch, store, "prune", "--older", "--yes")
    assert result.exit_code == 1
    assert "Removed 1 unfinished or damaged and 1 older trials.\n" in result.output
    assert (
        "Error: 1 unfinished or damaged and 0 older trials could not be removed. Trial "
        f".unfinished-theirs__ in {store.root}, the store of trained trials, cannot be removed: "
        "Permission denied." in result.output
    )
    assert list(store.root.iterdir()) == [theirs]


def test_prune_goes_on_after_a_trial_that_stays(
    monkeypatch: pytest.MonkeyPatch, store: TrialStore
) -> None:
    for key in (KEY, OTHER):
        store.put(key, {"seed": 0}, TRAINED)
    replace = Path.replace

    def refuse_one(path: Path, target: Path) -> Path:
        if path.name == KEY:
            raise PermissionError(13, "Permission denied", str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse_one)
    result = invoke(monkeypatch, store, "prune", "--older", "--yes")
    assert result.exit_code == 1
    assert "Removed 0 unfinished or damaged and 1 older trials.\n" in result.output
    assert f"Trial {KEY} in {store.root}, the store of trained trials, cannot be removed" in (
        result.output
    )
    assert list(store) == [KEY]


def test_a_leftover_that_another_process_has_removed_is_no_error(
    monkeypatch: pytest.MonkeyPatch, store: TrialStore
) -> None:
    leftover = store.root / ".unfinished-abcd1234"
    leftover.mkdir(parents=True)
    remove = shutil.rmtree

    def remove_twice(path: Path, ignore_errors: bool = False) -> None:
        remove(path)
        remove(path, ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", remove_twice)
    result = invoke(monkeypatch, store, "prune", "--yes")
    assert (result.exit_code, list(store.root.iterdir())) == (0, [])


class Vanishing(TrialStore):
    """A store whose trials another process removes."""

    def get(self, key: str) -> StoredTrial | None:
        shutil.rmtree(self.root / key)
        return super().get(key)


@pytest.mark.parametrize("case", ["set aside", "stays", "gone"])
def test_show_says_what_has_happened_to_a_trial(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str
) -> None:
    store = (Vanishing if case == "gone" else TrialStore)(tmp_path)
    (tmp_path / KEY).mkdir()
    if case == "stays":

        def refuse_all(path: Path, target: Path) -> Path:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "replace", refuse_all)
    result = invoke(monkeypatch, store, "show", KEY[:6])
    assert result.exit_code == 1
    expected = {
        "set aside": f"{KEY} is damaged and was set aside",
        "stays": f"{tmp_path / KEY} is damaged, and cannot be set aside",
        "gone": f"{KEY} is no longer in {tmp_path}: another process has removed it",
    }
    assert result.output.endswith(f"Error: {expected[case]}\n")


@pytest.mark.parametrize("form", ["table", "csv"])
def test_list_refuses_two_filters_of_a_column(
    monkeypatch: pytest.MonkeyPatch, store: TrialStore, form: str
) -> None:
    store.put(KEY, {"seed": 0}, TRAINED)
    filters = ("--where", "seed=0", "--where", "seed=1")
    result = invoke(monkeypatch, store, "list", "--format", form, *filters)
    assert result.exit_code == 1
    assert result.output.startswith("Error: --where: seed is given more than once; allowed: ")
