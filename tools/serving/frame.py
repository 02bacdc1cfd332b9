"""What all pages of this house share: templates, styles, the token's door, and answers to what goes wrong."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from callbacks.report.assets import FOLDER as REPORT
from callbacks.report.page import brief
from callbacks.report.wording import plural

from .guarding import COOKIE, Guard, cookie_of, refusal, same
from .limits import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

    from .counting import Counters
    from .limits import Limits

PAGES = Path(__file__).with_name("pages")
STYLES = {"page.css": (REPORT / "page.css", "text/css"), "serve.css": (PAGES / "serve.css", "text/css")}
NO_FILES = "Expected a form with images in its field files, but found none; send them as curl -F files=@image.png does."
NO_FORM = "Expected a multipart form with images as files, but found none that can be read; send them as curl -F does."


def page(template: str, status: int = 200, *, folder: Path = PAGES, **values: Any) -> HTMLResponse:
    """Fill in a template of a folder; those of this room are there as well."""
    return HTMLResponse(_templates(folder).get_template(template).render(**values), status)


def frame_router(token: str | None, files: Mapping[str, tuple[Path, str]]) -> APIRouter:
    """Answer for styles, scripts and the token.

    Args:
        token: That people type; None: nobody is asked.
        files: What lies below ``/static``, by name: its path and type.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    async def login() -> HTMLResponse:
        """Ask for the token."""
        return page("login.html.j2", wrong=False)

    @router.post("/login", response_model=None)
    async def enter(given: Annotated[str, Form(alias="token", max_length=1000)] = "") -> Response:
        """Let a browser in that knows the token."""
        if token is None:
            return RedirectResponse("/", 303)
        if not same(given, token):
            return page("login.html.j2", status=401, wrong=True)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, cookie_of(token), httponly=True, samesite="strict")
        return answer

    @router.get("/static/{name}", response_model=None)
    async def static(name: str) -> Response:
        """Give a style or a script of the page."""
        if name not in files:
            raise RefusedError(404, f"Expected one of {', '.join(files)}, but found {name!r}.")
        path, sort = files[name]
        return Response(path.read_bytes(), media_type=f"{sort}; charset=utf-8", headers={"Cache-Control": "no-cache"})

    return router


def guard(app: FastAPI, limits: Limits, token: str | None, counters: Counters, paths: frozenset[str]) -> None:
    """Put the guard before an application, and let every error be answered in a sentence."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Guard, limits=limits, token=token, counters=counters, paths=paths)


@cache
def _templates(folder: Path) -> Environment:
    templates = Environment(
        loader=FileSystemLoader(list(dict.fromkeys((folder, PAGES, REPORT)))),
        autoescape=True,  # names of files and models come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"number": brief, "brief": brief, "plural": plural}
    return templates


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return refusal(error.status, error.sentence, request.state.noted.id, error.headers)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    sentence = {
        400: NO_FORM,
        404: f"Expected a path of this server, but found {request.url.path!r}; programs find them in /openapi.json.",
        405: f"Expected another method at {request.url.path}, but found {request.method}; see Allow.",
    }.get(error.status_code, str(error.detail))
    return refusal(error.status_code, sentence, request.state.noted.id, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    sentence = NO_FILES if where.startswith("files") else f"Expected {where} to be given rightly, but: {first['msg']}."
    return refusal(422, sentence, request.state.noted.id)


async def _failed(request: Request, error: Exception) -> Response:
    sentence = f"Expected no such error: {type(error).__name__}; the server's log has more."
    return refusal(500, sentence, request.state.noted.id)
