"""Which tool wrote a file of any sort that may hold labels: JSON, JSON lines, XML, tables and text.

A file that nobody reads is looked at just long enough to call it by its name.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError
from datamodules.files.regular_files import open_regular

from .forms import UNKNOWN_REMEDY, Form, coco_from, recognise
from .parsing import load_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JSON, LINES, XML = {".json", ".geojson"}, {".jsonl", ".ndjson", ".manifest"}, {".xml"}
TABLES, TEXTS, SHEETS = {".csv", ".tsv"}, {".txt"}, {".ods", ".xls", ".xlsx"}
SUFFIXES = frozenset(JSON | LINES | XML | TABLES | TEXTS | SHEETS)

_EXAMINED = 65_536  # bytes of a file that is only to be called by its name
_NUMBER = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"
_YOLO_LINE = re.compile(rf"\d+(?:\s+{_NUMBER}){{4,}}\s*$")
_DOTA_HEAD = ("imagesource:", "gsd:")
_DOTA_LINE = re.compile(rf"(?:{_NUMBER}\s+){{8}}[^\d\s]\S*(?:\s+\d)?\s*$")
_KITTI_LINE = re.compile(rf"[A-Za-z]\S*(?:\s+{_NUMBER}){{14,15}}\s*$")


def recognise_file(path: Path) -> Form:
    """Tell the form of a file that is neither COCO, labelme, nor the o-ring system's.

    Raises:
        UnreadableImageError: It cannot be read, is empty, or is not what its suffix says.
    """
    suffix = path.suffix.lower()
    if suffix in SHEETS:
        return _SPREADSHEET
    readers = ((LINES, _of_lines), (XML, _of_xml), (TABLES, _of_table), (TEXTS, _of_text))
    for suffixes, reader in readers:
        if suffix in suffixes:
            return reader(_head(path))
    try:
        return recognise(load_json(path))
    except UnreadableImageError:
        if _is_lines(_head(path)):
            return _of_lines(_head(path))
        raise


def _head(path: Path) -> str:
    """Read the beginning of a file as text, whatever its encoding."""
    try:
        with open_regular(path) as file:
            data = file.read(_EXAMINED)
    except OSError as error:
        problem = f"cannot be opened ({error.strerror})"
        raise UnreadableImageError(path, problem, "check path and permissions") from error
    if not data.strip():
        raise UnreadableImageError(path, "is empty", "copy it again from its source, or delete it")
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    return data.decode(encoding, errors="replace")


def _is_lines(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return len(lines) > 1 and isinstance(json.loads(lines[0]), dict)
    except (ValueError, RecursionError):
        return False


def _of_lines(text: str) -> Form:
    """Tell the form of JSON lines by the first of them."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    known = (form for form in (recognise([entry]), recognise(entry)) if form.labels is not None)
    if (found := next(known, None)) is None:
        return Form("JSON lines, a document on each line", UNKNOWN_REMEDY, None)
    return Form(f"{found.name}, as JSON lines", found.remedy, found.labels)


def _of_xml(text: str) -> Form:
    """Tell the form of XML by its outermost elements; nothing is parsed that could expand without end."""
    names = re.findall(r"<([A-Za-z_][\w.-]*)", text)
    if not names:
        return Form("no XML that can be read", "export it again, or delete it", None)
    root, inner = names[0].lower(), {name.lower() for name in names[1:]}
    if root == "annotation" and "polygon" in inner and "bndbox" not in inner:
        return Form("a label file of the old LabelMe (XML)", "convert it to COCO or labelme's JSON")
    if root == "annotation":
        return Form("a label file of Pascal VOC (XML)", _TOOL)
    if root == "annotations" and inner & {"image", "track", "meta", "version"}:
        return Form("an export of CVAT (XML)", "choose COCO 1.0 when you export from CVAT")
    if root == "dataset" and "box" in inner:
        return Form("an export of dlib's imglab (XML)", "convert it to COCO")
    return Form(f"XML of <{names[0]}>", UNKNOWN_REMEDY, None)


def _of_table(text: str) -> Form:
    """Tell the form of a table by its first line."""
    line = text.splitlines()[0]
    separator = max(",;\t", key=line.count)
    cells = [cell.strip() for cell in next(csv.reader(io.StringIO(line), delimiter=separator), [])]
    if (form := next((form for form, fits in _TABLES_KNOWN if fits(cells)), None)) is not None:
        return form
    shown = ", ".join(repr(cell[:40]) for cell in cells[:5])
    remedy = "name its labels in labels.csv, with columns image and label; if it holds none, move it out of data.root"
    return Form(f"a table with {shown or 'no columns'}", remedy, None)


def _names(cells: list[str]) -> set[str]:
    return {cell.lower() for cell in cells}


def _are_corners(cells: list[str]) -> bool:
    """Tell whether four cells are a box, or all empty, as RetinaNet writes an image without one."""
    return all(re.fullmatch(_NUMBER, cell.strip()) for cell in cells) or not any(cell.strip() for cell in cells)


def _of_text(text: str) -> Form:
    """Tell the form of a text by its first lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(_DOTA_HEAD)][:5]
    if all(_YOLO_LINE.match(line) for line in lines):
        return Form("a label file of YOLO (txt)", _TOOL)
    if all(_DOTA_LINE.match(line) for line in lines):
        return Form("a label file of DOTA (txt)", _TOOL)
    if all(_KITTI_LINE.match(line) for line in lines):
        return Form("a label file of KITTI (txt)", _TOOL)
    return Form("text", "nothing to do", labels=False)


_TOOL = coco_from("the tool that wrote it")
_VIA = "save the project as COCO (Annotation, Export Annotations in COCO format)"
_LABELS = "name it labels.csv and put it into data.root"
_SPREADSHEET = Form(
    "a spreadsheet",
    "if it holds labels, save them as labels.csv, with columns image and label; if not, move it out of data.root",
    None,
)
_CORNERS = {"xmin", "ymin", "xmax", "ymax"}

_TABLES_KNOWN: tuple[tuple[Form, Callable[[list[str]], bool]], ...] = (
    (Form("an export of VIA (CSV)", _VIA), lambda cells: _names(cells) >= {"filename", "region_shape_attributes"}),
    (Form("a table of boxes, as TensorFlow's object detection reads it (CSV)", _TOOL),
     lambda cells: {name.replace("_", "") for name in _names(cells)} >= _CORNERS),
    (Form("a table of boxes, as RetinaNet reads it (CSV)", _TOOL),
     lambda cells: len(cells) in {6, 8} and _are_corners(cells[1:5])),
    (Form("a table of run lengths (CSV)", "convert it to COCO"),
     lambda cells: any("encodedpixels" in name or name in {"rle", "rle_mask"} for name in _names(cells))),
    (Form("a table of Google's AutoML (CSV)", _TOOL), lambda cells: any(cell.startswith("gs://") for cell in cells)),
    (Form("a table of labels", _LABELS, None), lambda cells: _names(cells) >= {"image", "label"}),
)  # fmt: skip
