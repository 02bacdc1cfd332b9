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
    from collections.abc import Mapping
    from pathlib import Path

    from callbacks.statistics.examined import Examined
    from callbacks.statistics.usual import Usual

DRIFT = "drift.json"
RESERVOIR = 2000  # images that the set is judged by; of more, a draw (Vitter, "Random sampling with a reservoir", 1985)


class Familiar:
    """Gathers the rows of a call, apart for each model that judged: what is usual on its maps is so for it alone.

    Args:
        usual: What images of the training are like; None: nobody noted it.
        members: The same of the models of kinds, where kinds have models of their own.
    """

    def __init__(self, usual: Usual | None, members: Mapping[str, Usual | None] | None = None) -> None:
        self._parts = {"": _Part(usual)} | {kind: _Part(own) for kind, own in (members or {}).items()}

    def add(self, row: dict[str, Any]) -> None:
        """Take a row, of this call or an earlier one."""
        if row.get("facts"):
            self._parts.get(str(row.get("kind", "")), self._parts[""]).add(row)

    def conclude(self, path: Path | None = None) -> list[str]:
        """Write what was found to ``path``, if there is one; return the sentences that nobody should miss."""
        parts = (
            self._parts if len(self._parts) == 1 else {kind: part for kind, part in self._parts.items() if part.seen}
        )
        found = {kind: examined for kind, part in parts.items() if (examined := part.examine()) is not None}
        if path is not None and found:
            about = (
                found[""].to_dict() if len(self._parts) == 1 else {kind: one.to_dict() for kind, one in found.items()}
            )
            path.write_text(json.dumps(about, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        by_kind = [
            (kind, part.note or found[kind].sentences()) for kind, part in parts.items() if part.note or kind in found
        ]
        return [f"{kind}: {sentence}" if kind else sentence for kind, sentences in by_kind for sentence in sentences]


class _Part:
    """The rows of one model."""

    def __init__(self, usual: Usual | None) -> None:
        self._usual = usual
        self.seen = self._flagged = 0
        self._first = ""
        self._drawn: list[dict[str, Any]] = []
        self._draw = random.Random(0)  # noqa: S311 - no secret: the same rows give the same draw

    @property
    def note(self) -> list[str]:
        """Why nothing can be said; empty where something can."""
        if self._usual is None:
            return [FORGOTTEN]
        return [self._usual.note] if self._usual.note else []

    def add(self, row: dict[str, Any]) -> None:
        """Take a row with facts."""
        self._flagged += bool(row["unusual"])
        self._first = self._first or (f"{row['image_path']}: {row['unusual']}" if row["unusual"] else "")
        self.seen += 1
        entry = {"image_path": row["image_path"], "facts": row["facts"]}
        if len(self._drawn) < RESERVOIR:
            self._drawn.append(entry)
        elif (place := self._draw.randrange(self.seen)) < RESERVOIR:
            self._drawn[place] = entry

    def examine(self) -> Examined | None:
        """Examine the rows as a set; None where there is nothing to say."""
        if self._usual is None or self._usual.note or not self._drawn:
            return None
        names = [row["image_path"] for row in self._drawn]
        facts = [{name: math.nan if v is None else v for name, v in row["facts"].items()} for row in self._drawn]
        found = self._usual.examine(facts, [_group(name) for name in names], names)
        return found._replace(images=self.seen, flagged=self._flagged, example=self._first)


def _group(name: str) -> str:
    """Name what an image hangs together with: the frames of one video do, files are taken as independent."""
    video, _, _ = name.rpartition("#")
    return video if LIVE in video or PurePath(video).suffix.lower() in VIDEOS else name
