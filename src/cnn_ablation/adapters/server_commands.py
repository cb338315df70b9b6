"""`kedro serve` and `kedro tracking`: servers for an environment of conf."""

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata

from cnn_ablation.adapters.click_errors import click_errors
from cnn_ablation.adapters.relocation import check_place
from cnn_ablation.datasets.mlflow_address import local_address, ui_address
from cnn_ablation.errors import InputError

if TYPE_CHECKING:
    from cnn_ablation.datasets import MlflowClassifierDataset

HOST = "127.0.0.1"
PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--port", type=PORT, default=5001, show_default=True, help="Port on this machine.")
@env_option
@click.pass_obj
@click_errors()
def serve(metadata: ProjectMetadata, port: int, env: str | None) -> None:
    """Serve the registered model on this machine. The champion answers, unless conf says otherwise."""
    _check_port(port)
    context = load_context(metadata, env)
    check_place(context.conf_files)
    dataset = context.catalog.get("classifier")
    model = cast("MlflowClassifierDataset", dataset).load_served()

    import uvicorn

    from cnn_ablation.serving.server import application

    click.echo(f"Serving at http://{HOST}:{port}/invocations; end with Ctrl-C")
    uvicorn.run(application(model), host=HOST, port=port, log_level="warning")


@click.command()
@click.option(
    "--port",
    type=PORT,
    show_default="ui.port in mlflow.yml, or 5000",
    help="Port on this machine.",
)
@env_option
@click.pass_obj
@click_errors()
def tracking(metadata: ProjectMetadata, port: int | None, env: str | None) -> None:
    """Show tracked runs on MLflow's page, and print the address that lists the trials."""
    context = load_context(metadata, env)
    server = context.mlflow.server.mlflow_tracking_uri
    local = not server.startswith(("http://", "https://"))
    host, port = context.mlflow.ui.host, port or int(context.mlflow.ui.port)
    if local:
        _check_port(port, host)
    base = ui_address(server, local_address(host, port)).rstrip("/")
    experiment = context.mlflow.tracking.experiment._experiment.experiment_id
    for view in ("runs", "trials"):
        click.echo(f"{view.capitalize()}: {page_address(base, experiment, view)}")
    if local:
        # Other users can read the arguments of a process, and the address can hold a password.
        _start("ui", f"--host={host}", f"--port={port}", MLFLOW_BACKEND_STORE_URI=server)


def page_address(base: str, experiment: str, view: str) -> str:
    """Address of the runs of an experiment on MLflow's page.

    Without the workflow in the address, the page opens with tools for language models, whatever the
    experiment's kind is.

    Args:
        base: Address of the server.
        experiment: Id of the experiment.
        view: Key of a shared view.
    """
    state = f"workflowType=machine_learning&viewStateShareKey={view}"
    return f"{base}/#/experiments/{experiment}/runs?{state}"


def _check_port(port: int, host: str = HOST) -> None:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            # Servers also do this: a port is free at once when its server has ended.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        where = "" if host == HOST else f" at ui.host, {host}"
        raise InputError(
            f"--port: {port} cannot be used{where} ({error.strerror}); allowed: a free port"
        ) from None


def load_context(metadata: ProjectMetadata, env: str | None) -> Any:
    """The context of the project in an environment of conf."""
    return KedroSession.create(Path(metadata.project_path), env=env).load_context()


def _start(*arguments: str, **variables: str) -> NoReturn:
    import mlflow

    # MLflow starts other programs by name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    variables |= {"PATH": path, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    # The server takes the place of this process, so that a signal that ends the command ends the server.
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments], {**os.environ, **variables})
