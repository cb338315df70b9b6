"""Servers for an environment of conf."""

import socket
from pathlib import Path

import pytest

from cnn_ablation.adapters.server_commands import page_address
from tests.conftest import kedro, make_project, write_yaml


def test_the_address_of_a_view_selects_model_training() -> None:
    assert page_address("http://host", "3", "trials") == (
        "http://host/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=trials"
    )


@pytest.mark.parametrize("command", ["serve", "tracking"])
def test_a_port_that_another_server_uses_is_refused(tmp_path: Path, command: str) -> None:
    project = make_project(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = kedro(project, command, f"--port={port}")
    assert result.returncode == 1
    line = f"Error: --port: {port} cannot be used (Address already in use); allowed: a free port"
    assert result.stderr.splitlines()[-1] == line
    assert "http://" not in result.stdout


def test_conf_names_the_place_of_mlflows_page(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        write_yaml(project / "conf/local/mlflow.yml", {"ui": {"host": "127.0.0.2", "port": port}})
        result = kedro(project, "tracking")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: --port: {port} cannot be used at ui.host, 127.0.0.2 (Address already in use); "
        "allowed: a free port"
    )
