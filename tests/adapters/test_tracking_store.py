"""The configuration of tracking, and servers and databases that cannot be used."""

import errno
import os
import shutil
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import mlflow
import pytest

from cnn_ablation.adapters import tracking_store
from cnn_ablation.adapters.conf_files import LOADER_ARGUMENTS, ConfFiles, project_uri
from cnn_ablation.adapters.config_loader import ProjectConfigLoader
from cnn_ablation.adapters.tracking_store import create_database, prepare, read_settings, reported
from cnn_ablation.datasets import MlflowAddressDataset
from cnn_ablation.errors import InputError
from tests.conftest import ROOT, write_yaml

PROVIDER = "mlflow.tracking.request_header.default_request_header_provider.DefaultRequestHeaderProvider"
"""A class that adds headers to MLflow's requests."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_ALLOW_FILE_STORE"),
        *("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI"),
    ):
        # Restored after the test, even if the test's code sets it.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def configuration(folder: Path, content: Any, **others: Any) -> ConfFiles:
    (folder / "conf/base").mkdir(parents=True, exist_ok=True)
    for kind, values in {"mlflow": content, **others}.items():
        if values is None:
            (folder / f"conf/base/{kind}.yml").touch()
        else:
            write_yaml(folder / f"conf/base/{kind}.yml", values)
    (folder / "conf/local").mkdir(exist_ok=True)
    return ConfFiles(ProjectConfigLoader(str(folder / "conf"), **LOADER_ARGUMENTS), folder)


def at(folder: Path, uri: str) -> ConfFiles:
    experiment = {"name": "test", "create_experiment_kwargs": {"artifact_location": str(folder)}}
    return configuration(
        folder, {"server": {"mlflow_tracking_uri": uri}, "tracking": {"experiment": experiment}}
    )


def experiment(**values: Any) -> Any:
    return {"tracking": {"experiment": values}}


def provided(name: str) -> Any:
    return {"server": {"request_header_provider": {"type": name}}}


def created(**values: Any) -> Any:
    return experiment(name="test", create_experiment_kwargs=values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"server": {"mlflow_traking_uri": "x"}},
            "server.mlflow_traking_uri: unknown key; allowed: mlflow_tracking_uri, mlflow_registry_uri, "
            "credentials, request_header_provider. Did you mean 'mlflow_tracking_uri'?",
        ),
        ({"servr": {}}, "servr: unknown key; allowed: server, tracking, ui. Did you mean 'server'?"),
        (
            {"tracking": {"run": {"nestd": True}}},
            "tracking.run.nestd: unknown key; allowed: id, name, nested. Did you mean 'nested'?",
        ),
        (
            {"server": {"mlflow_tracking_uri": 5}},
            "server.mlflow_tracking_uri: Input should be a valid string",
        ),
        ({"server": []}, "server: "),
        ({"ui": {"port": "abc"}}, "ui.port: 'abc' is not a port; allowed: an integer from 1 to 65535"),
        ({"ui": {"port": 65536}}, "ui.port: 65536 is not a port"),
        ({"ui": {"port": 0.5}}, "ui.port: 0.5 is not a port"),
        ({"ui": {"host": 5}}, "ui.host: Input should be a valid string"),
        ({"ui": 5}, "ui: "),
        (
            {"server": {"mlflow_tracking_uri": "mlruns"}},
            "server.mlflow_tracking_uri: 'mlruns' is a folder or",
        ),
        (
            {"server": {"mlflow_tracking_uri": "file:./mlruns"}},
            "'file:./mlruns' is a folder or has no scheme",
        ),
        ({"server": {"mlflow_tracking_uri": ""}}, "server.mlflow_tracking_uri: '' is a folder or"),
        ({"server": {"mlflow_tracking_uri": "127.0.0.1:5000"}}, "allowed: sqlite, postgresql"),
        ({"server": {"mlflow_tracking_uri": "htp://host"}}, "allowed: sqlite, postgresql"),
        ({"server": {"mlflow_tracking_uri": "localhost:5000"}}, "allowed: sqlite, postgresql"),
        (
            {"server": {"mlflow_tracking_uri": "sqlite:///a\0.db"}},
            "has a control character, such as a line break; allowed",
        ),
        ({"server": {"mlflow_tracking_uri": "http://[::1"}}, "'http://[::1' is not an address: Invalid"),
        ({"server": {"mlflow_tracking_uri": "mysql://u:pw@127.0.0.1/db"}}, "No module named"),
        (
            {"server": {"mlflow_tracking_uri": "sqlite:///a\0b.db"}},
            "server.mlflow_tracking_uri: has a control character",
        ),
        (
            {"server": {"mlflow_registry_uri": "http://a:hunter\n2@b"}},
            "server.mlflow_registry_uri: has a control character",
        ),
        (provided("nope.Nope"), ".type: 'nope.Nope' cannot be loaded (ModuleNotFoundError: No module"),
        (provided("os.path"), ".type: 'os.path' is not a RequestHeaderProvider; allowed: a subclass of"),
        (provided("builtins.int"), ".type: 'builtins.int' is not a RequestHeaderProvider"),
        (provided(""), ".type: '' cannot be loaded (ValueError: Empty module name)"),
        (created(artifact_location=""), ".artifact_location: is empty; allowed: a folder that can be"),
        (created(artifact_location="~/art"), ".artifact_location: '~/art' begins with ~, which MLflow"),
        (created(artifact_location="a\0b"), ".artifact_location: has a control character"),
        (experiment(name=" "), "tracking.experiment.name: is empty; allowed: a name"),
        (experiment(name="a" * 501), "tracking.experiment.name: has 501 characters; allowed: at most"),
        (
            created(tags={"a": 1}),
            "tracking.experiment.create_experiment_kwargs.tags.a: 1 is not a text; allowed: a text",
        ),
        (
            created(tags={5: "a"}),
            "tracking.experiment.create_experiment_kwargs.tags.5: the name 5 is not a text",
        ),
    ],
)
def test_unusable_settings_are_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError) as raised:
        prepare(configuration(tmp_path, content))
    assert str(raised.value).startswith("conf/base/mlflow.yml: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"server": None, "tracking": None},
        {"server": {"mlflow_tracking_uri": None}, "tracking": {"run": {"nested": True}}},
    ],
)
def test_null_is_the_projects_own_database(tmp_path: Path, content: Any) -> None:
    settings = read_settings(configuration(tmp_path, content))
    assert settings["server"]["mlflow_tracking_uri"] == f"sqlite:///{project_uri()}/mlflow.db"
    experiment = settings["tracking"]["experiment"]
    assert experiment["create_experiment_kwargs"]["artifact_location"] == f"{ROOT}/mlartifacts"
    assert settings["tracking"]["run"]["nested"] is False


def test_the_file_that_kedro_mlflow_init_writes_can_be_used(tmp_path: Path) -> None:
    import kedro_mlflow

    template = Path(kedro_mlflow.__file__).parent / "template/project/mlflow.yml"
    (tmp_path / "conf/local").mkdir(parents=True)
    text = template.read_text(encoding="utf-8").replace("{{ python_package }}", "mine")
    (tmp_path / "conf/local/mlflow.yml").write_text(text, encoding="utf-8")
    own = read_settings(configuration(tmp_path, {}))
    assert own["server"]["mlflow_tracking_uri"] == f"sqlite:///{project_uri()}/mlflow.db"
    assert own["tracking"]["params"]["long_params_strategy"] == "tag"


def test_a_database_is_created_with_its_experiment(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20c?d"
    uri = f"sqlite:///{tmp_path}/a b%2520c%3Fd/mlflow.db"
    prepare(at(tmp_path, uri))
    assert (folder / "mlflow.db").is_file()
    assert [file.name for file in folder.iterdir()] == ["mlflow.db"]
    assert mlflow.MlflowClient(uri).get_experiment_by_name("test") is not None
    prepare(at(tmp_path, uri))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    create_database(file)
    return file


def refuse_links(source: Path, target: Path) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted", str(source), None, str(target))


def test_a_database_is_created_on_a_file_system_without_links(
    tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse_links)
    file = tmp_path / "mlflow.db"
    create_database(file)
    assert mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("link", [os.link, refuse_links])
def test_a_database_that_another_process_creates_meanwhile_is_kept(
    tmp_path: Path, empty: Path, link: Callable[[Path, Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", link)
    file = tmp_path / "mlflow.db"
    copy = shutil.copyfile

    def slow_copy(_: Path, target: Path) -> None:
        copy(empty, target)
        file.write_text("of the other process", encoding="utf-8")

    monkeypatch.setattr(shutil, "copyfile", slow_copy)
    create_database(file)
    assert file.read_text(encoding="utf-8") == "of the other process"
    assert list(tmp_path.iterdir()) == [file]


def test_an_experiment_that_another_process_creates_meanwhile_is_used(
    tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shutil.copyfile(empty, tmp_path / "mlflow.db")
    prepare(at(tmp_path, f"sqlite:///{file}"))
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "get_experiment_by_name", lambda *_: None)
        prepare(at(tmp_path, f"sqlite:///{file}"))


def continuing(folder: Path, database: Path, run_id: str | None) -> ConfFiles:
    tracking = {"experiment": {"name": "test"}, "run": {"id": run_id}}
    server = {"mlflow_tracking_uri": f"sqlite:///{database}"}
    return configuration(folder, {"server": server, "tracking": tracking})


@pytest.mark.parametrize("named", ["unknown", "not/an/id", "deleted", "elsewhere"])
def test_a_run_to_continue_must_exist(
    tmp_path: Path, empty: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(shutil.copyfile(empty, tmp_path / "mlflow.db"))
    client = mlflow.MlflowClient(f"sqlite:///{file}")
    ids = {
        name: client.create_run(client.create_experiment(experiment)).info.run_id
        for name, experiment in {"deleted": "test", "elsewhere": "other"}.items()
    }
    client.delete_run(ids["deleted"])
    run_id = ids.get(named, named)
    message = f": there is no run {run_id!r} in the experiment test; allowed: "
    with pytest.raises(InputError, match=f"^conf/base/mlflow.yml: tracking.run.id{message}"):
        prepare(continuing(tmp_path, file, run_id))
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with pytest.raises(InputError, match=f"^MLFLOW_RUN_ID{message}"):
        prepare(continuing(tmp_path, file, None))


def test_a_run_that_exists_is_continued(tmp_path: Path, empty: Path) -> None:
    file = Path(shutil.copyfile(empty, tmp_path / "mlflow.db"))
    client = mlflow.MlflowClient(f"sqlite:///{file}")
    run_id = client.create_run(client.create_experiment("test")).info.run_id
    prepare(continuing(tmp_path, file, run_id))


def test_a_port_may_be_an_integer(tmp_path: Path) -> None:
    assert read_settings(configuration(tmp_path, {"ui": {"port": 5001}}))["ui"] == {"port": "5001"}


def test_links_lead_to_the_port_of_conf(tmp_path: Path, empty: Path) -> None:
    file = shutil.copyfile(empty, tmp_path / "mlflow.db")
    for port, ui in (("5000", {}), ("5050", {"ui": {"port": 5050}})):
        settings = {"server": {"mlflow_tracking_uri": f"sqlite:///{file}"}, **ui}
        prepare(configuration(tmp_path, settings))
        assert MlflowAddressDataset().load() == f"http://127.0.0.1:{port}/"


def test_conf_overrides_the_users_environment_with_a_warning(
    tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    file = shutil.copyfile(empty, tmp_path / "mlflow.db")
    uri = f"sqlite:///{file}"
    monkeypatch.setattr(tracking_store, "GIVEN_URI", uri)
    prepare(at(tmp_path, uri))
    assert messages == []
    monkeypatch.setattr(tracking_store, "GIVEN_URI", "http://me:hunter2@host")
    prepare(at(tmp_path, uri))
    (message,) = messages
    assert message.startswith("MLFLOW_TRACKING_URI (http://")
    assert message.endswith(
        f"host) is not used: conf/base/mlflow.yml: server.mlflow_tracking_uri names {uri}"
    )
    assert "hunter2" not in message


def test_an_existing_database_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_text("mine", encoding="utf-8")
    create_database(file)
    assert file.read_text(encoding="utf-8") == "mine"


def garbage(file: Path, _: Path) -> None:
    file.write_bytes(os.urandom(4096))


def folder(file: Path, _: Path) -> None:
    file.mkdir()


def other_revision(file: Path, empty: Path) -> None:
    shutil.copyfile(empty, file)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = '000000000000'")


def truncated(file: Path, empty: Path) -> None:
    file.write_bytes(empty.read_bytes()[:50_000])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (garbage, "move this file away, and the next run creates a new one (file is not a database)"),
        (folder, "move it away, or name another file (is a folder)"),
        (
            other_revision,
            "another version of MLflow wrote it. If that was an older one, copy the database",
        ),
        (truncated, "malformed"),
    ],
)
def test_an_unusable_database_is_named(tmp_path: Path, empty: Path, spoil: Any, message: str) -> None:
    spoil(tmp_path / "mlflow.db", empty)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(InputError) as raised:
        prepare(at(tmp_path, uri))
    assert str(raised.value).startswith(f"conf/base/mlflow.yml: server.mlflow_tracking_uri: {uri}: ")
    assert message in str(raised.value)


def test_a_full_disk_is_named_with_the_folder_of_temporary_files(tmp_path: Path) -> None:
    with (
        pytest.raises(
            InputError, match=r"sqlite:///x: make space there, and in the folder of temporary"
        ),
        reported("conf/base/mlflow.yml", "sqlite:///x"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_locked_database_is_named(tmp_path: Path, empty: Path) -> None:
    file = shutil.copyfile(empty, tmp_path / "mlflow.db")
    with sqlite3.connect(file) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"end the process that uses it, or try again later"):
            prepare(at(tmp_path, f"sqlite:///{file}"), lock_timeout=0.1)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str | None], list[int]]]:
    """A server that answers every request in the same way: address, credentials received, status."""
    received: list[str | None] = []
    status = [404]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.headers["Authorization"])
            self.answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer()

        def answer(self) -> None:
            code = status[0]
            if code == 404 and self.command == "POST":
                code, body = 200, b'{"experiment_id": "1"}'
            else:
                body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "secret"}'
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{served.server_port}", received, status
        served.shutdown()
        thread.join()


def test_credentials_of_a_server_are_used_but_not_kept_in_its_address(
    tmp_path: Path, server: tuple[str, list[str | None], list[int]]
) -> None:
    host, received, _ = server
    files = at(tmp_path, f"http://me:top%20secret@{host}")
    prepare(files)
    assert received == ["Basic bWU6dG9wIHNlY3JldA=="]
    assert files.loader["mlflow"]["server"]["mlflow_tracking_uri"] == f"http://{host}"


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_server_that_refuses_is_named_without_secrets(
    tmp_path: Path, server: tuple[str, list[str | None], list[int]], status: int
) -> None:
    host, _, answer = server
    answer[0] = status
    with pytest.raises(InputError) as raised:
        prepare(at(tmp_path, f"http://me:hunter2@{host}"))
    assert str(raised.value).startswith("conf/base/mlflow.yml: server.mlflow_tracking_uri: http://")
    assert "hunter2" not in str(raised.value)


def trickle(listener: socket.socket, stopped: threading.Event) -> None:
    """Answer a request with a byte every tenth of a second, for half a minute."""
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
        for _ in range(300):
            if stopped.wait(0.1):
                return
            connection.sendall(b" ")


def test_a_server_that_trickles_its_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_store, "SERVER_DEADLINE", 1)
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=trickle, args=(listener, stopped))
        thread.start()
        started = time.monotonic()
        try:
            message = (
                rf"^conf/base/mlflow\.yml: server\.mlflow_tracking_uri: {uri}: cannot be reached\. "
            )
            with pytest.raises(InputError, match=message):
                prepare(at(tmp_path, uri))
            assert time.monotonic() - started < 15
        finally:
            stopped.set()
            thread.join()


def test_credentials_from_a_file_are_exported(
    tmp_path: Path, server: tuple[str, list[str | None], list[int]]
) -> None:
    host, received, _ = server
    settings = {"server": {"mlflow_tracking_uri": f"http://{host}", "credentials": "mine"}}
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    credentials = {"mine": dict(zip(names, ("me", "top secret"), strict=True))}
    prepare(configuration(tmp_path, settings, credentials=credentials))
    assert received == ["Basic bWU6dG9wIHNlY3JldA=="]


@pytest.mark.parametrize("credentials", [{}, {"mime": {"A": "b"}}, {"mine": {"A": 5}}, {"mine": "b"}])
def test_unusable_credentials_are_named(tmp_path: Path, credentials: Any) -> None:
    settings = {"server": {"mlflow_tracking_uri": "http://127.0.0.1:9", "credentials": "mine"}}
    with pytest.raises(InputError, match=r"mlflow\.yml: server\.credentials: 'mine' is not a mapping"):
        prepare(configuration(tmp_path, settings, credentials=credentials))


@pytest.mark.parametrize("provider", [{}, {"request_header_provider": {"type": PROVIDER}}])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "A=B",
            "hunter2",
            "mine.A=B: 'A=B' is not a name of a variable; allowed: letters",
        ),
        ("", "hunter2", "mine.: '' is not a name of a variable"),
        (5, "hunter2", "mine.5: 5 is not a name of a variable"),
        ("A", "hunter2\0", "mine.A: the value has the character NUL; allowed: a text without it"),
    ],
)
def test_credentials_that_cannot_be_variables_are_named_without_their_value(
    tmp_path: Path, provider: Any, name: Any, value: str, message: str
) -> None:
    server = {"mlflow_tracking_uri": "http://127.0.0.1:9", "credentials": "mine", **provider}
    with pytest.raises(InputError) as raised:
        prepare(configuration(tmp_path, {"server": server}, credentials={"mine": {name: value}}))
    assert str(raised.value).startswith(f"conf/base/credentials.yml: {message}")
    assert "hunter2" not in str(raised.value)


def test_a_class_that_adds_headers_can_be_used(tmp_path: Path) -> None:
    server = {"mlflow_tracking_uri": "http://127.0.0.1:9", "request_header_provider": {"type": PROVIDER}}
    prepare(configuration(tmp_path, {"server": server}))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "abc", "an integer"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "abc", "an integer"),
        ("MLFLOW_TRACKING_INSECURE_TLS", "abc", "true or false"),
    ],
)
def test_an_environment_variable_that_mlflow_cannot_read_is_named(
    tmp_path: Path, name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as raised:
        prepare(at(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"))
    assert str(raised.value) == (
        f"{name}: the value of this environment variable cannot be used; allowed: {allowed}, or unset it"
    )


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("foo://me:hunter2@x", "Could not find a registered artifact repository for: foo://***@x"),
        ("s3://nope/x", "import of boto3 halted"),
        ("file.txt", "File exists"),
        ("file.txt/art", "Not a directory"),
    ],
)
def test_an_unusable_place_of_artifacts_is_named_before_the_experiment_is_created(
    tmp_path: Path, empty: Path, location: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    (tmp_path / "file.txt").touch()
    uri = f"sqlite:///{shutil.copyfile(empty, tmp_path / 'mlflow.db')}"
    settings = {**created(artifact_location=location), "server": {"mlflow_tracking_uri": uri}}
    with pytest.raises(InputError) as raised:
        prepare(configuration(tmp_path, settings))
    key = "tracking.experiment.create_experiment_kwargs.artifact_location"
    assert str(raised.value).startswith(f"conf/base/mlflow.yml: {key}: ")
    assert "cannot be used (" in str(raised.value)
    assert reason in str(raised.value)
    assert "allowed: a folder that can be created and written" in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert mlflow.MlflowClient(uri).get_experiment_by_name("test") is None


def test_the_folder_of_artifacts_is_created(tmp_path: Path, empty: Path) -> None:
    uri = f"sqlite:///{shutil.copyfile(empty, tmp_path / 'mlflow.db')}"
    settings = {**created(artifact_location="a b/c"), "server": {"mlflow_tracking_uri": uri}}
    prepare(configuration(tmp_path, settings))
    assert list((tmp_path / "a b/c").iterdir()) == []


def test_a_place_of_artifacts_that_an_existing_experiment_does_not_use_is_warned_of(
    tmp_path: Path, empty: Path, messages: list[str]
) -> None:
    uri = f"sqlite:///{shutil.copyfile(empty, tmp_path / 'mlflow.db')}"
    server = {"server": {"mlflow_tracking_uri": uri}}
    prepare(configuration(tmp_path, {**created(artifact_location="old"), **server}))
    prepare(configuration(tmp_path, {**created(artifact_location=f"{tmp_path}/old/"), **server}))
    assert messages == []
    prepare(configuration(tmp_path, {**created(artifact_location="new"), **server}))
    (message,) = messages
    assert message == (
        "conf/base/mlflow.yml: tracking.experiment.create_experiment_kwargs.artifact_location: "
        f"{tmp_path}/new is not used: the experiment test was created with {tmp_path}/old and keeps it. "
        "To change the place, name another experiment"
    )
    # `kedro relocate` is for a project that was moved.
    (tmp_path / "old").rmdir()
    prepare(configuration(tmp_path, {**created(artifact_location="new"), **server}))
    assert messages == [message]
