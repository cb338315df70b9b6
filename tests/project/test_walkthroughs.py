"""The walkthroughs in docs/, followed to the letter in a copy of the project."""

import re
from pathlib import Path

import pandas as pd
from PIL import Image

from tests.conftest import ROOT, kedro, make_project


def follow(walkthrough: str, project: Path) -> None:
    """Write each block that begins with a file's name to that file; run the shell blocks."""
    text = (ROOT / "docs" / walkthrough).read_text()
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        named = re.match(r"# (\S+)\n", block)
        if kind == "yaml" and named:
            (project / named[1]).write_text(block)
        elif kind == "sh":
            for line in block.splitlines():
                program, *arguments = line.split()
                assert program == "kedro"
                result = kedro(project, *arguments)
                assert result.returncode == 0, f"{line}\n{result.stderr}"


def test_own_experiment(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    follow("own_experiment.md", project)
    reports = project / "data/08_reporting"
    runs = pd.read_csv(project / "data/07_model_output/kernel_size/runs.csv")
    assert set(runs["condition"]) == {"kernel_3", "kernel_5"}
    assert len(runs) == 8
    # The second run added two seeds to the two that there were.
    assert runs.groupby("condition")["reused"].sum().tolist() == [2, 2]
    assert (reports / "kernel_size/kernel_size_comparison.png").is_file()
    assert len(pd.read_csv(reports / "kernel_size/verdicts.csv")) == 1
    assert "## Experiment 1: Kernel size" in (reports / "journal.md").read_text()


def test_own_images(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "conf/local/parameters.yml").write_text(
        "seeds: [0, 1]\nbaseline: {training: {epochs: 2, batch_size: 8}}\n"
    )
    for name, colour in {"cat": "orange", "dog": "navy"}.items():
        folder = project / "data/01_raw/mine" / name
        folder.mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (40 + number, 30), colour).save(folder / f"{number}.webp", lossless=True)
    follow("images.md", project)
    reports = project / "data/08_reporting"
    assert (reports / "samples.png").is_file()
    classes = pd.read_csv(reports / "batchnorm/class_accuracy.csv")
    assert list(classes.columns[2:]) == ["cat", "dog"]
    assert len(pd.read_csv(reports / "batchnorm/verdicts.csv")) > 5
