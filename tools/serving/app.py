"""The application: what programs ask, what people see, and the guard before both."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from . import api, page
from .guarding import Guard, refusal
from .limits import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from .state import State

NO_FORM = "Expected a multipart form with images as files, but found none that can be read; send them as curl -F does."
PROGRAMS = ("/predict", "/models", "/health", "/metrics", "/openapi.json")
PEOPLE = ("/", "/show", "/shown", "/watch", "/login", "/static")
PATHS = frozenset({*PROGRAMS, *PEOPLE})


def make_app(state: State) -> FastAPI:
    """Put a server together; no document of it asks another host for anything."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        if state.watcher is not None:
            state.watcher.start()
        yield
        state.ending = True
        if state.watcher is not None:
            await run_in_threadpool(state.watcher.close)
        await run_in_threadpool(state.catalogue.close)

    app = FastAPI(
        title="Loupe",
        description="Judges images by trained models: the verdicts of loupe predict, to the last bit.",
        docs_url=None,  # its pages fetch scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.loupe = state
    app.include_router(api.router)
    app.include_router(page.router)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Guard, limits=state.limits, token=state.token, counters=state.counters, paths=PATHS)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return refusal(error.status, error.sentence, request.state.noted.id, error.headers)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    sentence = NO_FORM if error.status_code == 400 else str(error.detail)
    return refusal(error.status_code, sentence, request.state.noted.id, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return refusal(422, f"Expected {where} to be given rightly, but: {first['msg']}.", request.state.noted.id)


async def _failed(request: Request, error: Exception) -> Response:
    sentence = f"Expected no such error: {type(error).__name__}; the server's log has more."
    return refusal(500, sentence, request.state.noted.id)
