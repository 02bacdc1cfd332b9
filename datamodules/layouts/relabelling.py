"""A table of labels beside folders that say them already: what it names goes before its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.csv_text import bare, map_texts
from datamodules.table import DEFECTIVE, GOOD, UNKNOWN

from .finding import TABLE
from .label_table import FileIndex, MissingColumnError, read_labels
from .words import WORDS, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
    """Read ``labels.csv`` with ``image``, ``label`` and, if wanted, ``defect``; None where there is none.

    Lines that name no image, or whose label means nothing, are added to ``problems``.

    Raises:
        DataError: It cannot be read, or none of its lines labels an image.
    """
    path = root / TABLE
    if not path.is_file():
        return None
    try:
        table = map_texts(read_labels(path), bare)
    except MissingColumnError:
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
    if not found and strange:
        raise DataError(
            f"Expected {path} to label images below {root}, but found none that it labels; for example, it "
            f"{strange[0].problem}; mend it, or move it out of data.root if it belongs to something else."
        )
    problems += strange
    return found


def corrections(rows: Sequence[dict[str, object]], labels: Mapping[Path, Relabelled]) -> list[str]:
    """Say how many images a table calls otherwise than their folders do; nothing where they agree."""
    by_path = {str(path): one.label_index for path, one in labels.items()}
    names = [
        str(row["name"])
        for row in rows
        if by_path.get(str(row["image_path"]), row["label_index"]) not in {None, row["label_index"]}
        and "/" in str(row["name"])
    ]
    if not names:
        return []
    shown = ", ".join(names[:2]) + (", ..." if len(names) > 2 else "")
    one = len(names) == 1
    images = f"1 image ({shown}) is" if one else f"{len(names)} images ({shown}) are"
    folders = "its folder" if one else "their folders"
    return [f"{images} labelled in {TABLE} otherwise than by {folders}: the table counts."]


def relabelled(
    rows: list[dict[str, object]], labels: Mapping[Path, Relabelled], problems: list[UnreadableImageError]
) -> list[dict[str, object]]:
    """Give rows the labels that a table says; leave out those of which it says that nobody can tell."""
    rows_now = []
    by_path = {str(path): one for path, one in labels.items()}
    for row in rows:
        one = by_path.get(str(row["image_path"]))
        if one is None:
            rows_now.append(row)
        elif one.label_index is None:
            problem = f"is labelled {one.word} in {TABLE}"
            problems.append(UnreadableImageError(str(row["image_path"]), problem, "label it good or defective"))
        else:
            defect = (one.defect or str(row["defect"]) or "defect") if one.label_index == DEFECTIVE else ""
            rows_now.append({**row, "label_index": one.label_index, "defect": defect})
    return rows_now
