"""The tracking server or database of a run, checked and prepared before kedro-mlflow opens it."""

import errno
import logging
import os
import re
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from filelock import SoftFileLock

from cnn_ablation.adapters import artifact_location, tracking_settings
from cnn_ablation.adapters.conf_files import ConfFiles, project_uri, read_kind
from cnn_ablation.adapters.config_loader import PROJECT_ROOT
from cnn_ablation.adapters.validation import invalid_keys
from cnn_ablation.datasets.mlflow_address import local_address
from cnn_ablation.datasets.tracking import impatient, tracking
from cnn_ablation.errors import InputError, suggestion
from cnn_ablation.secret_texts import hide_secrets

logger = logging.getLogger(__name__)

URI = ("server", "mlflow_tracking_uri")
"""Steps of the key in mlflow.yml that names the server or database."""

RUN_ID = ("tracking", "run", "id")
"""Steps of the key in mlflow.yml that names a run to continue."""

PORT = ("ui", "port")
"""Steps of the key in mlflow.yml that names the port of MLflow's page."""

GIVEN_URI = os.environ.get("MLFLOW_TRACKING_URI")
"""The server or database that the user's environment names. MLflow overwrites the variable later."""

SCHEMES = (
    "sqlite, postgresql, mysql, mssql, http, https or databricks, such as sqlite:////home/me/mlflow.db"
)

SERVER_TIMEOUT = 5
"""Seconds in which a tracking server must begin or go on to answer before a run."""

SERVER_DEADLINE = 20
"""Seconds in which a tracking server must have answered everything before a run."""

LOCK_TIMEOUT = 20.0
"""Seconds to wait while another process has locked the database, as MLflow waits."""

NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Error numbers of file systems without hard links, such as FAT and some network file systems."""

NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Codes of MLflow's errors if there is no such run, or its id has characters that no id has."""

FAULTY = ("mlflow", "sqlalchemy", "alembic", "requests", "urllib3", "sqlite3")
"""Packages whose errors are those of a server or a database."""

DISK_IS_FULL = "No space left|disk is full"
"""Pattern of the errors of systems and of SQLite if a disk is full."""

ADVICE = {
    "is a folder": "move it away, or name another file",
    "not a database": "move this file away, and the next run creates a new one",
    "database is locked": "end the process that uses it, or try again later",
    "out-of-date database schema|Can't locate revision": (
        "another version of MLflow wrote it. If that was an older one, copy the database and run "
        "`mlflow db upgrade` on it; if a newer one, install that version"
    ),
    DISK_IS_FULL: "make space there, and in the folder of temporary files (see TMPDIR)",
    "unsupported URI": f"allowed: {SCHEMES}",
    "Max retries|timed out|Connection|HTTPS?ConnectionPool": (
        "cannot be reached. Start that server, name another one, or leave the key out to track in "
        "mlflow.db"
    ),
}
"""Advice by a pattern of the errors that need it."""


def prepare(conf_files: ConfFiles, lock_timeout: float = LOCK_TIMEOUT) -> None:
    """Validate mlflow.yml, check that the server or database can be used, and create what is missing.

    Without this, kedro-mlflow would wait for minutes and end in a traceback. Credentials in the address
    of a server move to the environment variables that MLflow reads, because MLflow prints addresses.

    Raises:
        InputError: A key or an environment variable is not valid, or the server or database cannot be
            used.
    """
    import mlflow
    from kedro_mlflow.config.kedro_mlflow_config import UiOptions

    settings = read_settings(conf_files)
    ui = UiOptions(**settings.get("ui", {}))
    tracking.local_page = local_address(ui.host, ui.port)
    server = settings["server"]
    place = conf_files.place_of(URI, "mlflow")
    named = server["mlflow_tracking_uri"]
    server["mlflow_tracking_uri"] = uri = _without_credentials(named)
    # kedro-mlflow reads them later.
    conf_files.loader["mlflow"] = settings
    _export_credentials(conf_files, server.get("credentials"))
    tracking_settings.check_environment()
    provider = server.get("request_header_provider", {}).get("type")
    if provider is not None:
        tracking_settings.check_provider(conf_files, provider)
    if mlflow.active_run() is not None or provider is not None:
        return  # Only kedro-mlflow can reach this server.
    if GIVEN_URI and GIVEN_URI not in (named, uri):
        logger.warning(
            "MLFLOW_TRACKING_URI (%s) is not used: %s: %s names %s",
            *(hide_secrets(GIVEN_URI), place, ".".join(URI), hide_secrets(uri)),
        )

    def prepare_experiment() -> None:
        client = mlflow.MlflowClient(uri, server.get("mlflow_registry_uri"))
        _prepare_experiment(client, conf_files, settings)
        _check_run(client, conf_files, settings["tracking"])

    with reported(place, uri), impatient(SERVER_TIMEOUT):
        if file := sqlite_file(uri):
            check_database(file, lock_timeout)
            create_database(file)
        if urlsplit(uri).scheme in ("http", "https"):
            _finish_within(SERVER_DEADLINE, prepare_experiment)
        else:
            prepare_experiment()


def read_settings(conf_files: ConfFiles) -> dict[str, Any]:
    """The settings of mlflow.yml. Null means the default; without a server, that is mlflow.db.

    Raises:
        InputError: A key is not valid.
    """
    from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig

    settings: dict[str, Any] = _without_null(read_kind(conf_files.loader, "mlflow"))
    _read_port(conf_files, settings.get("ui"))
    problems = [
        f"{conf_files.place_of(steps, 'mlflow')}: {'.'.join(steps)}: {reason}"
        for steps, reason in invalid_keys(KedroMlflowConfig, settings)
    ]
    if problems:
        raise InputError("\n  ".join(problems))
    server = settings.setdefault("server", {})
    group = settings.setdefault("tracking", {})
    experiment = group.setdefault("experiment", {})
    experiment.setdefault("name", "cnn_ablation")
    tracking_settings.check_experiment(conf_files, experiment)
    location = experiment.get("create_experiment_kwargs", {}).get("artifact_location")
    if location is not None:
        artifact_location.check_text(conf_files, location)
    # The project nests trials itself. With true, kedro-mlflow reopens the run, nested in itself.
    group["run"] = {**group.get("run", {}), "nested": False}
    if group.get("params", {}).get("long_params_strategy", "fail") == "fail":
        # The longest experiments exceed MLflow's limit.
        group["params"] = {**group.get("params", {}), "long_params_strategy": "tag"}
    if "mlflow_tracking_uri" not in server:
        server["mlflow_tracking_uri"] = f"sqlite:///{project_uri()}/mlflow.db"
        created = experiment.setdefault("create_experiment_kwargs", {})
        created.setdefault("artifact_location", f"{PROJECT_ROOT.as_posix()}/mlartifacts")
    tracking_settings.check_addresses(conf_files, server)
    uri = server["mlflow_tracking_uri"]
    place = f"{conf_files.place_of(URI, 'mlflow')}: {'.'.join(URI)}: {hide_secrets(uri)!r}"
    try:
        scheme = uri if uri.startswith("databricks") else urlsplit(uri).scheme.partition("+")[0]
    except ValueError as error:
        raise InputError(f"{place} is not an address: {error}; allowed: {SCHEMES}") from None
    if scheme in ("", "file") and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in (
        "true",
        "1",
    ):
        raise InputError(
            f"{place} is a folder or has no scheme; MLflow no longer tracks in folders; "
            f"allowed: {SCHEMES}"
        )
    return settings


@contextmanager
def reported(place: str, uri: str) -> Iterator[None]:
    """Report errors of a server or database by the key that names it, without secrets.

    Raises:
        InputError: The server or database cannot be used.
    """
    try:
        yield
    except Exception as error:
        # A driver that is not installed, and an address that SQLAlchemy cannot take apart.
        if not (is_tracking_error(error) or isinstance(error, (ImportError, ValueError))):
            raise
        reason = hide_secrets(getattr(error, "message", None) or str(error))
        raise InputError(f"{place}: {'.'.join(URI)}: {hide_secrets(uri)}: {_advice(reason)}") from None


def is_tracking_error(error: BaseException) -> bool:
    """Whether an error comes from a tracking server, its database or its files."""
    packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return isinstance(error, OSError) or not packages.isdisjoint(FAULTY)


def check_database(file: Path, timeout: float) -> None:
    """Check that a file is an SQLite database that can be read. MLflow would try for minutes.

    Raises:
        OSError: It is a folder, or cannot be opened.
        sqlite3.Error: It is something else, or is locked for longer than `timeout` seconds.
    """
    if file.is_dir():
        raise IsADirectoryError("is a folder")
    if file.exists():
        database = sqlite3.connect(file, timeout=timeout)
        try:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            database.close()


def create_database(file: Path) -> None:
    """Create MLflow's tables, unless the file exists. Other processes see all of them or no file.

    MLflow itself creates them one after the other: if two processes do that, one of them fails.

    Raises:
        OSError: The file cannot be created.
    """
    import mlflow

    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        created = Path(folder) / file.name
        mlflow.MlflowClient(f"sqlite:///{created.as_posix()}").search_experiments(max_results=1)
        copy = file.with_name(f".{file.name}-{os.getpid()}")
        try:
            shutil.copyfile(created, copy)
            _place(copy, file)
        finally:
            copy.unlink(missing_ok=True)


def _finish_within(seconds: float, work: Callable[[], None]) -> None:
    """Call a function, but do not wait for it longer than this.

    MLflow's own timeout begins anew with every byte of an answer.

    Raises:
        TimeoutError: The function has not returned. It goes on in a thread that ends with the process.
    """
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            work()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"timed out: no complete answer in {seconds} seconds")
    for error in errors:
        raise error


def _place(copy: Path, file: Path) -> None:
    """Give a file its name, unless another process has created a file with that name meanwhile."""
    try:
        # Unlike a rename, a link never replaces a file.
        with suppress(FileExistsError):
            os.link(copy, file)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with SoftFileLock(file.with_name(f".{file.name}.lock"), timeout=LOCK_TIMEOUT):
            if not file.exists():
                copy.replace(file)


def _prepare_experiment(client: Any, conf_files: ConfFiles, settings: Mapping[str, Any]) -> None:
    """Create the experiment, unless it exists, and check or compare the place of its artifacts."""
    uri, experiment = settings["server"]["mlflow_tracking_uri"], settings["tracking"]["experiment"]
    location = experiment.get("create_experiment_kwargs", {}).get("artifact_location")
    address = location and artifact_location.address_of(location, conf_files.project_path)
    existing = client.get_experiment_by_name(experiment["name"])
    if existing is None:
        if address:
            artifact_location.check_usable(conf_files, address, uri)
        _create_experiment(client, experiment, address)
    elif address:
        in_file = sqlite_file(uri) is not None
        artifact_location.warn_of_another(conf_files, existing, address, in_file)


def _create_experiment(client: Any, experiment: Mapping[str, Any], address: str | None) -> None:
    from mlflow.exceptions import MlflowException

    tags = experiment.get("create_experiment_kwargs", {}).get("tags")
    try:
        client.create_experiment(experiment["name"], address, tags)
    except MlflowException as error:
        # Another process has created it meanwhile.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _check_run(client: Any, conf_files: ConfFiles, group: Mapping[str, Any]) -> None:
    """Reject a run to continue that does not exist, before kedro-mlflow gives up tracking for it."""
    from mlflow.exceptions import MlflowException

    given = group["run"].get("id")
    run_id = given or os.environ.get("MLFLOW_RUN_ID")
    if not run_id:
        return
    name = group["experiment"]["name"]
    try:
        run = client.get_run(run_id).info
        experiment = client.get_experiment_by_name(name)
        if run.lifecycle_stage == "active" and run.experiment_id == experiment.experiment_id:
            return
    except MlflowException as error:
        if error.error_code not in NOT_FOUND:
            raise
    key = f"{conf_files.place_of(RUN_ID, 'mlflow')}: {'.'.join(RUN_ID)}"
    raise InputError(
        f"{key if given else 'MLFLOW_RUN_ID'}: there is no run {run_id!r} in the experiment {name}; "
        "allowed: the id of one of its runs, to continue that run, or nothing, to start a new one"
    )


def _read_port(conf_files: ConfFiles, ui: Any) -> None:
    """Check the port of MLflow's page. It may be an integer, which kedro-mlflow itself rejects."""
    if not (isinstance(ui, dict) and "port" in ui):
        return
    given = ui["port"]
    ui["port"] = port = str(given)
    if not (re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        reason = f"{given!r} is not a port; allowed: an integer from 1 to 65535"
        raise conf_files.invalid(PORT, reason, "mlflow")


def _export_credentials(conf_files: ConfFiles, name: str | None) -> None:
    if name is None:
        return
    credentials = read_kind(conf_files.loader, "credentials")
    values = credentials.get(name)
    if not (isinstance(values, Mapping) and all(isinstance(value, str) for value in values.values())):
        raise conf_files.invalid(
            ("server", "credentials"),
            f"{name!r} is not a mapping of environment variables to texts in credentials.yml; found "
            f"there: {', '.join(map(str, credentials)) or 'nothing'}.{suggestion(name, credentials)}",
            "mlflow",
        )
    tracking_settings.check_variables(conf_files, name, values)
    os.environ.update(values)


def _without_credentials(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or parts.username is None:
        return uri
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _without_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return value


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite database with this address, or None for another database."""
    from sqlalchemy.engine import make_url

    url = make_url(uri) if uri.startswith("sqlite") else None
    return Path(url.database) if url is not None and url.database not in (None, "", ":memory:") else None


def _advice(reason: str) -> str:
    line = " ".join(reason.split())[:500]
    for pattern, advice in ADVICE.items():
        if re.search(pattern, line):
            return f"{advice} ({line})"
    return line
