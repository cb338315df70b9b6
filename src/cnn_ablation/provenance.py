"""Where results come from: the processor that computed them, and the commit of the code."""

import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


SHORT = 10
"""Number of characters of a commit's hash that reports show."""


def cpu_name() -> str:
    """LLVM's name of this machine's CPU and its instruction set, such as `znver3 (x86_64)`."""
    from llvmlite import binding

    return f"{binding.get_host_cpu_name()} ({platform.machine()})"


def processor_name(device: "torch.device") -> str:
    """Name of the processor that computes on the device: the GPU's or the CPU's."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def git_commit(file: Path) -> tuple[str, bool] | None:
    """The hash of the current commit, and whether anything in the file's folder differs from it.

    None if Git or a commit is missing, or if the repository around the folder does not contain the file.
    """
    try:
        from git import GitError, Repo
    except ImportError:  # There is no Git on this machine.
        return None
    try:
        with Repo(file.parent, search_parent_directories=True) as repository:
            if not repository.git.ls_files("--", str(file)):
                return None
            changed = bool(repository.git.status("--porcelain", "--", str(file.parent)))
            return repository.head.commit.hexsha, changed
    except (GitError, ValueError, OSError):  # ValueError: there is no commit yet.
        return None


@cache
def source_commit() -> str | None:
    """The commit of the checkout that contains this code, with `-dirty` if the code differs from it.

    None outside of a checkout. The commit is provenance and not part of the identity of a trial.
    """
    found = git_commit(Path(__file__))
    if found is None:
        return None
    commit, changed = found
    return f"{commit[:SHORT]}-dirty" if changed else commit[:SHORT]
