"""The server of the registered model."""

import base64
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from cnn_ablation.parts.initializations import PyTorchDefault
from cnn_ablation.serving import served_classifier, server
from cnn_ablation.training.initial_weights import seed_network
from tests.conftest import JOURNAL_MODEL
from tests.serving.test_classifier import drawing, save_served


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model as MLflow saves it."""
    network = JOURNAL_MODEL.build((1, 28, 28), 4)
    seed_network(network, PyTorchDefault(), 0, torch.device("cpu"))
    return save_served(network, tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def client(model: Path) -> Iterator[TestClient]:
    served = served_classifier.load(model / "artifacts" / served_classifier.ARTIFACT)
    with TestClient(server.application(served)) as client:
        yield client


def body(image: Image.Image, **more: object) -> dict[str, object]:
    table = {"columns": ["image"], "data": [[served_classifier.encode(image)]]}
    return {"dataframe_split": table, **more}


def test_the_polarity_is_detected_and_can_be_given(client: TestClient) -> None:
    light, dark = drawing(255, 90), drawing(0, 255 - 90)
    detected = client.post("/invocations", json=body(light)).json()
    assert detected == client.post("/invocations", json=body(dark)).json()
    as_it_is = client.post("/invocations", json=body(light, params={"dark_on_light": False})).json()
    assert as_it_is != detected
    inverted = client.post("/invocations", json=body(light, params={"dark_on_light": True})).json()
    assert inverted == detected


def test_mlflow_serves_the_model_in_the_same_way(client: TestClient, model: Path) -> None:
    request = body(drawing(255, 90), params={"dark_on_light": False})
    with TestClient(server.application(mlflow.pyfunc.load_model(str(model)))) as other:
        answers = [each.post("/invocations", json=request) for each in (client, other)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (JSON, b""),
        (JSON, b"{"),
        (JSON, b"[]"),
        (JSON, b"\xff"),
        (JSON, b'{"dataframe_split": 5}'),
        (JSON, b'{"dataframe_split": {"columns": ["picture"], "data": [["a"]]}}'),
        (JSON, b'{"dataframe_split": {"columns": ["image"], "data": [["a", "b"]]}}'),
        (JSON, b'{"dataframe_records": [{"image": 5}]}'),
        (JSON, b'{"inputs": {"image": {"a": 1}}}'),
        (JSON, b'{"instances": [[1, 2], [3]]}'),
        (JSON, b'{"dataframe_records": [{"image": "a"}], "params": {"dark_on_light": "x"}}'),
        (JSON, b'{"dataframe_records": [{"image": "a"}], "params": 5}'),
        (CSV, b'image\n"a'),
        (CSV, b""),
        ("image/png", base64.b64decode("iVBORw0KGgo=")),
    ],
)
def test_a_bad_request_gets_a_reason_without_paths(
    client: TestClient, kind: str, content: bytes
) -> None:
    answer = client.post("/invocations", content=content, headers={"Content-Type": kind})
    assert answer.status_code in (400, 415), answer.text
    assert "stack_trace" not in answer.text
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    assert str(Path.cwd()) not in answer.text
    assert len(answer.text) > 20


@pytest.mark.parametrize("content", [b"", b"{}", b'{"dataframe_records": [{"image": "a"}]}'])
def test_a_request_without_a_type_names_the_allowed_types(client: TestClient, content: bytes) -> None:
    answer = client.post("/invocations", content=content)
    assert answer.status_code == 415
    assert answer.json() == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "the request has no Content-Type; allowed: text/csv, application/json, "
        "application/vnd.apache.parquet",
    }


@pytest.mark.parametrize(
    "kind", ["", "image/png", "application/json; charset=latin-1", "application/json; x=y"]
)
def test_a_request_of_another_type_gets_json(client: TestClient, kind: str) -> None:
    answer = client.post("/invocations", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert set(answer.json()) == {"error_code", "message"}


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"dataframe_records": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"inputs": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        # Too long for Python to convert.
        b'{"dataframe_records": [{"image": ' + b"1" * 5000 + b"}]}",
    ],
)
def test_json_that_python_cannot_read_is_a_bad_request(client: TestClient, content: bytes) -> None:
    answer = client.post("/invocations", content=content, headers={"Content-Type": JSON})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error_code", "message"}
    assert "the request is n" in answer.json()["message"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"params": {"dark_on_ligth": True}},
            "params: unknown name 'dark_on_ligth'; allowed: dark_on_light. "
            "Did you mean 'dark_on_light'?",
        ),
        (
            {"parms": {"dark_on_light": True}},
            "unknown name 'parms'; allowed: dataframe_records, dataframe_split, inputs, instances, "
            "params. Did you mean 'params'?",
        ),
    ],
)
def test_an_unknown_name_is_not_ignored(
    client: TestClient, more: dict[str, object], message: str
) -> None:
    answer = client.post("/invocations", json=body(drawing(0, 200), **more))
    assert answer.status_code == 400
    assert answer.json() == {"error_code": "INVALID_PARAMETER_VALUE", "message": message}


@pytest.mark.parametrize("params", [None, {}, {"dark_on_light": None}])
def test_params_may_be_empty(client: TestClient, params: object) -> None:
    answer = client.post("/invocations", json=body(drawing(0, 200), params=params))
    assert answer.status_code == 200, answer.text


def test_a_request_is_bounded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_REQUEST", 2**20)
    large = client.post("/invocations", content=b"x" * (2**20 + 1))
    assert large.status_code == 413
    assert "more than 1 MiB: send fewer images at once" in large.json()["message"]
    unknown = client.post("/invocations", content=iter([b"x"]))
    assert unknown.status_code == 411
    assert client.get("/ping").status_code == 200
