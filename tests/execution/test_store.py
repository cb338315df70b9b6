"""The trial store keeps complete entries or none."""

import errno
import hashlib
import json
import logging
import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from cnn_ablation.errors import StoreError
from cnn_ablation.execution.store import StoredTrial, TrialStore, trial_key
from cnn_ablation.training.results import EXACT, Measurements, TrainedTrial, summarize

KEY = "0123456789abcdef01234567"

TRAINED = TrainedTrial(
    Measurements(
        history=[
            {
                "epoch": 1,
                "train_loss": 0.9,
                "train_accuracy": 70.0,
                "val_loss": 0.8,
                "val_accuracy": 50.0,
                "seconds": 1.25,
                "compute_seconds": 1.0,
            }
        ],
        moments=[
            {"val_loss": 1.0, "val_accuracy": 0.0},
            {"val_loss": 0.8, "val_accuracy": 50.0},
        ],
        fit={"train_loss": 0.85, "train_accuracy": 72.0, "seconds_per_image": 0.0001},
        total_params=3,
        activations=512,
    ),
    validation_hits=np.array([[False, False], [True, False]]),
    validation_logits=np.array([[0.1, 0.9], [0.8, 0.2]], dtype=np.float32),
    weights={"output.weight": np.array([1.0, 2.0, 3.0]), "count": np.array(7)},
    processor="Z80",
)


def test_an_entry_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "trials")
    assert store.get(KEY) is None
    store.put(KEY, {"seed": 0}, TRAINED)
    stored = store.get(KEY)
    assert stored is not None
    assert stored.history == TRAINED.measurements.history
    assert stored.metrics == summarize(TRAINED.measurements)
    assert (stored.validation_hits() == TRAINED.validation_hits).all()
    assert (stored.validation_logits() == TRAINED.validation_logits).all()
    assert stored.weights()["output.weight"].tolist() == [1.0, 2.0, 3.0]
    assert stored.weights()["count"] == 7
    assert stored.manifest["processor"] == "Z80"
    assert stored.manifest["identity"] == {"seed": 0}


def test_an_entry_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TrialStore(tmp_path / "new" / "trials")
    before: set[int] = set()
    after: set[int] = set()

    def note(opened: int) -> None:
        (after if (store.root / KEY).exists() else before).add(os.fstat(opened).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    store.put(KEY, {"seed": 0}, TRAINED)
    entry = store.root / KEY
    needed = {tmp_path, tmp_path / "new", entry, *entry.iterdir()}
    assert before == {path.stat().st_ino for path in needed}
    assert after == {store.root.stat().st_ino}


def test_a_trial_is_stored_although_its_file_system_cannot_sync_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(opened: int) -> None:
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    store = TrialStore(tmp_path / "trials")
    store.put(KEY, {"seed": 0}, TRAINED)
    assert store.get(KEY) is not None


def age(entry: StoredTrial) -> str:
    """Replace an entry by what the version of this package before moments stored; return its key."""
    manifest = {
        name: value
        for name, value in entry.manifest.items()
        if name not in ("moments", "fit", "activations", "seal")
    }
    identity = {name: value for name, value in entry.identity.items() if name != "moments"}
    manifest["identity"] = identity | {"versions": entry.identity["versions"] | {"loop": 1}}
    for row in manifest["history"]:
        del row["compute_seconds"]
    predictions = entry.folder / "predictions.safetensors"
    save_file({"logits": entry.validation_logits()}, predictions)
    manifest["sha256"][predictions.name] = hashlib.sha256(predictions.read_bytes()).hexdigest()
    sealed = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    manifest["seal"] = hashlib.sha256(sealed).hexdigest()
    (entry.folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    key = trial_key(manifest["identity"])
    entry.folder.rename(entry.folder.with_name(key))
    return key


def test_an_entry_of_the_version_before_moments_has_the_metrics_that_it_can_have(
    tmp_path: Path,
) -> None:
    store = TrialStore(tmp_path)
    identity = {"seed": 0, "moments": 2, "versions": {"loop": 2}}
    key = age(store.put(KEY, identity, TRAINED))
    (entry,) = store.entries()
    assert (entry.key, entry.status) == (key, "finished")
    expected = summarize(TRAINED.measurements) | dict.fromkeys(
        (
            *("val_accuracy_spread", "val_loss_roughness", "compute_seconds_per_epoch"),
            *("eval_train_accuracy", "eval_train_loss", "generalization_gap", "inference_us"),
            "activation_kib",
        ),
        np.nan,
    )
    # The end of the epoch is the only moment.
    expected |= {"mean_val_accuracy": 50.0, "mean_val_loss": 0.8}
    assert entry.metrics == pytest.approx(expected, nan_ok=True)


def test_an_existing_entry_is_not_overwritten(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    store.put(KEY, {"seed": 0}, TRAINED)
    assert [file.name for file in tmp_path.iterdir()] == [KEY]


@pytest.mark.parametrize("file", ["manifest.json", "predictions.safetensors", "weights.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "altered", "missing"])
def test_a_damaged_entry_is_set_aside_and_not_used(
    tmp_path: Path,
    file: str,
    damage: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # If an earlier test loaded conf/logging.yml, messages do not reach the root logger.
    monkeypatch.setattr(logging.getLogger("cnn_ablation"), "propagate", True)
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    victim = tmp_path / KEY / file
    content = victim.read_bytes()
    if damage == "missing":
        victim.unlink()
    else:
        middle = len(content) // 2
        altered = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        victim.write_bytes(content[:middle] if damage == "truncated" else altered)
    assert store.get(KEY) is None
    assert "truncated or altered" in caplog.text
    assert list(store) == []
    assert [folder.name[:-9] for folder in store.leftovers()] == [f".damaged-{KEY}"]
    store.put(KEY, {"seed": 0}, TRAINED)
    assert store.get(KEY) is not None


def test_an_interrupted_write_leaves_no_entry(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-abcd1234").mkdir()
    store = TrialStore(tmp_path)
    assert list(store) == []
    assert len(store.leftovers()) == 1


def test_plain_files_in_the_folder_are_ignored(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    for name in ("notes.txt", ".DS_Store"):
        (tmp_path / name).touch()
    assert [entry.key for entry in store.entries()] == [KEY]
    assert store.leftovers() == []


def test_an_entry_can_be_removed(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    store.remove(KEY)
    assert store.get(KEY) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loss", ["train_loss", "val_loss"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_training_has_no_final_values(tmp_path: Path, loss: str, value: float) -> None:
    measurements = TRAINED.measurements
    history = [measurements.history[0] | {loss: value}]
    diverged = replace(TRAINED, measurements=replace(measurements, history=history))
    TrialStore(tmp_path).put(KEY, {}, diverged)
    stored = TrialStore(tmp_path).get(KEY)
    assert stored is not None
    assert stored.status == "diverged"
    assert [name for name, value in stored.metrics.items() if not np.isnan(value)] == list(EXACT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_training_that_ends_with_weights_that_are_not_finite_diverged(
    tmp_path: Path, value: float
) -> None:
    weights = TRAINED.weights | {"norm.running_var": np.array([1.0, value], dtype=np.float32)}
    store = TrialStore(tmp_path)
    for stored in (store.put(KEY, {}, replace(TRAINED, weights=weights)), store.get(KEY)):
        assert stored is not None
        assert stored.status == "diverged"
        assert [name for name, value in stored.metrics.items() if not np.isnan(value)] == list(EXACT)


def test_the_key_does_not_depend_on_the_order_of_settings() -> None:
    assert trial_key({"a": 1, "b": 2}) == trial_key({"b": 2, "a": 1})
    assert trial_key({"a": 1, "b": 2}) != trial_key({"a": 1, "b": 3})


def break_as(kind: str, file: Path) -> None:
    file.unlink()
    match kind:
        case "directory":
            file.mkdir()
        case "dangling link":
            file.symlink_to("gone")
        case "loop":
            file.symlink_to(file.name)
        case "pipe":
            os.mkfifo(file)


@pytest.mark.parametrize("file", ["manifest.json", "predictions.safetensors", "weights.safetensors"])
@pytest.mark.parametrize("kind", ["directory", "dangling link", "loop", "pipe"])
def test_an_entry_with_something_in_place_of_a_file_is_damaged(
    tmp_path: Path, file: str, kind: str
) -> None:
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    break_as(kind, tmp_path / KEY / file)
    assert store.get(KEY) is None
    assert [folder.name[:-9] for folder in store.leftovers()] == [f".damaged-{KEY}"]
    store.put(KEY, {"seed": 0}, TRAINED)
    assert store.get(KEY) is not None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"1", b"{}", b'{"seal": 1}', b"\xff\xfe", b"[" * 200_000]
)
def test_an_entry_with_another_manifest_is_damaged(tmp_path: Path, content: bytes) -> None:
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    (tmp_path / KEY / "manifest.json").write_bytes(content)
    assert store.get(KEY) is None


@pytest.mark.parametrize("kind", ["file", "dangling link", "pipe"])
def test_an_entry_that_is_no_folder_is_damaged(tmp_path: Path, kind: str) -> None:
    (tmp_path / KEY).touch()
    if kind != "file":
        break_as(kind, tmp_path / KEY)
    store = TrialStore(tmp_path)
    assert store.entries() == []
    store.put(KEY, {"seed": 0}, TRAINED)
    assert store.get(KEY) is not None


@pytest.mark.parametrize("file", ["manifest.json", "predictions.safetensors", "weights.safetensors"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE])
def test_an_entry_that_cannot_be_read_at_the_moment_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, code: int
) -> None:
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    whole = Path.read_bytes

    def refuse(self: Path) -> bytes:
        if self.name == file:
            raise OSError(code, os.strerror(code), str(self))
        return whole(self)

    with monkeypatch.context() as refused:
        refused.setattr(Path, "read_bytes", refuse)
        for use in (lambda: store.get(KEY), lambda: store.put(KEY, {"seed": 0}, TRAINED)):
            with pytest.raises(StoreError) as caught:
                use()
            message = f"Trial {KEY} in {tmp_path}, the store of trained trials, cannot be read: "
            assert str(caught.value).startswith(message + os.strerror(code))
    assert [path.name for path in tmp_path.iterdir()] == [KEY]
    assert store.get(KEY) is not None


def test_too_many_open_files_are_no_damage(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(StoreError, match="cannot be read: Too many open files"):
            store.get(KEY)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [entry.key for entry in store.entries()] == [KEY]


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_an_entry_has_the_permissions_of_ordinary_files(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        TrialStore(tmp_path).put(KEY, {"seed": 0}, TRAINED)
    finally:
        os.umask(before)
    entry = tmp_path / KEY
    assert stat.S_IMODE(entry.stat().st_mode) == 0o777 & ~umask
    assert {stat.S_IMODE(file.stat().st_mode) for file in entry.iterdir()} == {0o666 & ~umask}


def test_a_damaged_entry_does_not_keep_the_trial_from_being_stored(tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    store.put(KEY, {"seed": 0}, TRAINED)
    (tmp_path / KEY / "weights.safetensors").unlink()
    store.put(KEY, {"seed": 0}, TRAINED)
    assert store.get(KEY) is not None


@pytest.mark.parametrize(
    "name",
    [
        "notes",
        KEY.upper(),
        KEY[:-1],
        f"{KEY}0",
        ".unfinished-mine",
        ".damaged-mine",
        ".unfinished-a b c d",
    ],
)
def test_folders_of_the_user_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.txt").write_text("mine")
    store = TrialStore(tmp_path)
    assert store.entries() == []
    assert store.get(name) is None
    assert store.leftovers() == []
    assert (tmp_path / name / "mine.txt").read_text() == "mine"


def test_a_trial_that_is_a_link_is_removed_without_its_target(tmp_path: Path) -> None:
    store = TrialStore(tmp_path / "store")
    store.put(KEY, {"seed": 0}, TRAINED)
    elsewhere = tmp_path / "elsewhere"
    (store.root / KEY).rename(elsewhere)
    (store.root / KEY).symlink_to(elsewhere)
    assert store.get(KEY) is not None
    store.remove(KEY)
    assert list(store.root.iterdir()) == []
    assert (elsewhere / "manifest.json").is_file()


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = TrialStore(tmp_path / "file" / "trials")
    assert store.get(KEY) is None
    assert store.entries() == []
    with pytest.raises(StoreError, match=r"file/trials, the store .*: Not a directory"):
        store.check_writable()


def test_a_store_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "lstat", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse)
    store = TrialStore(tmp_path)
    for look in (store.leftovers, store.entries, lambda: store.get(KEY)):
        with pytest.raises(StoreError, match="cannot be read: Permission denied"):
            look()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_trial_that_the_disk_has_no_room_for_leaves_nothing(small_disk: Path) -> None:
    store = TrialStore(small_disk)
    store.check_writable()
    store.put(KEY, {"seed": 0}, TRAINED)
    large = replace(TRAINED, weights={"output.weight": np.zeros(500_000)})
    with pytest.raises(StoreError, match=f"{small_disk}, the store .* cannot be written: .*space left"):
        store.put(KEY[::-1], {"seed": 1}, large)
    assert [path.name for path in small_disk.iterdir()] == [KEY]
    (small_disk / "filler").write_bytes(bytes(3 * 2**19))
    with pytest.raises(StoreError, match="No space left"):
        store.check_writable()
    assert store.get(KEY) is not None
    assert store.leftovers() == []


def test_a_damaged_entry_that_cannot_be_set_aside_is_noticed_before_training(small_disk: Path) -> None:
    # A disk cannot be renamed where it is mounted.
    key = KEY[::-1]
    store = TrialStore(small_disk.parent)
    small_disk.parent.joinpath(key).mkdir()
    subprocess.run(["mount", "--bind", str(small_disk), str(store.root / key)], check=True)
    try:
        store.check_writable()
        with pytest.raises(
            StoreError, match=f"{key}, a trial that was truncated .* cannot be set aside"
        ):
            store.check_writable([KEY, key])
    finally:
        subprocess.run(["umount", str(store.root / key)], check=True)
    store.check_writable([KEY, key])
    assert [folder.name[:-9] for folder in store.leftovers()] == [f".damaged-{key}"]


def test_a_read_only_disk_is_noticed_and_can_be_read(small_disk: Path) -> None:
    store = TrialStore(small_disk)
    store.put(KEY, {"seed": 0}, TRAINED)
    (small_disk / KEY[::-1]).mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="Read-only file system"):
        store.check_writable()
    assert [entry.key for entry in store.entries()] == [KEY]
