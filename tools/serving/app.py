"""The application: what programs ask, what people see, and the guard before both."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from . import api, page, prints
from .frame import frame_router, guard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .state import State

PROGRAMS = ("/predict", "/models", "/health", "/metrics", "/openapi.json")
PEOPLE = ("/", "/show", "/shown", "/try", "/drift", "/watch", "/login", "/static")
PRINTS = ("/jobs", "/job", "/layer", "/confirm", "/history", "/history.csv")
PATHS = frozenset({*PROGRAMS, *PEOPLE, *PRINTS})


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
        if state.recorder is not None:
            await run_in_threadpool(state.recorder.close)
        if state.archive is not None:
            await run_in_threadpool(state.archive.close)

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
    app.include_router(prints.router)
    app.include_router(frame_router(state.token, page.STATIC | prints.STATIC))
    guard(app, state.limits, state.token, state.counters, PATHS)
    return app
