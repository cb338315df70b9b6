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
