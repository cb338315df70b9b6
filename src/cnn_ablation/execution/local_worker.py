"""What Dask loads in each worker of a local cluster."""

import signal


def dask_setup(_: object) -> None:
    """Leave Ctrl-C, which reaches workers too, to the run that has them: it ends them by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
