"""Whether judged images are like those of the training: rows gathered in bounded memory to one conclusion."""

from __future__ import annotations

import json
import math
import random
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from callbacks.statistics.examined import FORGOTTEN
from datamodules.files.suffixes import VIDEOS

from .videos import LIVE

if TYPE_CHECKING:
    from pathlib import Path

    from callbacks.statistics.usual import Usual

DRIFT = "drift.json"
RESERVOIR = 2000  # images that the set is judged by; of more, a draw (Vitter, "Random sampling with a reservoir", 1985)


class Familiar:
    """Gathers the rows of a call.

    Args:
        usual: What images of the training are like; None: nobody noted it.
    """

    def __init__(self, usual: Usual | None) -> None:
        self._usual = usual
        self._flagged = self._seen = 0
        self._first = ""
        self._drawn: list[dict[str, Any]] = []
        self._draw = random.Random(0)  # noqa: S311 - no secret: the same rows give the same draw

    def add(self, row: dict[str, Any]) -> None:
        """Take a row, of this call or an earlier one."""
        if not row.get("facts"):
            return
        self._flagged += bool(row["unusual"])
        self._first = self._first or (f"{row['image_path']}: {row['unusual']}" if row["unusual"] else "")
        self._seen += 1
        entry = {"image_path": row["image_path"], "facts": row["facts"]}
        if len(self._drawn) < RESERVOIR:
            self._drawn.append(entry)
        elif (place := self._draw.randrange(self._seen)) < RESERVOIR:
            self._drawn[place] = entry

    def conclude(self, path: Path | None = None) -> list[str]:
        """Write what was found to ``path``, if there is one; return the sentences that nobody should miss."""
        if self._usual is None:
            return [FORGOTTEN]
        if self._usual.note or not self._drawn:
            return [self._usual.note] if self._usual.note else []
        names = [row["image_path"] for row in self._drawn]
        facts = [{name: math.nan if v is None else v for name, v in row["facts"].items()} for row in self._drawn]
        found = self._usual.examine(facts, [_group(name) for name in names], names)
        found = found._replace(images=self._seen, flagged=self._flagged, example=self._first)
        if path is not None:
            path.write_text(json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        return found.sentences()


def _group(name: str) -> str:
    """Name what an image hangs together with: the frames of one video do, files are taken as independent."""
    video, _, _ = name.rpartition("#")
    return video if LIVE in video or PurePath(video).suffix.lower() in VIDEOS else name
