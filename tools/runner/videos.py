"""Videos and streams: their frames, one at a time, and a row that says so where they cannot be opened or end early."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING

import cv2

from .input_image import InputImage, refused

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterator

    from datamodules.files.images import Array

LIVE = "://"  # marks the address of a stream
# These say how many frames they hold; others give a length in time, from which OpenCV guesses.
COUNTED = frozenset({".avi", ".m4v", ".mov", ".mp4"})
GUESS = 0.05  # share of frames by which such a guess may be wrong


def frames(address: str, place: PurePosixPath, every: int, done: Container[str]) -> Iterator[InputImage]:
    """Yield frames, counted from 0, or named by their time where they come live; what is left out is not decoded.

    A video that cannot be opened or ends early, and a stream that breaks off, end in an error that bears their name.
    """
    video = cv2.VideoCapture(address)
    try:
        if not video.isOpened():
            ended: tuple[str, str] | None = _unopened(address)
        else:
            expected = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
            index = yield from _grab(video, address, place, every, done)
            ended = _end(address, index, expected)
    finally:
        video.release()
    if ended and address not in done:
        yield refused(address, place, *ended)


def _grab(
    video: cv2.VideoCapture, address: str, place: PurePosixPath, every: int, done: Container[str]
) -> Generator[InputImage, None, int]:
    """Yield the frames that there are; return how many."""
    index = 0
    while video.grab():
        moment = datetime.now().astimezone().isoformat() if LIVE in address else str(index)
        name = f"{address}#{moment}"
        if index % every == 0 and name not in done:
            whole, frame = video.retrieve()
            if whole:
                values: Array = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                yield InputImage(name, place / f"{index:07}", partial(_same, values))
            else:
                yield refused(name, place, "is a damaged frame", "record it again")
        index += 1
    return index


def _unopened(address: str) -> tuple[str, str]:
    if LIVE in address:
        return "is a stream that cannot be opened", "check address, network and camera"
    return "is not a video that can be read", "convert it to MP4"


def _end(address: str, found: int, expected: int) -> tuple[str, str] | None:
    """Say what is wrong with the end of a video; None where it ends as it should."""
    if LIVE in address and expected <= 0:
        return f"broke off after {found} frames", "check network and camera, and start again"
    if not found:
        return "holds no frame that can be read", "record it again, or convert it to MP4"
    room = 0.0 if PurePath(address).suffix.lower() in COUNTED else max(2.0, GUESS * expected)
    if found < expected - room:
        return f"ends after {found} of {expected} frames", "copy it again, or record it again"
    return None


def _same(values: Array) -> Array:
    return values
