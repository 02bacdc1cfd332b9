"""A table of labels beside folders that say them already: what it names goes before its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.csv_text import bare, map_texts
from datamodules.table import DEFECTIVE, GOOD, UNKNOWN

from .finding import TABLE
from .label_table import FileIndex, read_labels
from .words import WORDS, plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LEFT_OUT = ("ambiguous", "rework")
_INDEX = {"good": GOOD, "defective": DEFECTIVE, "unknown": UNKNOWN}


class Relabelled(NamedTuple):
    """What a line of labels.csv says of an image.

    Attributes:
        label_index: 0 good, 1 defective, -1 unknown; None: leave it out.
        defect: Type of its defect; empty where the table names none.
        word: As it stands there.
    """

    label_index: int | None
    defect: str
    word: str


def read_relabelled(
    root: Path, images: Sequence[Path], problems: list[UnreadableImageError]
) -> dict[Path, Relabelled] | None:
    """Read ``labels.csv`` with ``image``, ``label`` and, if wanted, ``defect``; None where it names no image here.

    Lines that name no image, or whose label means nothing, are added to ``problems``.
    """
    path = root / TABLE
    if not path.is_file():
        return None
    try:
        table = map_texts(read_labels(path), bare)
    except DataError:
        return None  # a table of something else
    files = FileIndex(root, images)
    found: dict[Path, Relabelled] = {}
    strange = []
    for line, row in enumerate(table.to_dict("records"), start=2):
        image, word = files.find(str(row["image"]).strip()), plain(str(row["label"]))
        where = f"in line {line} of {TABLE}"
        if image is None:
            strange.append(UnreadableImageError(path, f"names {row['image']} {where}", "mend the name, or delete it"))
        elif word and word not in WORDS and word not in LEFT_OUT:
            remedy = "use good, defective, ambiguous, or leave it empty"
            strange.append(UnreadableImageError(image, f"has label {row['label']!r} {where}", remedy))
        else:
            index = _INDEX.get(str(WORDS.get(word or "unknown"))) if word not in LEFT_OUT else None
            found[image] = Relabelled(index, str(row.get("defect", "")).strip(), str(row["label"]))
    if not found:
        return None
    problems += strange
    return found
