"""Servers for an environment of conf."""

from pathlib import Path

import mlflow
import pytest

from cnn_ablation.adapters.server_commands import model_uri, page_address
from cnn_ablation.errors import StudyError


def test_a_model_that_is_not_registered_is_reported_in_a_line(tmp_path: Path) -> None:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        with pytest.raises(StudyError, match="There is no model networks with the version champion"):
            model_uri("networks", "champion")
        client = mlflow.MlflowClient()
        client.create_registered_model("networks")
        client.create_model_version("networks", source=str(tmp_path))
        client.set_registered_model_alias("networks", "champion", "1")
        assert model_uri("networks", "champion") == "models:/networks@champion"
        assert model_uri("networks", "1") == "models:/networks/1"
        with pytest.raises(StudyError, match="make serve ENV=demo"):
            model_uri("networks", "2")
    finally:
        mlflow.set_tracking_uri(before)


def test_the_address_of_a_view_selects_model_training() -> None:
    assert page_address("http://host", "3", "trials") == (
        "http://host/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=trials"
    )
