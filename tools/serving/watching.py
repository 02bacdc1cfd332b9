"""``watch=DIR``: new images of a folder are judged as they come, and the newest verdict is shown large."""

from __future__ import annotations

import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.files.suffixes import is_image
from tools.errors import ConfigError

from .answers import answer_of
from .receiving import image_of
from .shelf import Shelf, Sight

if TYPE_CHECKING:
    from .catalogue import Served
    from .limits import Limits

EVERY_S = 0.5
RECENT = 12


class Watcher:
    """Looks into a folder twice a second, and judges what was not there when it began.

    A file is judged once it has had the same size at two looks, so that nothing is judged half-written.

    Args:
        folder: Of the images; those below it count, too.
        served: What judges.
        limits: What an image may be.
        shelf: Where it is shown.

    Raises:
        ConfigError: There is no such folder.
    """

    def __init__(self, folder: str | Path, served: Served, limits: Limits, shelf: Shelf) -> None:
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise ConfigError(f"Expected watch to be a folder, but found none at {self.folder}.")
        self.served = served
        self.limits = limits
        self.shelf = shelf
        self.judged = 0
        self.recent: list[dict[str, Any]] = []
        self._seen = {path: self._state(path) for path in self._images()}
        self._coming: dict[Path, tuple[int, int]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, once the image at hand is judged."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                for path in self._arrived():
                    self._judge(path)
            except Exception as error:  # noqa: BLE001 - a folder that is away for a while comes back
                sys.stderr.write(f"watch: {type(error).__name__}: {error}\n")

    def _images(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if is_image(path) and not path.name.startswith("."))

    @staticmethod
    def _state(path: Path) -> tuple[int, int]:
        """Size and time of a file; of one that is gone, none."""
        try:
            found = path.stat()
        except OSError:
            return 0, 0
        return found.st_size, found.st_mtime_ns

    def _arrived(self) -> list[Path]:
        """List what is new and has not changed since the last look, the oldest first."""
        now = {path: self._state(path) for path in self._images()}
        new = {path: state for path, state in now.items() if self._seen.get(path) != state and state[0]}
        ready = [path for path, state in new.items() if self._coming.get(path) == state]
        self._coming = new
        self._seen |= {path: new[path] for path in ready}
        return sorted(ready, key=lambda path: new[path][1])

    def _judge(self, path: Path) -> None:
        started = time.monotonic()
        with path.open("rb") as file:
            data = file.read(self.limits.file_bytes + 1)
        sight = Sight(image_of(data, path.relative_to(self.folder).as_posix(), self.limits), self.served.judge)
        (promise,) = self.served.batcher.submit([sight.picture])
        result = promise.result()
        answer = answer_of(result, self.served.name)
        name = self.shelf.put(sight.draw(result, self.served))
        self.judged += 1
        entry = {
            **{key: answer[key] for key in ("image", "verdict", "accepted", "reasons", "score", "threshold", "error")},
            "id": name,
            "number": self.judged,
            "at": datetime.now().astimezone().strftime("%H:%M:%S"),
            "ms": round(1000 * (time.monotonic() - started)),
        }
        self.recent = [entry, *self.recent][:RECENT]
