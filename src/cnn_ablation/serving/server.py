"""The server of the registered model: MLflow's, with a limit for requests and without stack traces."""

import json
from collections.abc import Awaitable, Callable, Collection

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from mlflow.pyfunc import PyFuncModel, scoring_server

from cnn_ablation.errors import suggestion

MAX_REQUEST = 256 * 2**20
"""Largest body of a request, bytes. Base64 takes a third more than the image files."""

MAX_NAME = 100
"""Most characters of an unknown name that an answer repeats."""


def application(model: PyFuncModel) -> FastAPI:
    """MLflow's scoring server for a model.

    A request without a length or with more than `MAX_REQUEST` bytes is answered before its body is read,
    with status 411 or 413. Names in the request that MLflow would ignore are refused. Answers to bad
    requests are JSON, without a stack trace, which would show paths.

    Args:
        model: The model that answers requests to /invocations.
    """
    app: FastAPI = scoring_server.init(model)
    schema = model.metadata.get_params_schema()
    params = [param.name for param in schema.params] if schema else []

    @app.middleware("http")
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[StreamingResponse]]
    ) -> Response:
        refusal = _refusal_of_headers(request) if request.method == "POST" else None
        if refusal is not None:
            return refusal
        try:
            if request.method == "POST" and _is_json(request):
                # In a thread, because a large body would block the other requests.
                wrong = await run_in_threadpool(_wrong_content, await request.body(), params)
                if wrong is not None:
                    return _refused(400, wrong)
            return await _without_traces(await call_next(request))
        except RecursionError:
            return _refused(400, "the request is nested too deeply")

    return app


def _refusal_of_headers(request: Request) -> JSONResponse | None:
    """The answer to a request whose headers do not allow to read its body, or None."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return _refused(411, "the request has no Content-Length")
    if int(length) > MAX_REQUEST:
        limit = MAX_REQUEST // 2**20
        return _refused(413, f"the request has more than {limit} MiB: send fewer images at once")
    if "content-type" not in request.headers:
        allowed = ", ".join(scoring_server.CONTENT_TYPES)
        return _refused(415, f"the request has no Content-Type; allowed: {allowed}")
    return None


def _is_json(request: Request) -> bool:
    kind = request.headers["content-type"].partition(";")[0].strip()
    return kind == scoring_server.CONTENT_TYPE_JSON


def _wrong_content(body: bytes, params: Collection[str]) -> str | None:
    """What MLflow would not report about a request in JSON, or None.

    Args:
        body: The body of the request.
        params: Names that the model allows in `params`.
    """
    try:
        content = json.loads(body)
    except ValueError as error:
        return f"the request is not JSON: {error}"
    if not isinstance(content, dict):
        return None
    formats = sorted(scoring_server.SUPPORTED_FORMATS)
    given = content.get(scoring_server.SERVING_PARAMS_KEY)
    return _unknown_name("", content, [*formats, scoring_server.SERVING_PARAMS_KEY]) or (
        _unknown_name("params: ", given, params) if isinstance(given, dict) else None
    )


def _unknown_name(place: str, names: Collection[str], allowed: Collection[str]) -> str | None:
    """Why the first name that is not allowed is refused, or None if all are allowed."""
    unknown = next((name for name in names if name not in allowed), None)
    if unknown is None:
        return None
    listed = ", ".join(allowed) or "none"
    shown = unknown[:MAX_NAME]
    return f"{place}unknown name {shown!r}; allowed: {listed}.{suggestion(shown, allowed)}"


async def _without_traces(response: StreamingResponse) -> Response:
    """The response or, if it is an error, the same in JSON and without a stack trace."""
    if response.status_code < 400:
        return response
    chunks = [chunk async for chunk in response.body_iterator]
    body = b"".join(chunk if isinstance(chunk, bytes) else str(chunk).encode() for chunk in chunks)
    try:
        answer = json.loads(body)
    except ValueError:
        if response.status_code < 500:
            return _refused(response.status_code, body.decode(errors="replace"))
        return Response(body, response.status_code, media_type=response.media_type)
    if isinstance(answer, dict):
        answer.pop("stack_trace", None)
    return JSONResponse(answer, response.status_code)


def _refused(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error_code": "INVALID_PARAMETER_VALUE", "message": message}, status)
