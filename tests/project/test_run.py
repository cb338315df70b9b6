"""`kedro run` from the command line."""

import base64
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from nbclient import NotebookClient
from PIL import Image

from cnn_ablation.adapters.relocation import LocalDatabase
from cnn_ablation.data import fashion_mnist
from cnn_ablation.data.splits import Arrays
from cnn_ablation.report.journal import SIGNS
from cnn_ablation.serving.served_classifier import encode
from tests.conftest import (
    JOURNAL,
    ROOT,
    STUDY,
    empty_database,
    kedro,
    make_project,
    served,
    variant,
    write_yaml,
)

FIGURES = {
    "dropout": "dropout_impact.png",
    "batchnorm": "batchnorm_comparison.png",
    "conv_depth": "conv_depth_impact.png",
    "pooling": "pooling_comparison.png",
    "interactions": "interactions_heatmap.png",
    "combined": "top_configurations.png",
    "overall": "overall_comparison.png",
}


@pytest.fixture(scope="module")
def study(project: Path) -> str:
    """Standard output of one run of the whole study, on a system whose encoding is ASCII."""
    result = kedro(project, "run", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def client(project: Path) -> MlflowClient:
    # MLflow lists a run's artifacts through the global tracking store.
    mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
    return MlflowClient()


def experiment_id(project: Path) -> str:
    experiment = client(project).get_experiment_by_name("fashion_mnist_cnn_tuning")
    assert experiment is not None
    return str(experiment.experiment_id)


def runs(project: Path, filter_string: str = "") -> list[Run]:
    return list(client(project).search_runs([experiment_id(project)], filter_string))


def last_parent(project: Path) -> Run:
    parents = [run for run in runs(project) if "mlflow.parentRunId" not in run.data.tags]
    return max(parents, key=lambda run: run.info.start_time)


def children(project: Path, parent: Run) -> list[Run]:
    return runs(project, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")


def trial_metrics(project: Path, experiment: str = "dropout") -> pd.DataFrame:
    return pd.read_csv(project / f"data/08_reporting/{experiment}/trial_metrics.csv")


def test_the_study_draws_every_figure(project: Path, study: str) -> None:
    reports = project / "data/08_reporting"
    for experiment, figure in FIGURES.items():
        for name in (figure, "claims.png", "learning_curves.png", "confusion_matrix.png"):
            assert (reports / experiment / name).read_bytes().startswith(b"\x89PNG")
    assert (reports / "samples.png").is_file()


def test_the_study_ends_with_a_table_per_experiment_and_a_short_log(study: str) -> None:
    for title in ("Dropout rate", "Batch normalization", "Max pooling"):
        assert title in study
    assert "| conv_depth_3" in study  # Lines that ASCII can show.
    assert "241,994" in study
    assert "Figures and tables: data/08_reporting/dropout" in study
    assert study.count("Look 1 at these results: a verdict needs a p value of at most") == len(STUDY)
    assert "preliminary" not in study
    for noise in ("Warning", "INFO", "DEBUG", "Traceback", "Completed node"):
        assert noise not in study


def test_the_study_has_the_runs_of_the_published_journal_for_each_seed(
    project: Path, study: str
) -> None:
    summary = pd.read_csv(project / "data/08_reporting/study_summary.csv")
    assert summary["experiment"].unique().tolist() == list(STUDY)
    conditions = summary.groupby("experiment")["condition"].nunique()
    assert conditions[list(JOURNAL)].sum() == 19
    assert conditions["overall"] == 10, "every distinct configuration of these"
    assert (summary["seeds"] == 2).all()
    sizes = summary.set_index("condition")["total_params"]
    assert sizes["dropout_0.3"] == 421_834
    assert sizes["conv_depth_1"] == 804_618
    assert sizes["conv_depth_3"] == 241_994
    assert sizes["pooling_False"] == 6_442_954


def test_equal_trials_of_different_experiments_have_equal_results(project: Path, study: str) -> None:
    base = {
        "dropout": "dropout_0.5",
        "batchnorm": "batchnorm_True",
        "conv_depth": "conv_depth_2",
        "pooling": "pooling_True",
        "interactions": "interaction_dropout0.5_bnTrue",
    }
    accuracies = []
    for experiment, condition in base.items():
        table = trial_metrics(project, experiment)
        accuracies.append(table[table["condition"] == condition]["mean_val_accuracy"].tolist())
    assert all(values == accuracies[0] for values in accuracies)


def test_tables_are_consistent(project: Path, study: str) -> None:
    reports, outputs = project / "data/08_reporting/dropout", project / "data/07_model_output/dropout"
    metrics = trial_metrics(project)
    confusion = pd.read_csv(outputs / "confusion.csv")
    classes = list(confusion.columns[3:])
    assert len(classes) == 10
    assert (confusion[classes].sum(axis=1) == 5).all()  # 50 validation images, stratified
    for trial in metrics.itertuples():
        matrix = confusion[
            (confusion["condition"] == trial.condition) & (confusion["seed"] == trial.seed)
        ]
        assert 100 * np.trace(matrix[classes]) / 50 == pytest.approx(trial.final_val_accuracy)
    accuracy = pd.read_csv(reports / "class_accuracy.csv")
    assert accuracy[classes].mean(axis=1).tolist() == pytest.approx(
        metrics["final_val_accuracy"].tolist()
    )
    histories = pd.read_csv(outputs / "histories.csv")
    assert histories["val_accuracy"].tolist() == metrics["final_val_accuracy"].tolist()
    networks = pd.read_csv(reports / "networks.csv")
    total = networks[networks["layer"] == "total"]
    assert (total["parameters"] == 421_834).all()


def test_the_final_model_is_the_best_of_the_best_condition(project: Path, study: str) -> None:
    report = json.loads((project / "data/08_reporting/dropout/final_model.json").read_text())
    means = trial_metrics(project).groupby("condition")["mean_val_accuracy"].mean()
    assert means[report["condition"]] == means.max()
    assert "not an independent test" in report["note"]
    assert 0 <= report["test"]["expected_calibration_error"] <= 1


def test_trials_are_nested_runs_named_as_in_the_published_journal(project: Path, study: str) -> None:
    parent = last_parent(project)
    tracked = children(project, parent)
    assert len(tracked) == 2 * (19 + 3 + 10)
    assert len({run.data.tags["trial_key"] for run in tracked}) == 2 * (10 + 3)
    names = {run.info.run_name for run in tracked}
    assert {"dropout_0.3 seed 0", "pooling_False seed 1", "combined_optimal_deep seed 0"} <= names
    (child,) = (run for run in tracked if run.info.run_name == "dropout_0.3 seed 1")
    assert child.info.status == "FINISHED"
    tags = child.data.tags
    assert (tags["experiment"], tags["condition"], tags["seed"]) == ("dropout", "dropout_0.3", "1")
    assert child.data.params["model.dropout_rate"] == "0.3"
    assert child.data.params["model.conv_channels"] == "[32, 64]"
    assert child.data.params["training.epochs"] == "1"
    assert child.data.params["data.protocol"] == "journal"
    row = trial_metrics(project).set_index(["condition", "seed"]).loc["dropout_0.3", 1]
    assert child.data.metrics["final_val_accuracy"] == pytest.approx(row["final_val_accuracy"])
    assert child.data.metrics["total_params"] == 421_834
    assert max(len(str(value)) for value in child.data.metrics.values()) <= 12, "rounded"
    curve = client(project).get_metric_history(child.info.run_id, "curves/val_accuracy")
    assert [point.step for point in curve] == [1]
    (final,) = client(project).get_metric_history(child.info.run_id, "mean_val_accuracy")
    assert final.step == 0, "drawn as a bar"


def test_the_parent_run_says_what_was_run_and_what_came_out(project: Path, study: str) -> None:
    parent = last_parent(project)
    tags, params, metrics = parent.data.tags, parent.data.params, parent.data.metrics
    assert tags["kedro_command"] == "kedro run"
    assert tags["runner"] == "SequentialRunner"
    assert params["baseline.training.optimizer.kind"] == "adam"
    assert params["dropout.factors.model.dropout_rate"] == "[0.0,0.2,0.3,0.5,0.7]"
    assert params["seeds"] == "[0,1]"
    assert not any(value.startswith("{") for value in params.values())
    summary = pd.read_csv(project / "data/08_reporting/study_summary.csv")
    best = summary["mean_val_accuracy_mean"].max()
    assert metrics["best_mean_val_accuracy"] == pytest.approx(best, abs=1e-4)
    verdicts = [pd.read_csv(project / f"data/08_reporting/{name}/verdicts.csv") for name in STUDY]
    assert metrics["claims"] == sum(map(len, verdicts))
    assert metrics["claims_undecided"] == sum(
        (table["verdict"] == "undecided").sum() for table in verdicts
    )
    assert metrics["trials"] == metrics["trials_trained"] == 2 * (10 + 3)
    assert metrics["wall_seconds"] > 0


def test_the_experiment_opens_as_model_training_with_a_view_of_trials(project: Path, study: str) -> None:
    tags = client(project).get_experiment(experiment_id(project)).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    view = json.loads(json.loads(tags["mlflow.sharedViewState.trials"])["state"])
    assert view["orderByKey"] == "metrics.`mean_val_accuracy`"


def test_figures_and_tables_are_artifacts_of_the_parent_run(project: Path, study: str) -> None:
    parent = last_parent(project)
    artifacts = {file.path for file in client(project).list_artifacts(parent.info.run_id, "dropout")}
    assert {
        "dropout/dropout_impact.png",
        "dropout/learning_curves.png",
        "dropout/condition_summary.csv",
        "dropout/networks.csv",
        "dropout/noise_budget.csv",
        "dropout/verdicts.csv",
        "dropout/claims.png",
    } <= artifacts
    assert Path(parent.info.artifact_uri.removeprefix("file://")).is_relative_to(project)
    description = parent.data.tags["mlflow.note.content"]
    assert description.count("**Question:**") == len(STUDY)
    assert "✘ contradicted: One layer has about 52K parameters." in description


def test_the_best_model_is_logged_and_predicts_like_the_network(
    project: Path, study: str, raw_images: Arrays
) -> None:
    models = client(project).search_logged_models([experiment_id(project)])
    (model,) = (model for model in models if model.name == "dropout")
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    assert [column.name for column in loaded.metadata.signature.inputs] == ["image"]
    assert len(loaded.predict(loaded.input_example)) == 1
    # In the demo, the test images are also the validation images.
    images = [encode(Image.fromarray(pixels)) for pixels in raw_images["test_images"]]
    answers = loaded.predict(pd.DataFrame({"image": images}))
    labels = [fashion_mnist.CLASS_NAMES[label] for label in raw_images["test_labels"]]
    report = json.loads((project / "data/08_reporting/dropout/final_model.json").read_text())
    hits = (answers["class"] == labels).mean()
    assert 100 * hits == pytest.approx(report["test"]["accuracy"])


def test_the_winner_is_registered_and_the_first_becomes_champion(project: Path, study: str) -> None:
    registry = client(project)
    version = registry.get_model_version_by_alias("fashion-mnist-cnn", "champion")
    winner = json.loads((project / "data/08_reporting/winner.json").read_text())
    summary = pd.read_csv(project / "data/08_reporting/study_summary.csv")
    assert winner["mean"] == pytest.approx(summary["mean_val_accuracy_mean"].max())
    assert version.tags["condition"] == f"{winner['experiment']}: {winner['condition']}"
    assert version.tags["model.kernel_size"] == "3"
    assert version.tags["data"] == winner["data"]
    assert " to " in version.tags["interval"]


def test_the_champion_of_a_copied_project_is_found_in_the_copy(
    project: Path, study: str, tmp_path: Path
) -> None:
    local = LocalDatabase(tmp_path / "mlflow.db", "fashion_mnist_cnn_tuning", tmp_path / "mlartifacts")
    shutil.copy(project / "mlflow.db", local.database)
    shutil.copytree(project / "mlartifacts", local.artifacts)
    old = local.moved_from()
    assert old == project / "mlartifacts"
    assert local.relocate(old) > 0
    registry = client(tmp_path)
    version = registry.get_model_version_by_alias("fashion-mnist-cnn", "champion")
    place = registry.get_model_version_download_uri("fashion-mnist-cnn", version.version)
    assert place.startswith(local.artifacts.as_uri())
    model = mlflow.artifacts.download_artifacts("models:/fashion-mnist-cnn@champion")
    assert (Path(model) / "MLmodel").is_file()


def test_the_champion_answers_over_http(project: Path, study: str, raw_images: Arrays) -> None:
    image = io.BytesIO()
    Image.fromarray(raw_images["test_images"][0]).resize((90, 90)).save(image, "PNG")
    text = base64.b64encode(image.getvalue()).decode()
    body = json.dumps({"dataframe_split": {"columns": ["image"], "data": [[text], [text]]}})
    with served("kedro", "serve", "--port", cwd=project, health="/ping") as url:
        request = urllib.request.Request(
            f"{url}/invocations",
            data=body.encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            predictions = json.load(answer)["predictions"]
        request.data = body.replace(f'["{text}"]]', "[5]]").encode()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        error = json.load(refused.value)
    assert refused.value.code == 400
    assert "row 1: int, not text: expected a base64-encoded image file" in error["message"]
    assert "stack_trace" not in error
    assert len(predictions) == 2
    assert predictions[0] == predictions[1]
    assert predictions[0]["class"] in fashion_mnist.CLASS_NAMES
    assert 0.1 <= predictions[0]["probability"] <= 1


def test_a_folder_of_images_is_classified(project: Path, study: str, raw_images: Arrays) -> None:
    folder = project / "data/01_raw/to_classify"
    folder.mkdir()
    first, second = (Image.fromarray(pixels) for pixels in raw_images["test_images"][:2])
    first.save(folder / "a.png")
    first.resize((200, 150)).convert("RGB").save(folder / "b.jpg")
    second.save(folder / "c.gif")
    second.convert("RGBA").save(folder / "d.webp", lossless=True)
    (folder / "notes.txt").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:100])
    (folder / ".hidden").touch()
    result = kedro(project, "run", "--pipeline=predict")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Predictions: data/08_reporting/predictions" in result.stdout
    assert "Images classified: 4; files skipped: 2\nReasons: data/08_reporting/" in result.stdout
    reports = project / "data/08_reporting/predictions"
    table = pd.read_csv(reports / "predictions.csv")
    assert table["file"].tolist() == ["a.png", "b.jpg", "c.gif", "d.webp"]
    assert set(table["class"]) <= set(fashion_mnist.CLASS_NAMES)
    assert table.loc[2, "class"] == table.loc[3, "class"]
    assert table.loc[2, "probability"] == pytest.approx(table.loc[3, "probability"])
    skipped = pd.read_csv(reports / "skipped_files.csv").set_index("file")["reason"]
    assert skipped["notes.txt"].startswith("not an image")
    assert skipped["cut.png"].startswith("damaged")
    assert (reports / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("globals_", "expected"),
    [
        ({"images_to_classify": "data/01_raw/nowhere"}, "data/01_raw/nowhere is not there: put"),
        ({"predict_with": 99}, "There is no model models:/fashion-mnist-cnn/99: run a study first"),
    ],
)
def test_a_missing_model_or_folder_is_a_clear_error(
    project: Path, study: str, globals_: dict[str, Any], expected: str
) -> None:
    file = project / "conf/local/globals.yml"
    images = project / "data/01_raw/one"
    images.mkdir(exist_ok=True)
    Image.new("L", (28, 28)).save(images / "a.png")
    write_yaml(file, {"images_to_classify": "data/01_raw/one", **globals_})
    result = kedro(project, "run", "--pipeline=predict")
    file.unlink()
    output = " ".join((result.stdout + result.stderr).split())
    assert result.returncode != 0
    assert expected in output
    assert "Traceback" not in output


def test_every_claim_has_a_verdict(project: Path, study: str) -> None:
    claims = 0
    for name in STUDY:
        conf = yaml.safe_load((project / f"conf/base/parameters_{name}.yml").read_text())[name]
        table = pd.read_csv(project / f"data/08_reporting/{name}/verdicts.csv")
        assert table["claim"].tolist() == list(conf["claims"])
        assert set(table["verdict"]) <= set(SIGNS)
        exact = table[table["metric"] == "total_params"]
        assert "undecided" not in set(exact["verdict"]), "one seed is enough"
        assert (exact["looks"] == 0).all()
        claims += len(table)
    assert claims >= 80
    depth = pd.read_csv(project / "data/08_reporting/conv_depth/verdicts.csv").set_index("claim")
    assert depth.loc["parameters_2_layers", "verdict"] == "supported"
    assert depth.loc["parameters_1_layer", "verdict"] == "contradicted"
    assert depth.loc["parameters_3_layers", "verdict"] == "contradicted"
    assert depth.loc["third_layer_costs", "verdict"] == "contradicted"
    pooling = pd.read_csv(project / "data/08_reporting/pooling/verdicts.csv").set_index("claim")
    assert pooling.loc["saves_15_percent", "verdict"] == "contradicted"


def test_verdicts_reveal_the_errors_of_the_published_journal(project: Path, study: str) -> None:
    tables = {
        name: pd.read_csv(project / f"data/08_reporting/{name}/reproduction.csv") for name in STUDY
    }
    depth = tables["conv_depth"].set_index(["condition", "metric"])
    assert not depth.loc[("conv_depth_1", "total_params"), "agrees"]
    assert depth.loc[("conv_depth_2", "total_params"), "agrees"]
    copied = tables["dropout"].set_index("metric").loc["final_train_loss", "note"]
    assert copied.str.contains("a copy").all()
    notes = tables["combined"].groupby("condition")["note"].first()
    assert notes.str.contains("epochs 15 instead of").all()
    assert "learning_rate 0.0005" in notes["combined_optimal_aggressive_dropout"]
    assert sum(table["condition"].nunique() for table in tables.values()) == 19 + 3


def test_the_study_writes_its_journal(project: Path, study: str) -> None:
    reports = project / "data/08_reporting"
    markdown = (reports / "journal.md").read_text()
    for heading in ("Summary", "Experiment 6: Combined configurations", "Overall conclusions"):
        assert f"## {heading}\n" in markdown
    assert "left out" not in markdown
    budget = pd.read_csv(reports / "pooling/noise_budget.csv").set_index("condition")
    assert f"| pooling_True | {budget.loc['pooling_True', 'last_step_sd']:.2f} |" in markdown
    images = re.findall(r"!\[.*?\]\((.*?)\)", markdown)
    assert len(images) == 4 * len(STUDY)
    assert all((reports / image).is_file() for image in images)
    page = (reports / "journal.html").read_text()
    text = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert text.count("data:image/png;base64,") == 4 * len(STUDY)
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", text), "needs no other file"
    runs = pd.read_csv(project / "data/07_model_output/pooling/runs.csv")
    assert all(run in page for run in runs["mlflow_run_id"])


def test_the_journal_pipeline_covers_the_experiments_that_were_run(project: Path, study: str) -> None:
    journal = project / "data/08_reporting/journal.md"
    (project / "data/08_reporting/pooling/chapter.json").unlink()
    result = kedro(project, "run", "--pipeline=journal")
    assert result.returncode == 0, result.stderr
    assert "left out: pooling" in journal.read_text()


def test_pursuit_adds_seeds_until_claims_are_decided(project: Path, study: str) -> None:
    result = kedro(
        project,
        *("run", "--pipeline=pursuit", "--namespaces=main.batchnorm"),
        "--params=pursuit.seeds=[2,3]",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    table = trial_metrics(project, "batchnorm")
    assert table["seed"].tolist() == [0, 1, 2, 0, 1, 2]
    assert result.stdout.count("(reused)") == 6, "the pursuit has trained them, and tracks them once"


def test_more_seeds_are_another_look_and_the_same_seeds_are_not(project: Path, study: str) -> None:
    def look(seeds: int) -> tuple[int, float]:
        """Number and level of the look that a run with these seeds prints."""
        result = kedro(project, "run", "--pipeline=batchnorm", f"--params=seeds={seeds}")
        assert result.returncode == 0, result.stdout + result.stderr
        output = " ".join(result.stdout.split())
        assert "These verdicts are preliminary." in output
        assert "the study's other experiments (combined," in output
        number, level = re.findall(r"Look (\d+) at these results: .*? at most (\S+)", output)[0]
        return int(number), float(level)

    of_study = pd.read_csv(project / "data/08_reporting/batchnorm/verdicts.csv").set_index("claim")
    number, _ = look(3)
    assert number == 2
    # The first look again. This also restores the tables.
    looks = project / "data/07_model_output/looks.json"
    before = looks.read_text()
    number, level = look(2)
    assert number == 1
    assert looks.read_text() == before
    again = pd.read_csv(project / "data/08_reporting/batchnorm/verdicts.csv").set_index("claim")
    pd.testing.assert_series_equal(again["level"], of_study["level"])
    tested = of_study[of_study["looks"] > 0]
    assert level == pytest.approx(tested["level"].min(), rel=0.05)


def test_nothing_is_trained_or_logged_twice(project: Path, study: str) -> None:
    def dropout_models() -> list[str]:
        models = client(project).search_logged_models([experiment_id(project)])
        return [model.model_id for model in models if model.name == "dropout"]

    logged = dropout_models()
    (project / "data/08_reporting/dropout/dropout_impact.png").unlink()
    result = kedro(project, "run", "--pipelines=dropout")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("(reused)") == 10
    assert (project / "data/08_reporting/dropout/dropout_impact.png").is_file()
    tracked = children(project, last_parent(project))
    assert {run.data.tags["reused"] for run in tracked} == {"true"}
    outputs = last_parent(project).outputs
    assert outputs is not None
    assert [output.model_id for output in outputs.model_outputs] == logged == dropout_models()


def test_a_run_can_start_at_any_node_and_be_limited_to_a_stage(project: Path, study: str) -> None:
    figure = project / "data/08_reporting/batchnorm/batchnorm_comparison.png"
    figure.unlink()
    result = kedro(project, "run", "--pipeline=batchnorm", "--from-nodes=batchnorm.summarize_conditions")
    assert result.returncode == 0, result.stderr
    assert figure.is_file()
    figure.unlink()
    result = kedro(project, "run", "--pipeline=batchnorm", "--tags=visualization")
    assert result.returncode == 0, result.stderr
    assert figure.is_file()
    assert "WARNING" not in result.stdout + result.stderr
    summary = project / "data/08_reporting/study_summary.csv"
    before = summary.read_text()
    summary.unlink()
    (project / "data/08_reporting/pooling/chapter.json").unlink(missing_ok=True)
    result = kedro(
        project,
        "run",
        "--from-nodes=main.conclusions.write_chapter_pooling",
        "--to-nodes=main.join_experiments",
    )
    assert result.returncode == 0, result.stderr
    assert summary.read_text() == before


def test_a_damaged_result_of_an_earlier_node_is_named(project: Path, study: str) -> None:
    file = project / "data/05_model_input/batchnorm/trials.json"
    whole = file.read_bytes()
    file.write_bytes(b"")
    result = kedro(project, "run", "--pipeline=batchnorm", "--from-nodes=batchnorm.train_trials")
    file.write_bytes(whole)
    assert result.returncode == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Error: "))
    assert f"{file} cannot be read: " in line
    assert "start the run at an earlier node that writes it" in line
    assert "Traceback" not in result.stdout + result.stderr


def test_the_notebooks_run_on_the_results(project: Path, study: str) -> None:
    notebooks = project / "notebooks"
    shutil.copytree(ROOT / "notebooks", notebooks)
    for file in notebooks.glob("*.ipynb"):
        notebook = nbformat.read(file, as_version=4)
        assert not any(cell.get("outputs") for cell in notebook.cells), "committed with outputs"
        NotebookClient(notebook, resources={"metadata": {"path": notebooks}}).execute()


def test_the_notebook_reads_the_runs_of_its_own_results_from_mlflow(tmp_path: Path) -> None:
    store = f"sqlite:///{shutil.copy(empty_database(), tmp_path)}"
    registry = MlflowClient(store)
    tracked = []
    for accuracy, variant_name in ((91.0, None), (50.0, "other settings")):
        tags = {"experiment": "dropout", "status": "finished", "mlflow.parentRunId": "any"}
        run = registry.create_run("0", tags=tags | ({"variant": variant_name} if variant_name else {}))
        registry.log_metric(run.info.run_id, "mean_val_accuracy", accuracy)
        registry.log_param(run.info.run_id, "model.dropout_rate", 0.3)
        registry.log_param(run.info.run_id, "seed", 0)
        tracked.append(run.info.run_id)
    runs = pd.DataFrame(
        {
            "condition": ["dropout_0.3", "dropout_0.3", "dropout_0.5"],
            "seed": [0, 1, 0],
            "status": ["finished", "diverged", "finished"],
            "mlflow_run_id": [tracked[0], tracked[1], ""],
        }
    )
    notebook = nbformat.read(ROOT / "notebooks/2_experiments.ipynb", as_version=4)
    shown: dict[str, Any] = {"catalog": DataCatalog({"dropout.runs": MemoryDataset(runs)})}
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store)
    try:
        exec(notebook.cells[-1].source, shown)
    finally:
        mlflow.set_tracking_uri(before)
    assert shown["tracked"]["mean_val_accuracy"].to_dict() == {("dropout_0.3", 0): 91.0}


def test_params_change_only_this_run_and_its_results_have_a_folder(project: Path, study: str) -> None:
    reports = project / "data/08_reporting"
    before = {file: file.read_bytes() for file in reports.rglob("*") if file.is_file()}
    params = (
        "dropout.factors.model.dropout_rate=[0.1,0.6],dropout.claims=null,seeds=[7],"
        "baseline.model.fc_units=[16]"
    )
    result = kedro(project, "run", "--pipeline=dropout", f"--params={params}")
    assert result.returncode == 0, result.stderr
    folder = variant(project)
    assert folder.name.startswith(
        "baseline.model.fc_units=16,dropout.claims=null,dropout.factors.model."
    )
    assert f"the results go to data/variants/{folder.name}" in result.stdout
    assert f"kedro trials compare conf {folder.name}" in " ".join(result.stdout.split())
    table = pd.read_csv(folder / "08_reporting/dropout/trial_metrics.csv")
    assert table["condition"].tolist() == ["dropout_0.1", "dropout_0.6"]
    assert table["seed"].tolist() == [7, 7]
    assert table["total_params"].nunique() == 1
    assert table["total_params"].iloc[0] < 421_834
    parent = last_parent(project)
    tracked = children(project, parent)
    assert tracked[0].data.params["model.fc_units"] == "[16]"
    assert {run.data.tags["variant"] for run in (parent, *tracked)} == {folder.name}
    compared = kedro(project, "trials", "compare", "conf", "fc_units=16")
    assert compared.returncode == 0, compared.stderr
    assert "dropout: only B has dropout_0.1, dropout_0.6" in compared.stdout
    assert {file: file.read_bytes() for file in reports.rglob("*") if file.is_file()} == before


def test_a_study_replaces_a_champion_whose_artifacts_are_gone(project: Path, study: str) -> None:
    artifacts = project / "mlartifacts"
    artifacts.rename(project / "moved")
    result = kedro(project, "run", "--tags=registration")
    assert result.returncode == 0, result.stdout + result.stderr
    contest = json.loads((project / "data/08_reporting/contest.json").read_text())
    assert contest == {"promoted": True, "reason": "the files of the champion are gone or damaged"}
    champion = client(project).get_model_version_by_alias("fashion-mnist-cnn", "champion")
    assert int(champion.version) > 1
    assert list(artifacts.rglob("weights.safetensors"))


def test_conf_applies_from_any_working_directory(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    file = project / "conf/base/parameters_dropout.yml"
    file.write_text(file.read_text().replace("[0.0, 0.2, 0.3, 0.5, 0.7]", "[0.4]"))
    write_yaml(project / "conf/local/parameters_dropout.yml", {"dropout": {"claims": None}})
    folder = project / "notebooks"
    folder.mkdir()
    result = kedro(folder, "run", "--pipeline=dropout", "--params=seeds=1")
    assert result.returncode == 0, result.stderr
    assert trial_metrics(project)["condition"].tolist() == ["dropout_0.4"]
    assert [path.name for path in folder.iterdir()] == []
    assert "Registering" not in result.stdout, "conf/logging.yml holds here too"
    assert len(children(project, last_parent(project))) == 1
    (project / "conf/logging.yml").write_text("version: 1\nhandlers: {a: 3}\n")
    result = kedro(folder, "registry", "list")
    expected = "Error: conf/logging.yml: no configuration of logging: Unable to configure handler 'a'"
    assert (result.returncode, result.stderr.splitlines()[-1]) == (1, expected)


def test_holdout_scores_only_the_final_model_on_the_test_images(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    result = kedro(project, "run", "--pipeline=pooling", "--params=data.protocol=holdout,seeds=1")
    assert result.returncode == 0, result.stderr
    report = json.loads((variant(project) / "08_reporting/pooling/final_model.json").read_text())
    assert report["protocol"] == "holdout"
    assert "took no part" in report["note"]
    summary = json.loads((variant(project) / "05_model_input/data_summary.json").read_text())
    assert summary["images"] == {"train": 100, "validation": 50, "test": 200}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for loopback that no public authority has signed; its key is beside it."""
    file, key = tmp_path / "server.pem", tmp_path / "server.key"
    if shutil.which("openssl") is None:
        pytest.skip("this machine has no openssl, which makes the certificate")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(file)]
    subprocess.run([*command, *name, *files], check=True, capture_output=True)
    return file


@pytest.fixture
def server(tmp_path: Path, certificate: Path) -> Iterator[str]:
    """Address of a tracking server on loopback, which encrypts."""
    key = certificate.with_suffix(".key")
    shutil.copy(empty_database(), tmp_path / "server.db")
    options = {
        "--workers": "1",
        "--backend-store-uri": f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination": str(tmp_path / "artifacts"),
        "--uvicorn-opts": f"--ssl-certfile={certificate} --ssl-keyfile={key}",
    }
    command = ("mlflow", "server", "--host", "127.0.0.1", *chain.from_iterable(options.items()))
    with served(*command, "--port", cwd=tmp_path, health="/health", certificate=certificate) as url:
        yield url


def test_tracks_on_the_server_in_conf_while_it_answers(
    tmp_path: Path, server: str, certificate: Path
) -> None:
    project = make_project(tmp_path / "project")
    (project / "mlflow.db").unlink()
    configuration: dict[str, Any] = {
        "server": {"mlflow_tracking_uri": server},
        "tracking": {"experiment": {"create_experiment_kwargs": {"artifact_location": None}}},
    }
    write_yaml(project / "conf/local/mlflow.yml", configuration)
    run = ("run", "--pipeline=batchnorm", "--params=seeds=1")
    untrusted = kedro(project, *run)
    assert untrusted.returncode == 1
    assert "certificate" in untrusted.stderr
    assert "Traceback" not in untrusted.stderr
    result = kedro(project, *run, MLFLOW_TRACKING_SERVER_CERT_PATH=str(certificate))
    assert result.returncode == 0, result.stderr
    assert not (project / "mlflow.db").exists()
    assert sorted(run_names(tmp_path / "server.db")) == [
        "batchnorm",
        "batchnorm_False seed 0",
        "batchnorm_True seed 0",
    ]
    assert list((tmp_path / "artifacts").rglob("batchnorm_comparison.png"))

    reports = project / "data/08_reporting/batchnorm"
    shutil.rmtree(reports)

    def run_impatiently() -> "subprocess.CompletedProcess[str]":
        return kedro(
            project,
            *run,
            MLFLOW_TRACKING_SERVER_CERT_PATH=str(certificate),
            MLFLOW_HTTP_REQUEST_TIMEOUT="2",
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        )

    with ThreadPoolExecutor() as pool:
        running = pool.submit(run_impatiently)
        while not running.done() and run_names(tmp_path / "server.db").count("batchnorm") < 2:
            time.sleep(0.1)
        stop_server(server)
        result = running.result()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "This run was not tracked to its end" in " ".join(result.stdout.split())
    assert (reports / "batchnorm_comparison.png").is_file()
    assert len(pd.read_csv(reports / "trial_metrics.csv")) == 2


def run_names(database: Path) -> list[str]:
    """Names of the runs that a tracking server has stored."""
    with closing(sqlite3.connect(database)) as connection:
        return [name for (name,) in connection.execute("select name from runs")]


def stop_server(address: str) -> None:
    """Stop the processes of a server, which then accepts connections and never answers."""
    port = urlsplit(address).port
    listening = [
        each for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port
    ]
    for process in {each.pid for each in listening if each.status == psutil.CONN_LISTEN}:
        os.kill(process, signal.SIGSTOP)
