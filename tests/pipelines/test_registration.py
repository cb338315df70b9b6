"""The registration of a study's winner, by the command."""

import json
import shutil
from pathlib import Path

import yaml
from PIL import Image

from tests.conftest import kedro, make_project, write_yaml


def make_small_study(folder: Path) -> Path:
    """A project whose study `small` is one experiment with one seed, and an image to classify."""
    project = make_project(folder)
    file = project / "conf/local/parameters.yml"
    parameters = yaml.safe_load(file.read_text(encoding="utf-8"))
    write_yaml(file, {**parameters, "seeds": [0], "batchnorm": {"study": "small"}})
    images = project / "data/01_raw/to_classify"
    images.mkdir(parents=True)
    Image.new("L", (28, 28)).save(images / "a.png")
    return project


def test_a_study_replaces_a_champion_whose_artifacts_are_gone(tmp_path: Path) -> None:
    project = make_small_study(tmp_path)
    first = kedro(project, "run", "--pipeline=small")
    assert first.returncode == 0, first.stdout + first.stderr
    shutil.rmtree(project / "mlartifacts")
    predicted = kedro(project, "run", "--pipeline=predict")
    assert predicted.returncode == 1
    assert predicted.stderr.splitlines()[-1].startswith(
        "Error: The artifacts of version 1 of the model fashion-mnist-cnn "
        "(models:/fashion-mnist-cnn@champion) are gone: there are no files in file:///"
    )
    again = kedro(project, "run", "--pipeline=small", "--tags=registration")
    assert again.returncode == 0, again.stdout + again.stderr
    (contest,) = (project / "data").rglob("contest.json")
    assert json.loads(contest.read_text()) == {
        "promoted": True,
        "reason": "the files of the champion are gone or damaged",
    }
    predicted = kedro(project, "run", "--pipeline=predict")
    assert predicted.returncode == 0, predicted.stdout + predicted.stderr
