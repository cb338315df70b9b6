"""The walkthroughs in docs/, executed verbatim in a copy of the project."""

import json
import re
from pathlib import Path

import pandas as pd
from PIL import Image

from tests.conftest import ROOT, kedro, make_project


def follow(walkthrough: str, project: Path) -> None:
    """Write the blocks that begin with a file name, and run the shell blocks."""
    text = (ROOT / "docs" / walkthrough).read_text()
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        named = re.match(r"# (\S+)\n", block)
        if kind == "yaml" and named:
            (project / named[1]).write_text(block)
        elif kind == "python" and named:
            # A class, and the line of the union that names it.
            source = project / named[1]
            *_, union = block.splitlines()
            before = source.read_text()
            (line,) = re.findall(rf"^{re.escape(union.split()[0])} = .*$", before, flags=re.MULTILINE)
            names = set(re.findall(r"\w+", line))
            assert names < set(re.findall(r"\w+", union)), "the union keeps its members"
            source.write_text(before.replace(line, block.partition("\n")[2].rstrip()))
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
    # The second run added two seeds to the existing two.
    assert runs.groupby("condition")["reused"].sum().tolist() == [2, 2]
    assert (reports / "kernel_size/kernel_size_comparison.png").is_file()
    assert len(pd.read_csv(reports / "kernel_size/verdicts.csv")) == 1
    assert "## Experiment 1: Kernel size" in (reports / "journal.md").read_text()

    (project / "conf/local/parameters_kernel_size.yml").write_text(
        "kernel_size: {study: sizes, figure: kernel_impact}"
    )
    result = kedro(project, "run", "--pipeline=sizes")
    assert result.returncode == 0, result.stdout + result.stderr
    assert (reports / "kernel_size/kernel_impact.png").is_file()
    summary = pd.read_csv(reports / "sizes/study_summary.csv")
    assert summary["experiment"].tolist() == ["kernel_size", "kernel_size"]
    winner = json.loads((reports / "sizes/winner.json").read_text())
    assert winner["condition"] in {"kernel_3", "kernel_5"}
    assert "Created version '1' of model 'fashion-mnist-cnn'" in result.stderr + result.stdout
    journal = reports / "sizes/journal.md"
    assert "](../kernel_size/kernel_impact.png)" in journal.read_text()


def test_own_part(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    follow("own_part.md", project)
    outputs = project / "data/07_model_output"
    for name, conditions in {
        "decay": {
            "schedule_constant",
            "schedule_polynomial",
            "schedule_polynomial(power=2.0)",
        },
        "architecture": {"convnet", "mlp(units=[128])"},
    }.items():
        runs = pd.read_csv(outputs / name / "runs.csv")
        assert set(runs["condition"]) == conditions
        assert set(runs["status"]) == {"finished"}
        reports = project / "data/08_reporting" / name
        assert len(pd.read_csv(reports / "verdicts.csv")) == 1
        accuracies = pd.read_csv(reports / "trial_metrics.csv")["final_val_loss"]
        assert accuracies.nunique() == len(accuracies), "each part trains in its own way"
    layers = pd.read_csv(project / "data/08_reporting/architecture/networks.csv")
    assert "Linear" in set(layers.loc[layers["condition"] == "mlp(units=[128])", "kind"])


def test_own_images(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "conf/mine").mkdir()
    (project / "conf/mine/parameters.yml").write_text(
        "seeds: [0, 1]\nbaseline: {training: {epochs: 2, batch_size: 8}}\nevaluation: {moments: 4}\n"
    )
    for name, colour in {"cat": "orange", "dog": "navy"}.items():
        folder = project / "data/01_raw/mine" / name
        folder.mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (40 + number, 30), colour).save(folder / f"{number}.webp", lossless=True)
    follow("images.md", project)
    reports = project / "data/mine/08_reporting"
    assert (reports / "samples.png").is_file()
    classes = pd.read_csv(reports / "batchnorm/class_accuracy.csv")
    assert list(classes.columns[2:]) == ["cat", "dog"]
    assert len(pd.read_csv(reports / "batchnorm/verdicts.csv")) > 5
