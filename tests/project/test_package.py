"""The wheel that `kedro package` builds runs outside the project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.conftest import ROOT, clean_environment, make_project


def test_the_wheel_runs_outside_the_project(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    for file in ("README.md", "LICENSE"):
        shutil.copy(ROOT / file, project / file)
    python = (sys.executable, "-m")
    # Like `kedro package`, but with the installed setuptools: `kedro package` would download its own.
    build = [*python, "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    (wheel,) = (project / "dist").glob("*.whl")

    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    install = [*python, "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    shutil.copytree(project / "conf", elsewhere / "conf")
    shutil.copytree(project / "data/01_raw/journal", elsewhere / "data/01_raw/journal")
    result = subprocess.run(
        [*python, "cnn_ablation", "--pipeline=batchnorm"],
        cwd=elsewhere,
        env=clean_environment() | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    reports = elsewhere / "data/08_reporting/batchnorm"
    assert (reports / "batchnorm_comparison.png").is_file()
    assert len(pd.read_csv(reports / "trial_metrics.csv")) == 4
    assert (elsewhere / "mlflow.db").is_file()
    assert not list(site.rglob("mlflow.db"))
