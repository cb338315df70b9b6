"""Code that determines numbers changes together with its version. Comments and text do not count."""

import json
import runpy

import pytest

from tests.conftest import ROOT

RECORD = runpy.run_path(str(ROOT / "scripts/record_versions.py"))
RECORDED = json.loads((ROOT / "tests/execution/code_versions.json").read_text())
CURRENT = RECORD["current"]()


@pytest.mark.parametrize("name", sorted({*CURRENT, *RECORDED}))
def test_code_and_version_change_together(name: str) -> None:
    assert CURRENT.get(name) == RECORDED.get(name), (
        f"The code of {name} or its version has changed. If the code gives the same numbers as before, "
        "run scripts/record_versions.py, which records it. If not, raise the version first: stored "
        "trials that used it will be trained again."
    )


def test_names_of_parts_are_unique() -> None:
    kinds = [RECORD["kind_of"](part) for part in RECORD["all_parts"]()]
    assert len(kinds) == len(set(kinds))
