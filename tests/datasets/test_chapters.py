"""A chapter and the figures beside it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError
from PIL import Image

from cnn_ablation.datasets import MlflowChapterDataset, ResultsDataset
from cnn_ablation.errors import StudyError
from tests.report.test_journal import chapter


def test_an_experiment_that_was_not_run_has_no_chapter(tmp_path: Path) -> None:
    assert MlflowChapterDataset(filepath=str(tmp_path / "chapter.json")).load() is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"figures": 5}', None])
def test_a_damaged_chapter_names_the_run_that_writes_it_anew(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "dropout/chapter.json"
    file.parent.mkdir()
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)
    message = r"chapter\.json is damaged.* kedro run --pipeline=dropout"
    with pytest.raises(DatasetError, match=message) as caught:
        MlflowChapterDataset(filepath=str(file)).load()
    assert isinstance(caught.value.__cause__, StudyError)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tables": 5}, r"tables: Input should be a valid dictionary"),
        ({"tables": {}}, r"tables\.trial_metrics: Field required"),
        ({"tables": {"trial_metrics": {"seed": 5}}}, r"tables\.trial_metrics\.seed: .*valid list"),
        ({"conditions": [{"name": "one"}]}, r"conditions\.0\.settings: Field required"),
        ({"verdicts": None}, r"verdicts: Input should be a valid list"),
    ],
)
def test_a_chapter_of_another_form_names_what_differs(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    file = tmp_path / "chapter.json"
    file.write_text(json.dumps({**chapter("T"), **change}))
    with pytest.raises(DatasetError, match=rf"another version of this package wrote it \({reason}"):
        MlflowChapterDataset(filepath=str(file)).load()


def test_figures_are_read_from_beside_the_chapter(tmp_path: Path, messages: list[str]) -> None:
    figures = {"comparison": "impact.png", "claims": "claims.png", "curves": "gone.png"}
    content = chapter("T", figures=figures)
    (tmp_path / "chapter.json").write_text(json.dumps(content))
    image = io.BytesIO()
    Image.new("L", (2, 2)).save(image, "png")
    (tmp_path / "impact.png").write_bytes(image.getvalue())
    (tmp_path / "claims.png").write_bytes(b"")
    loaded = MlflowChapterDataset(filepath=str(tmp_path / "chapter.json")).load()
    figure = (str(tmp_path / "impact.png"), image.getvalue())
    assert loaded == {**content, "figures": {"comparison": figure}}
    assert messages == [
        f"{tmp_path / name} is missing or damaged, so that the figure is left out. Run the experiment "
        f"again: kedro run --pipeline={tmp_path.name}"
        for name in ("claims.png", "gone.png")
    ]


def test_results_refer_to_figures_in_another_folder(tmp_path: Path) -> None:
    figure = tmp_path / "reports" / "comparison.png"
    figure.parent.mkdir()
    Image.new("L", (2, 2)).save(figure)
    content = figure.read_bytes()
    results = chapter("T", figures={"comparison": (figure.as_posix(), content)})
    file = tmp_path / "outputs" / "results.json"
    ResultsDataset(filepath=str(file)).save(results)
    assert json.loads(file.read_text())["figures"] == {"comparison": "../reports/comparison.png"}
    loaded = ResultsDataset(filepath=str(file)).load()
    assert loaded is not None
    path, read = loaded["figures"]["comparison"]
    assert Path(path).resolve() == figure
    assert read == content


@pytest.mark.parametrize("linked", ["reports", "outputs", "reports/dropout", "outputs/dropout"])
def test_a_folder_of_results_may_be_a_link(tmp_path: Path, linked: str) -> None:
    place = tmp_path / "project/data" / linked
    place.parent.mkdir(parents=True)
    (tmp_path / "disk/large/elsewhere").mkdir(parents=True)
    place.symlink_to(tmp_path / "disk/large/elsewhere")
    figure = tmp_path / "project/data/reports/dropout/comparison.png"
    figure.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2)).save(figure)
    expected = {"comparison": (figure.as_posix(), figure.read_bytes())}
    content = chapter("T", figures=expected)
    for file in ("outputs/dropout/results.json", "reports/dropout/chapter.json"):
        dataset = ResultsDataset(filepath=str(tmp_path / "project/data" / file))
        dataset.save(content)
        loaded = dataset.load()
        assert loaded is not None
        assert loaded["figures"] == expected
        content = chapter("T", figures=loaded["figures"])
