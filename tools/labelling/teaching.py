"""One click lets the model learn an image that people called good, as ``loupe extend`` does; nobody waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from tools.errors import ConfigError

from .entries import GOOD

if TYPE_CHECKING:
    from .desk import Desk
    from .items import Item
    from .lens import Lens


class Teacher:
    """Adds images to what a run has learnt.

    Args:
        run: Its folder; None: there is none, or a bundle, which cannot learn.
        desk: With the images and what people said.
        lens: Which looks by the new model from then on.
    """

    def __init__(self, run: str | None, desk: Desk, lens: Lens) -> None:
        self.run = run
        self.desk = desk
        self.lens = lens
        self._lock = threading.Lock()

    @property
    def there(self) -> bool:
        """Whether there is a run that could learn."""
        return self.run is not None

    def teach(self, item: Item, by: str) -> str:
        """Let the model learn an image that counts as good; return what changed, in words.

        Raises:
            ConfigError: There is no run, or its model cannot learn more.
            DataError: The image does not count as good, is a part of another, or is known already.
        """
        label = self.desk.journal.state.label(item.name)
        if label is None or label.disputed or label.mark.verdict != GOOD:
            raise DataError(f"Expected an image that people call good, but {item.name} does not count as good; say G.")
        if item.box:
            raise DataError(f"Expected a whole image, but {item.name} is a part of one; give loupe extend its file.")
        if self.run is None:
            raise ConfigError("Expected a run to learn, but the page has none; start it with run=RUN.")
        with self._lock:
            changed = self._extend(self.run, item, by)
            self.lens.reopen()
            return changed

    @staticmethod
    def _extend(run: str, item: Item, by: str) -> str:
        from tools.runs.growing import CLOSING, extend  # noqa: PLC0415 - torch takes seconds, and few pages need it
        from tools.runs.growing_run import Growing, growing_folder  # noqa: PLC0415

        folder = growing_folder(run)
        why = f"called good on the page: {item.name}"
        outcome = extend(Growing(folder, folder.load_config(), [str(item.path)], by, why, dry=False))
        return "\n".join(outcome.splitlines()[:-CLOSING])
