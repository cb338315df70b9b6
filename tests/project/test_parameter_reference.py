"""The parameter reference in docs matches the types."""

import runpy

from cnn_ablation.study.parameters import ModelParameters, TrainingParameters
from tests.conftest import ROOT

REFERENCE = runpy.run_path(str(ROOT / "scripts/parameter_reference.py"))


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs/parameters.md").read_text()
    assert page == REFERENCE["reference"](), "run scripts/parameter_reference.py"


def test_the_page_lists_every_setting_with_its_limits() -> None:
    page = REFERENCE["reference"]()
    for group, model in (("model", ModelParameters), ("training", TrainingParameters)):
        for name in model.model_fields:
            assert f"| baseline.{group}.{name} |" in page
    assert "| baseline.model.dropout_rate | number ≥ 0 < 1 | `0.5` | " in page
    assert "## claims, kind: interaction" in page
