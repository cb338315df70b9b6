"""Folders of runs whose settings differ from conf."""

from pathlib import Path

from cnn_ablation.adapters.variants import stored_variants, variant_globals, write_params
from cnn_ablation.cli import run
from cnn_ablation.study.variants import name_variant

CHANGES = {
    "baseline.training.epochs": 20,
    "dropout.claims": None,
    "dropout.factors.model.fc_units": [[8]],
}
FOLDERS = {
    "models": "data/06_models",
    "looks": "data/07_model_output",
    "outputs": "data/07_model_output",
    "model_input": "data/05_model_input",
    "reports": "data/08_reporting",
}


def test_a_variant_shares_only_trials_and_looks() -> None:
    name = name_variant(CHANGES)
    assert variant_globals(FOLDERS, CHANGES) == {
        **FOLDERS,
        "outputs": f"data/variants/{name}/07_model_output",
        "model_input": f"data/variants/{name}/05_model_input",
        "reports": f"data/variants/{name}/08_reporting",
        "variant": name,
    }


def test_a_variant_of_an_environment_stays_in_its_folder() -> None:
    reports = variant_globals({"reports": "data/demo/08_reporting"}, CHANGES)["reports"]
    assert reports == f"data/demo/variants/{name_variant(CHANGES)}/08_reporting"


def test_the_variants_with_reports_are_listed(tmp_path: Path) -> None:
    (tmp_path / "variants/one/08_reporting").mkdir(parents=True)
    (tmp_path / "variants/unfinished").mkdir()
    reports = tmp_path / "08_reporting"
    assert stored_variants(reports) == {"one": tmp_path / "variants/one/08_reporting"}


def test_the_file_of_a_variant_repeats_it(tmp_path: Path) -> None:
    file = tmp_path / "variants" / "name" / "run.yml"
    write_params(file, CHANGES)
    assert run.make_context("run", [f"--config={file}"]).params["params"] == {
        "baseline": {"training": {"epochs": 20}},
        "dropout": {"claims": None, "factors": {"model": {"fc_units": [[8]]}}},
    }
