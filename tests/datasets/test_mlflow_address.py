"""The address of MLflow's user interface."""

import pytest

from cnn_ablation.datasets.mlflow_address import local_address, ui_address


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:////somewhere/mlflow.db", "http://127.0.0.1:5050/"),
        ("http://host:1234", "http://host:1234/"),
        ("https://user:secret@host/mlflow/", "https://host/mlflow/"),
    ],
)
def test_links_to_runs_have_no_credentials(uri: str, expected: str) -> None:
    assert ui_address(uri, "http://127.0.0.1:5050/") == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:5050/"),
        ("localhost", "http://localhost:5050/"),
        ("0.0.0.0", "http://127.0.0.1:5050/"),
        ("::1", "http://[::1]:5050/"),
        ("::", "http://[::1]:5050/"),
    ],
)
def test_a_browser_on_this_machine_reaches_the_local_page(host: str, expected: str) -> None:
    assert local_address(host, 5050) == expected
