"""The address of MLflow's user interface."""

from typing import Any
from urllib.parse import urlsplit

from cnn_ablation.datasets.base import ReadOnlyDataset
from cnn_ablation.datasets.tracking import tracking

LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where this machine reaches a server that listens at all of its addresses."""


class MlflowAddressDataset(ReadOnlyDataset[str]):
    """The address of the user interface that shows the runs of the active tracking server.

    Args:
        metadata: Read by plugins, such as kedro-viz.
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> str:
        """Return the address; see `ui_address`."""
        import mlflow

        return ui_address(mlflow.get_tracking_uri(), tracking.local_page)

    def _describe(self) -> dict[str, Any]:
        return {}


def local_address(host: str, port: int | str) -> str:
    """Address at which a browser on this machine reaches a server that listens on a host and a port."""
    host = LOOPBACK.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def ui_address(tracking_uri: str, local: str) -> str:
    """Address of MLflow's user interface, without credentials, ending in a slash.

    Args:
        tracking_uri: That of a server, or of a database.
        local: Address of the server on this machine that serves a database.
    """
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return local
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/"
