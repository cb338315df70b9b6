"""The reference of parameters in docs says what the types say."""

import runpy

from cnn_ablation.study.parameters import ModelParameters, TrainingParameters
from tests.conftest import ROOT

REFERENCE = runpy.run_path(str(ROOT / "scripts/parameter_reference.py"))


def test_the_page_is_what_the_types_make_of_it() -> None:
    page = (ROOT / "docs/parameters.md").read_text()
    assert page == REFERENCE["reference"](), "run scripts/parameter_reference.py"


def test_every_setting_is_there_with_its_limits() -> None:
    page = REFERENCE["reference"]()
    for group, model in (("model", ModelParameters), ("training", TrainingParameters)):
        for name in model.model_fields:
            assert f"| baseline.{group}.{name} |" in page
    assert "| baseline.model.dropout_rate | number ≥ 0 < 1 | `0.5` | " in page
    assert "## claims, kind: interaction" in page
