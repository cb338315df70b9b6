"""The pages of Kedro-Viz and MLflow for a run, in a browser."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import mlflow
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from cnn_ablation.adapters.server_commands import page_address
from tests.conftest import CHROMIUM, STUDY, kedro, needs_chromium, served

pytestmark = needs_chromium
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PATIENCE = 60_000
"""Milliseconds within which a page must load, even on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        playwright.selectors.set_test_id_attribute("data-test")  # the attribute that Kedro-Viz uses
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1500, "height": 950})
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield page
    page.close()


@pytest.fixture(scope="module")
def results(project: Path) -> Path:
    """A project with the results of one experiment."""
    result = kedro(project, "run", "--pipeline=batchnorm")
    assert result.returncode == 0, result.stderr
    return project


def open_experiment(page: Page, address: str) -> None:
    """Open Kedro-Viz, check that it lists all experiments, and open one experiment."""
    page.add_init_script("localStorage.setItem('KedroViz', '{\"showFeatureHints\": false}')")
    page.goto(f"{address}/?pid=__default__&expandAllPipelines=true")
    for name in STUDY:
        expect(page.get_by_test_id(f"node-list-tree-item--row--main.{name}")).to_be_visible()
    page.goto(f"{address}/?pid=batchnorm&expandAllPipelines=true")
    expect(page.get_by_text("train_trials", exact=True).first).to_be_visible()


def open_dataset(page: Page, name: str) -> None:
    """Open a dataset's panel. Kedro-Viz ignores a click that arrives while it draws a preview."""
    panel = page.locator(".pipeline-metadata").get_by_text(name, exact=True).first
    deadline = time.monotonic() + PATIENCE / 1000
    while not panel.is_visible():
        assert time.monotonic() < deadline, f"Kedro-Viz does not open {name}"
        page.get_by_test_id(f"node-list-tree-item--row--{name}").click()
        with suppress(PlaywrightTimeout):
            panel.wait_for(timeout=5000)


def test_viz_build_shows_experiments_and_previews(results: Path, page: Page) -> None:
    built = kedro(results, "viz", "build", "--include-previews")
    assert built.returncode == 0, built.stderr
    with served("http.server", "--directory=build", "--bind=127.0.0.1", cwd=results) as address:
        open_experiment(page, address)
        open_dataset(page, "batchnorm.batchnorm_comparison_figure")
        expect(page.locator("img.pipeline-metadata__plot-image")).to_be_visible()
        open_dataset(page, "batchnorm.condition_summary")
        preview = page.locator(".pipeline-metadata__preview").or_(page.locator("table"))
        expect(preview.get_by_text("batchnorm_True").first).to_be_visible()
        open_dataset(page, "data_summary")
        expect(page.get_by_text("class_names").first).to_be_visible()


def test_viz_run_shows_experiments(results: Path, page: Page) -> None:
    with served("kedro", "viz", "run", "--no-browser", "--port", cwd=results) as address:
        open_experiment(page, address)


def test_viz_shows_the_study_as_a_box_at_first(results: Path, page: Page) -> None:
    with served("kedro", "viz", "run", "--no-browser", "--port", cwd=results) as address:
        page.add_init_script("localStorage.setItem('KedroViz', '{\"showFeatureHints\": false}')")
        page.goto(address)
        nodes = page.locator(".pipeline-node")
        expect(nodes.filter(has_text="journal_html")).to_be_visible()
        shown = {text.strip() for text in nodes.all_text_contents()}
    assert {"images", "splits", "main", "study_summary", "journal_html"} <= shown
    assert len(shown) < 20


def test_mlflow_shows_runs_and_trials_in_views_of_their_own(results: Path, page: Page) -> None:
    store = f"sqlite:///{results}/mlflow.db"
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("fashion_mnist_cnn_tuning")
    assert experiment is not None
    (parent,) = [
        run
        for run in client.search_runs([experiment.experiment_id])
        if "mlflow.parentRunId" not in run.data.tags
    ]
    with served("kedro", "tracking", "--port", cwd=results) as address:
        page.goto(page_address(address, experiment.experiment_id, "trials"))
        expect(page.get_by_text("mean_val_accuracy").first).to_be_visible()
        expect(page.get_by_role("link", name="batchnorm_True seed 0", exact=True)).to_be_visible()
        expect(page.get_by_role("link", name="batchnorm", exact=True)).to_have_count(0)
        page.goto(page_address(address, experiment.experiment_id, "runs"))
        expect(page.get_by_text("best_mean_val_accuracy").first).to_be_visible()
        expect(page.get_by_role("link", name="batchnorm", exact=True)).to_be_visible()
        runs = f"{address}/#/experiments/{experiment.experiment_id}/runs"
        page.goto(f"{runs}/{parent.info.run_id}")
        expect(page.get_by_text("Does batch normalization improve").first).to_be_visible()
        page.goto(f"{runs}/{parent.info.run_id}/artifacts/batchnorm/batchnorm_comparison.png")
        expect(page.locator("img[src*=blob], img[src*=artifact]").first).to_be_visible()
        processes = psutil.Process().children(recursive=True)
        arguments = [word for process in processes for word in process.cmdline()]
        # Other users can read them, and an address can hold a password.
        assert not any("sqlite:" in word for word in arguments)
    listed = (results / "server.log").read_text()
    assert page_address(address, experiment.experiment_id, "trials") in listed
