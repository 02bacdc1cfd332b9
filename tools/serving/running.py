"""A server from its start to its end: it tells where it is, and answers what it has taken before it goes."""

from __future__ import annotations

import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

GRACE_S = 30  # for answers that are under way
BACKLOG = 2048


class Server(uvicorn.Server):
    """Says when it listens, and ends at a signal, once what it took is answered.

    Args:
        config: Of uvicorn.
        greeting: What to print once requests are heard.
    """

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self.greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            print(self.greeting, flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear the signals that end it, and leave it at that: to end is what was asked for, and no error."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def open_socket(host: str, port: int) -> socket.socket:
    """Take an address, or say who has it.

    Raises:
        ConfigError: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio lets small answers wait
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise ConfigError(
            f"Expected to serve at {host}:{port}, but: {error.strerror}; choose another with port=, or port=0."
        ) from error
    return found


def serve(app: FastAPI, bound: socket.socket, greeting: str) -> None:
    """Answer until a signal comes; print the greeting once requests are heard."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # the guard writes a line of its own
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=20,
        h11_max_incomplete_event_size=64 * 1024,
        lifespan="on",
    )
    Server(config, greeting).run(sockets=[bound])
