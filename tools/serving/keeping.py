"""``keep=DIR``: what was judged is written down, for this user alone; otherwise nothing is."""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tools.errors import ConfigError

from .answers import answer_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.runner.result import Result

RECORD = "verdicts.jsonl"
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


class Keeper:
    """Writes results to a folder: a line per image, and the image as the model saw it.

    Args:
        folder: Is made if it is not there; None: nothing is kept.

    Raises:
        ConfigError: It cannot be written to.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = None if folder is None else Path(folder).expanduser()
        self._lock = threading.Lock()
        if self.folder is not None:
            try:
                self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
                os.close(self._open(self.folder / RECORD))
            except OSError as error:
                raise ConfigError(
                    f"Expected keep to be a folder to write to, but {self.folder}: {error.strerror}."
                ) from error

    def keep(self, results: Sequence[Result], model: str, request_id: str) -> None:
        """Write down the images of a request; each is whole before its line is there."""
        if self.folder is None:
            return
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        lines = []
        for index, result in enumerate(results):
            name = f"{request_id}-{index}.png"
            if (image := result.image) is not None:
                _, encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
                self._write(self.folder / name, encoded.tobytes())
            row = {"time": now, "request_id": request_id, "file": name if image is not None else None}
            lines.append(json.dumps(row | answer_of(result, model), allow_nan=False) + "\n")
        with self._lock:
            self._write(self.folder / RECORD, "".join(lines).encode())

    def _write(self, path: Path, data: bytes) -> None:
        descriptor = self._open(path)
        with os.fdopen(descriptor, "ab") as file:
            file.write(data)

    @staticmethod
    def _open(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
