"""The server of the registered model: MLflow's, with a limit for requests and without stack traces."""

import json
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from mlflow.pyfunc import PyFuncModel, scoring_server
from starlette.responses import JSONResponse, StreamingResponse

MAX_REQUEST = 256 * 2**20
"""Largest body of a request, bytes. Base64 takes a third more than the image files."""


def application(model: PyFuncModel) -> FastAPI:
    """MLflow's scoring server for a model.

    A request without a length or with more than `MAX_REQUEST` bytes is answered before its body is read,
    with status 411 or 413. Answers to bad requests do not contain a stack trace, which would show paths.

    Args:
        model: The model that answers requests to /invocations.
    """
    app: FastAPI = scoring_server.init(model)

    @app.middleware("http")
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[StreamingResponse]]
    ) -> Response:
        if request.method == "POST":
            length = request.headers.get("content-length", "")
            if not length.isdigit():
                return _refused(411, "the request has no Content-Length")
            if int(length) > MAX_REQUEST:
                return _refused(
                    413,
                    f"the request has more than {MAX_REQUEST // 2**20} MiB: send fewer images at once",
                )
        response = await call_next(request)
        if response.status_code < 400:
            return response
        chunks = [chunk async for chunk in response.body_iterator]
        body = b"".join(chunk if isinstance(chunk, bytes) else str(chunk).encode() for chunk in chunks)
        try:
            answer = json.loads(body)
        except ValueError:
            return Response(body, response.status_code, media_type=response.media_type)
        if isinstance(answer, dict):
            answer.pop("stack_trace", None)
        return JSONResponse(answer, response.status_code)

    return app


def _refused(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error_code": "INVALID_PARAMETER_VALUE", "message": message}, status)
