"""What a server takes, and how it refuses what is more."""

from __future__ import annotations

from typing import NamedTuple

MEGA = 1_000_000


class Limits(NamedTuple):
    """How much one request, and all of them together, may ask for.

    Attributes:
        file_bytes: Of one file.
        request_bytes: Of one request.
        files: Of one request.
        pixels: Of one image.
        waiting: Images, and requests, that may wait at the same time.
        seconds: That a request may take to arrive, and again until it is answered.
    """

    file_bytes: int = 64 * MEGA
    request_bytes: int = 1024 * MEGA
    files: int = 1000
    pixels: int = 100 * MEGA
    waiting: int = 512
    seconds: float = 60.0


class RefusedError(Exception):
    """A request that is not answered.

    Attributes:
        status: Of HTTP.
        sentence: What was expected, what was found and what to do.
        headers: Of the answer.
    """

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


def busy(waiting: int) -> RefusedError:
    """Refuse what would have to wait behind too much."""
    return RefusedError(
        429,
        f"Expected fewer than {waiting} images to be waiting, but there are as many; send them again in a second.",
        {"Retry-After": "1"},
    )
