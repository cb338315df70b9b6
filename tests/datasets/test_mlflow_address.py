"""The address of MLflow's user interface."""

import pytest

from cnn_ablation.datasets.mlflow_address import ui_address


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:////somewhere/mlflow.db", "http://127.0.0.1:5000/"),
        ("http://host:1234", "http://host:1234/"),
        ("https://user:secret@host/mlflow/", "https://host/mlflow/"),
    ],
)
def test_links_to_runs_have_no_credentials(uri: str, expected: str) -> None:
    assert ui_address(uri) == expected
