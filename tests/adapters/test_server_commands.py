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


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_conf_names_the_place_of_mlflows_page(tmp_path: Path, host: str) -> None:
    project = make_project(tmp_path)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"this machine has no address {host}: {error}")
    with server:
        port = server.getsockname()[1]
        write_yaml(project / "conf/local/mlflow.yml", {"ui": {"host": host, "port": port}})
        result = kedro(project, "tracking")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: --port: {port} cannot be used at ui.host, {host} (Address already in use); "
        "allowed: a free port"
    )
