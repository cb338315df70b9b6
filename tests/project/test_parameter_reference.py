"""The parameter reference in docs matches the types."""

import runpy

from cnn_ablation.parts.base import kind_of, parts_in
from cnn_ablation.study.configuration import Configuration, TrainingParameters
from tests.conftest import ROOT

REFERENCE = runpy.run_path(str(ROOT / "scripts/parameter_reference.py"))


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs/parameters.md").read_text()
    assert page == REFERENCE["reference"](), "run scripts/parameter_reference.py"


def test_the_page_lists_every_setting_with_its_limits() -> None:
    page = REFERENCE["reference"]()
    for name in TrainingParameters.model_fields:
        assert f"| baseline.training.{name} |" in page
    assert "| dropout_rate | number ≥ 0 < 1 | `0.5` | " in page
    assert "## claims, kind: interaction" in page


def test_every_part_has_a_table_of_its_settings_and_defaults() -> None:
    page = REFERENCE["reference"]()
    parts = parts_in(Configuration.model_fields["model"].annotation)
    for field in TrainingParameters.model_fields.values():
        parts += parts_in(field.annotation)
    assert len(parts) >= 9
    for part in parts:
        table = page.split(f", kind: {kind_of(part)}\n")[1].split("\n## ")[0]
        for name in part.model_fields:
            assert name == "kind" or f"| {name} |" in table
