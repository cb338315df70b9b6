"""The demo environment, which most users run first: the whole study in miniature."""

import shutil
from pathlib import Path

import nbformat
import pandas as pd
import yaml
from nbclient import NotebookClient

from tests.conftest import ROOT, STUDY, kedro, make_project, write_yaml

FEWER_IMAGES = {
    "data": {"train_images": 200, "validation_images": 100, "test_images": 100},
    "evaluation": {"moments": 2},
}
"""Fewer images than the demo uses, because the fixture has only 600, and fewer moments.

The largest batches have 128 images.
"""


def test_the_demo_runs_the_whole_study_without_touching_its_results(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    shutil.move(project / "conf/local/catalog.yml", project / "conf/demo/catalog.yml")
    (project / "conf/local/parameters.yml").unlink()
    file = project / "conf/demo/parameters.yml"
    write_yaml(file, yaml.safe_load(file.read_text()) | FEWER_IMAGES)
    result = kedro(project, "run", "--env=demo", timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    reports = project / "data/demo/08_reporting"
    for name in STUDY:
        verdicts = pd.read_csv(reports / name / "verdicts.csv")
        # With so few images and epochs, some metrics have no value, such as epochs to 80 %.
        assert (verdicts.loc[verdicts["metric"] == "mean_val_accuracy", "seeds"] == 2).all()
        assert (reports / name / "claims.png").is_file()
    journal = (reports / "journal.md").read_text()
    assert f"# Ablation journal: {len(STUDY)} experiments on Fashion-MNIST" in journal
    assert "> **This is a demo, and no evidence" in journal
    assert "data:image/png;base64," in (reports / "journal.html").read_text()
    numbers = pd.concat(pd.read_csv(reports / name / "reproduction.csv") for name in STUDY)
    assert numbers["condition"].nunique() == 19
    assert not (project / "data/08_reporting").exists()

    notebooks = project / "notebooks"
    shutil.copytree(ROOT / "notebooks", notebooks)
    for file in notebooks.glob("*.ipynb"):
        notebook = nbformat.read(file, as_version=4)
        # The first cells find the results. tests/project/test_run.py runs the others.
        notebook.cells = notebook.cells[:4]
        NotebookClient(notebook, resources={"metadata": {"path": str(notebooks)}}).execute()
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        assert "of `make demo`" in str(first.outputs)
