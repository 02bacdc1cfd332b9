"""``watch=`` of a camera or a stream: always its newest frame, however long judging one takes."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import cv2

from tools.runner.input_image import InputImage
from tools.runner.videos import LIVE

from .watching import Watcher

if TYPE_CHECKING:
    from datamodules.files.images import Array
    from tools.runner.writing import Sink

    from .catalogue import Served
    from .shelf import Shelf

AGAIN_S = 2.0  # before a camera that is away is asked again
JOIN_S = 3.0  # to wait at the end for a camera that does not answer
OPEN_MS, READ_MS = 5000, 5000


class CameraWatcher(Watcher):
    """Judges the newest frame of a camera, so many seconds apart; one that goes away is asked again.

    Args:
        address: Of a stream, or the number of a camera of this machine.
        served: What judges.
        shelf: Where it is shown.
        every: Seconds between two frames that are judged.
        sink: Takes every verdict, too; None: nobody does.
    """

    def __init__(self, address: str, served: Served, shelf: Shelf, every: float, sink: Sink | None = None) -> None:
        super().__init__(served, shelf, sink)
        self.address = address
        self.every = every
        self.name = public_name(address)
        self.lost = f"Waiting for {self.name}."
        self._newest: Array | None = None
        self._lock = threading.Lock()
        self._reading = threading.Thread(target=self._read, name="camera", daemon=True)

    def start(self) -> None:
        """Start reading frames."""
        self._reading.start()
        super().start()

    def close(self) -> None:
        """End, once the frame at hand is judged."""
        super().close()
        self._reading.join(JOIN_S)

    def _pause(self) -> float:
        return self.every

    def _take_new(self) -> None:
        with self._lock:
            frame, self._newest = self._newest, None
        if frame is not None:
            now = datetime.now().astimezone()
            values: Array = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            name = f"{self.name}#{now.isoformat(timespec='milliseconds')}"
            place = PurePosixPath(f"frame_{now.strftime('%Y%m%d_%H%M%S_%f')[:-3]}")
            self._judge(InputImage(name, place, partial(_same, values)), self.name)

    def _read(self) -> None:
        while not self._ended.is_set():
            video = self._open()
            if video.isOpened():
                self._frames(video)
            video.release()
            if not self._ended.is_set():
                self.lost = f"{self.name} gives no frames; it is asked again every {AGAIN_S:g} s."
            self._ended.wait(AGAIN_S)

    def _frames(self, video: cv2.VideoCapture) -> None:
        """Take every frame, so that none is old when its turn comes."""
        due = 0.0
        while not self._ended.is_set() and video.grab():
            if time.monotonic() < due:
                continue
            whole, frame = video.retrieve()
            if whole:
                self.lost = ""
                due = time.monotonic() + self.every / 4
                with self._lock:
                    self._newest = frame

    def _open(self) -> cv2.VideoCapture:
        if self.address.isdecimal():
            return cv2.VideoCapture(int(self.address))
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
        return cv2.VideoCapture(self.address, cv2.CAP_FFMPEG, limits)


def is_camera(word: str) -> bool:
    """Tell whether ``watch=`` names a camera or a stream, and no folder."""
    return word.isdecimal() or LIVE in word


def public_name(address: str) -> str:
    """Name a camera without its password."""
    if address.isdecimal():
        return f"camera {address}"
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _same(values: Array) -> Array:
    return values
