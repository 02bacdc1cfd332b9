"""``watch=``: new images of a folder, or the frames of a camera, are judged as they come; the newest is shown large."""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.files.suffixes import is_image
from tools.errors import ConfigError

from .answers import answer_of, row_of
from .receiving import image_of
from .shelf import Shelf, Sight

if TYPE_CHECKING:
    from tools.runner.input_image import InputImage
    from tools.runner.writing import Sink

    from .catalogue import Served
    from .limits import Limits

EVERY_S = 0.5
RECENT = 12
SHOWN = ("verdict", "accepted", "reasons", "score", "threshold", "unusual", "error")


class Watcher(ABC):
    """Judges what comes, and remembers the newest verdicts.

    Args:
        served: What judges.
        shelf: Where images are shown.
        sink: Takes every verdict, too: a table; None: nobody does.

    Attributes:
        judged: Images so far.
        recent: The newest verdicts, the newest first, as the page asks for them.
        lost: Why nothing can come at the moment; empty where it can.
    """

    def __init__(self, served: Served, shelf: Shelf, sink: Sink | None = None) -> None:
        self.served = served
        self.shelf = shelf
        self.sink = sink
        self.judged = 0
        self.recent: list[dict[str, Any]] = []
        self.lost = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Start watching the folder."""
        self._thread.start()

    def close(self) -> None:
        """End, once the image at hand is judged."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._pause()):
            try:
                self._take_new()
            except Exception as error:  # noqa: BLE001 - a folder or a database that is away for a while comes back
                sys.stderr.write(f"watch: {type(error).__name__}: {error}\n")

    @abstractmethod
    def _take_new(self) -> None:
        """Judge files that have arrived."""

    def _pause(self) -> float:
        """Return how many seconds to wait before the next look."""
        return EVERY_S

    def _judge(self, image: InputImage, shown: str) -> None:
        """Judge an image, under the name by which a person knows it."""
        started = time.monotonic()
        sight = Sight(image, self.served.judge)
        (promise,) = self.served.batcher.submit([sight.image])
        result = promise.result()
        answer = answer_of(result, self.served.name)
        self.judged += 1
        entry = {
            "image": shown,
            **{key: answer.get(key, "") for key in SHOWN},
            "id": self.shelf.put(sight.draw(result, self.served)),
            "number": self.judged,
            "at": datetime.now().astimezone().strftime("%H:%M:%S"),
            "ms": round(1000 * (time.monotonic() - started)),
        }
        self.recent = [entry, *self.recent][:RECENT]
        if self.sink is not None:
            self.sink.write(row_of(result))
            try:
                self.sink.flush()
            except ConfigError as error:
                sys.stderr.write(f"watch: {error} What was judged is written with the next image.\n")


class FolderWatcher(Watcher):
    """Looks into a folder twice a second, and judges what was not there when it began.

    A file is judged once it has had the same size at two looks, so that nothing is judged half-written.

    Args:
        folder: Of the images; those below it count, too.
        served: What judges.
        limits: What an image may be.
        shelf: Where it is shown.
        sink: Takes every verdict, too; None: nobody does.

    Raises:
        ConfigError: There is no such folder.
    """

    def __init__(
        self, folder: str | Path, served: Served, limits: Limits, shelf: Shelf, sink: Sink | None = None
    ) -> None:
        self.folder = Path(folder).expanduser().absolute()
        if not self.folder.is_dir():
            raise ConfigError(
                f"Expected watch to be a folder, the address of a stream or the number of a camera, but found none at "
                f"{self.folder}."
            )
        super().__init__(served, shelf, sink)
        self.limits = limits
        self._seen = {path: self._state(path) for path in self._images()}
        self._coming: dict[Path, tuple[int, int]] = {}

    def _take_new(self) -> None:
        if not self.folder.is_dir():
            self.lost = "The watched folder is away."
            return
        self.lost = ""
        for path in self._arrived():
            try:
                with path.open("rb") as file:
                    data = file.read(self.limits.file_bytes + 1)
            except OSError as error:
                sys.stderr.write(f"watch: {path.name}: {error.strerror}\n")  # those that came with it go on
                continue
            place = path.relative_to(self.folder).as_posix()
            self._judge(image_of(data, str(path), self.limits, place), place)

    def _images(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if is_image(path) and not path.name.startswith("."))

    @staticmethod
    def _state(path: Path) -> tuple[int, int]:
        """Size and time of a file; of one that is gone, none."""
        with suppress(OSError):
            found = path.stat()
            return found.st_size, found.st_mtime_ns
        return 0, 0

    def _arrived(self) -> list[Path]:
        """List what is new and has not changed since the last look, the oldest first."""
        now = {path: self._state(path) for path in self._images()}
        new = {path: state for path, state in now.items() if self._seen.get(path) != state and state[0]}
        ready = [path for path, state in new.items() if self._coming.get(path) == state]
        self._coming = new
        self._seen |= {path: new[path] for path in ready}
        return sorted(ready, key=lambda path: new[path][1])
