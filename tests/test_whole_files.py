"""Files that are never seen half-written."""

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
