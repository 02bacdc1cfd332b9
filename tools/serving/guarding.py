"""Who may ask, and how much: every request passes here before anything else sees it, and is logged in one line."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from .limits import MEGA, Limits, RefusedError, busy

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .counting import Counters

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN = ("/health", "/login", "/static/")  # for those who have no token yet
COOKIE = "loupe_token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OTHERS = "other"  # paths that the server does not know are counted together


@dataclass
class Noted:
    """What is noted of a request while it is answered.

    Attributes:
        id: Told to the caller, and written to the log.
        images: How many were judged.
        received: Bytes of its body so far.
        status: Of the answer; 499 where the caller went away.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    images: int = 0
    received: int = 0
    status: int = 499


class Guard:
    """Lets requests through to an application, or answers in its place.

    Args:
        app: The application.
        limits: How much a request may bring.
        token: What callers must know; None: nothing, which only this machine's own callers may.
        counters: Where requests are counted.
        paths: That the application answers.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, token: str | None, counters: Counters, paths: frozenset[str]
    ) -> None:
        self.app = app
        self.limits = limits
        self.token = token
        self.counters = counters
        self.paths = paths
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        noted, started = Noted(), time.monotonic()
        scope.setdefault("state", {})["noted"] = noted
        self.open += 1
        try:
            await self._pass(scope, self._measured(receive, noted), _headed(send, noted), noted)
        finally:
            self.open -= 1
            seconds = time.monotonic() - started
            self.counters.request(_known(scope["path"], self.paths), noted.status, seconds)
            _log(scope, noted, seconds)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, noted: Noted) -> None:
        try:
            self._check(scope)
        except RefusedError as error:
            await _refusal(scope, error, noted)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Refuse strangers, and more than can be kept waiting.

        Raises:
            RefusedError: Says why.
        """
        headers = Headers(scope=scope)
        if self.open > self.limits.waiting and scope["method"] == "POST":
            raise busy(self.limits.waiting)
        host = _host(headers.get("host", ""))
        if self.token is None and host not in LOCAL:  # or any page could lead a browser here by a name of its own
            raise RefusedError(403, f"Expected a request to this machine by its own name, but found {host!r}.")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            raise RefusedError(403, f"Expected a request from this page itself, but it came from {origin!r}.")
        if self.token is not None and not scope["path"].startswith(OPEN) and not _knows(headers, self.token):
            raise RefusedError(
                401,
                "Expected the server's token, but found none or another; send it as Authorization: Bearer TOKEN.",
                {"WWW-Authenticate": "Bearer"},
            )
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.limits.request_bytes:
            raise _too_large(self.limits)

    def _measured(self, receive: Receive, noted: Noted) -> Receive:
        """Count what arrives, and wait no longer than allowed."""
        ends = time.monotonic() + self.limits.seconds

        async def measured() -> Message:
            if noted.status != Noted.status:  # answered: what is asked now is whether the caller goes away
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, ends - time.monotonic()))
            except TimeoutError:
                why = f"Expected the request within {self.limits.seconds:g} s, but it did not arrive; send it again."
                raise HTTPException(408, why) from None
            noted.received += len(message.get("body", b""))
            if noted.received > self.limits.request_bytes:
                raise HTTPException(413, _too_large(self.limits).sentence)
            return message

        return measured


def cookie_of(token: str) -> str:
    """Make what a browser keeps in place of the token."""
    return hmac.new(token.encode(), b"loupe serve", hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare secrets in a time that tells nothing about them."""
    return hmac.compare_digest(one.encode(), other.encode())


def _knows(headers: Headers, token: str) -> bool:
    sort, _, given = headers.get("authorization", "").partition(" ")
    if sort.lower() == "bearer" and same(given.strip(), token):
        return True
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return False
    return COOKIE in cookies and same(cookies[COOKIE].value, cookie_of(token))


def _host(header: str) -> str:
    """Take the name out of ``name:port``."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


def _too_large(limits: Limits) -> RefusedError:
    most = limits.request_bytes / MEGA
    return RefusedError(413, f"Expected at most {most:g} MB in a request, but found more; send it in parts.")


def _refusal(scope: Scope, error: RefusedError, noted: Noted) -> Response:
    """Answer a program with a sentence, and a person without a token with the page that asks for it."""
    if error.status == 401 and scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
        return RedirectResponse("/login", 303)
    return refusal(error.status, error.sentence, noted.id, error.headers)


def refusal(status: int, why: str, request_id: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Say why there is no answer."""
    return JSONResponse({"error": why, "request_id": request_id}, status, headers)


def _headed(send: Send, noted: Noted) -> Send:
    """Give every answer its id, and the headers that keep a browser from doing anything that the page does not need."""

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            noted.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = noted.id
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return headed


def _known(path: str, paths: frozenset[str]) -> str:
    """Name a path in a bounded number of ways."""
    first = "/" + path.strip("/").partition("/")[0]
    return first if first in paths else OTHERS


def _log(scope: Scope, noted: Noted, seconds: float) -> None:
    """Write one line: no names of files, no token."""
    client = scope.get("client")
    line: dict[str, Any] = {
        "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "request_id": noted.id,
        "client": client[0] if client else None,
        "method": scope["method"],
        "path": scope["path"],
        "status": noted.status,
        "ms": round(1000 * seconds, 1),
        "bytes": noted.received,
        "images": noted.images,
    }
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()
