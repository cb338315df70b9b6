"""Where results come from."""

import subprocess
from pathlib import Path

from cnn_ablation.provenance import git_commit


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Someone", "-c", "user.email=someone@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "pyproject.toml"
    file.write_text("")
    assert git_commit(file) is None
    git(tmp_path, "init")
    assert git_commit(file) is None, "a repository around the folder that does not contain the file"
    git(tmp_path, "add", "project")
    git(tmp_path, "commit", "-m", "Start")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(file) == (head, False)
    (tmp_path / "elsewhere").write_text("")
    assert git_commit(file) == (head, False), "changes outside of the folder"
    file.write_text("# changed")
    assert git_commit(file) == (head, True)
