"""Files that are never seen half-written."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_ablation.whole_files import write_whole
from tests.conftest import ROOT, clean_environment

WRITER = """
import sys
from pathlib import Path
from cnn_ablation.whole_files import write_whole
for _ in range(300):
    write_whole(Path(sys.argv[1]), lambda path: path.write_text(sys.argv[2] * 10_000))
"""


def test_an_interrupted_write_leaves_the_previous_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file.txt"
    write_whole(file, lambda path: path.write_text("before"))

    def fail(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(file, fail)
    assert file.read_text() == "before"
    assert list(file.parent.iterdir()) == [file]


def test_what_killed_processes_have_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    file = tmp_path / "a+b.txt"
    names = (".a+b.txt-4711", ".a+b.txt-0123456789abcdef", ".a+b.txt-mine", ".aab.txt-4711")
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".a+b.txt-42").touch()
    write_whole(file, lambda path: path.write_text("after"))
    left = {".a+b.txt-mine", ".aab.txt-4711", ".a+b.txt-42"}
    assert {path.name for path in tmp_path.iterdir()} == {"a+b.txt", *left}


def test_processes_with_the_same_id_write_to_different_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    file = tmp_path / "file.txt"

    def write_both(path: Path) -> None:
        path.write_text("first")
        write_whole(file, lambda other: other.write_text("second"))

    write_whole(file, write_both)
    assert file.read_text() == "first"


def test_the_mode_of_a_file_heeds_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file.txt", lambda path: path.write_text("mine"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new" / "folder" / "file.txt"
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda opened: synced.append((os.fstat(opened).st_ino, file.exists()))
    )
    write_whole(file, lambda path: path.write_text("content"))
    folders = [tmp_path, tmp_path / "new", file.parent]
    assert sorted(synced[:2]) == sorted((path.stat().st_ino, False) for path in folders[:2])
    assert synced[2:] == [(file.stat().st_ino, False), (file.parent.stat().st_ino, True)]


@pytest.mark.parametrize("target", ["there/shared.txt", "new/shared.txt"])
def test_a_link_to_a_file_stays_a_link(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/shared.txt").write_text("before")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    write_whole(link, lambda path: path.write_text("after"))
    assert link.is_symlink()
    assert (tmp_path / target).read_text() == "after"


def test_a_link_to_itself_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to(link)
    write_whole(link, lambda path: path.write_text("after"))
    assert link.read_text() == "after"


def test_two_processes_write_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    environment = clean_environment() | {"PYTHONPATH": f"{ROOT}/src"}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), letter], env=environment)
        for letter in "ab"
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert set(file.read_text()) in ({"a"}, {"b"})
    assert list(tmp_path.iterdir()) == [file]
