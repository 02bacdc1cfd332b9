"""What becomes of files that may hold labels but belong to no image: named, or refused where silence would mislead.

Where an image without a label counts as good, a file that nobody understood may be the very one that says otherwise:
nothing is read until it is gone or can be read. Where folders or a table say what every image is, it is named.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.names import same_name
from datamodules.files.regular_files import LARGEST_LABELS, read_regular
from datamodules.outlines.coco import is_coco
from datamodules.outlines.documents import JSON, TABLES, TEXTS, recognise_file
from datamodules.outlines.forms import READ_FORMS
from datamodules.outlines.parsing import load_json
from datamodules.outlines.polygon_files import is_outlines, parse_labels

from .class_words import SPLIT_FOLDERS, words_of
from .files import LABEL_FOLDERS, walk_tree

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from .files import Tree

Sort = Literal["labels", "stray", "broken", "list", "unknown", "harmless"]
_GOOD = "An image without a label would count as good, so nothing is read before that."
_OUTLINES = "is a label file of outlines, which this data does not read"
_FOR_OUTLINES = "draw them as masks, or use data=oring, which reads outlines"
_FOR_TABLES = (
    "folder, fiber and oring read one that has the columns image and label; mend it, or move it out of data.root"
)
MOST_EXAMINED = 20  # files of one folder and suffix, where none is read
_NONE_USED = "No outline is read as it is; move them out of data.root to go on without any."


@dataclass(frozen=True)
class Stray:
    """A file that may hold labels but belongs to no image.

    Attributes:
        path: The file.
        sort: ``labels`` of a form that is not read; ``stray``: of one that is, for no image; ``broken``: unreadable;
            a ``list`` of images; ``unknown``; or ``harmless``: it is known to hold no labels.
        what: What it is; a sentence that begins with its path goes on like that.
        remedy: What to do about it.
    """

    path: Path
    sort: Sort
    what: str
    remedy: str

    @property
    def problem(self) -> UnreadableImageError:
        """Say it as something that was left out."""
        return UnreadableImageError(self.path, self.what, self.remedy)


@dataclass(frozen=True)
class Setting:
    """What it would mean to go on without a file.

    Attributes:
        tree: What lies below the root.
        absence_is_good: Some images count as good for want of a label.
        any_used: Some label file belongs to an image.
    """

    tree: Tree
    absence_is_good: bool
    any_used: bool

    @cached_property
    def holding(self) -> set[Path]:
        """The folders that hold images."""
        return {image.parent for image in self.tree.images}

    @cached_property
    def names(self) -> set[str]:
        """The names of all images, in any case and Unicode form."""
        return {same_name(image.name) for image in self.tree.images}

    @cached_property
    def stems(self) -> set[str]:
        """Their names without suffix."""
        return {same_name(image.stem) for image in self.tree.images}


def judge_strays(setting: Setting, paths: Iterable[Path]) -> list[UnreadableImageError]:
    """List files that belong to no image, or refuse to go on.

    Raises:
        DataError: Labels are there that cannot be read, or belong to no image, and images without any would count as
            good; or labels are there, and none of them can be used.
    """
    examined = (classify_stray(path) or classify_list(path, setting) for path in paths)
    strays = [stray for stray in examined if stray is not None]
    for sort in ("labels", "broken", "stray", "list", "unknown"):
        grave = [stray for stray in strays if stray.sort == sort and _misleads(stray, setting)]
        if grave:
            raise DataError(refusal(setting, grave))
    return [stray.problem for stray in strays]


def unused_documents(root: Path, used: Collection[Path] = ()) -> list[UnreadableImageError]:
    """List files below ``root`` that may hold labels, where none but those in ``used`` is read."""
    folders: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in walk_tree(root, []).documents:
        if path not in used:
            folders[path.parent, path.suffix.lower()].append(path)
    return [problem for paths in folders.values() for problem in _unused(paths)]


def _unused(paths: Sequence[Path]) -> list[UnreadableImageError]:
    """Name what holds labels among the files of one folder and suffix; of many, some speak for all."""
    examined = [paths[index] for index in sorted({*np.linspace(0, len(paths) - 1, MOST_EXAMINED).astype(int)})]
    found = [stray for stray in map(classify_stray, examined) if stray is not None and stray.sort != "harmless"]
    strays = [_as_unread(stray) for stray in found]
    if len(paths) <= MOST_EXAMINED or not strays:
        return [stray.problem for stray in strays]
    what = f"holds {len(paths)} files such as {strays[0].path.name}, which {strays[0].what}"
    return [UnreadableImageError(paths[0].parent, what, strays[0].remedy)]


def _as_unread(stray: Stray) -> Stray:
    """Say of what is read elsewhere that it is not read here."""
    if stray.sort == "stray":
        return replace(stray, what=_OUTLINES, remedy=_FOR_OUTLINES)
    if same_name(stray.path.name) == "labels.csv":
        return replace(stray, what="is a table of labels that is not read", remedy=_FOR_TABLES)
    return stray


def classify_stray(path: Path) -> Stray | None:
    """Tell what a file is; None for a text that holds no labels."""
    try:
        data = load_json(path) if path.suffix.lower() in JSON else None
        if is_outlines(data):
            labels = parse_labels(data, path)
            empty = not labels.outlines and not labels.problems
            what = "is a label file without a picture" + (", and outlines nothing" if empty else "")
            return Stray(path, "harmless" if empty else "stray", what, "add the picture, or delete it")
        if is_coco(data):
            return Stray(path, "stray", "is a COCO file whose images are not here", "add them, or delete it")
    except UnreadableImageError:
        pass  # JSON lines, perhaps
    try:
        form = recognise_file(path)
    except UnreadableImageError as error:
        return None if path.suffix.lower() in TEXTS else Stray(path, "broken", error.problem, error.remedy)
    if form.labels is None:
        return Stray(path, "unknown", form.what, form.remedy)
    if not form.labels:
        return None if path.suffix.lower() in TEXTS else Stray(path, "harmless", f"{form.what}: no labels", form.remedy)
    return Stray(path, "labels", f"{form.what}, which is not read", form.remedy)


def classify_list(path: Path, setting: Setting) -> Stray | None:
    """Tell whether a text is a list of images, and may say which of them are defective."""
    if path.suffix.lower() not in TEXTS or not setting.absence_is_good:
        return None
    try:
        lines = read_regular(path, LARGEST_LABELS).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    firsts = [same_name(re.split(r"[,;\s]", line.strip())[0]).rpartition("/")[2] for line in lines if line.strip()]
    if sum(first in setting.names or first in setting.stems for first in firsts) * 2 <= len(firsts):
        return None
    remedy = "say it in labels.csv, with columns image and label; if it says nothing of them, move it out of data.root"
    splits = set(words_of(path.stem)) <= {*SPLIT_FOLDERS, "trainval"}
    return Stray(path, "harmless" if splits else "list", "lists images, and is not read", remedy)


def refusal(setting: Setting, strays: Sequence[Stray]) -> str:
    """Say what cannot be used among files of one sort, with two examples and a count, and what to do."""
    first = strays[0]
    alike = [stray for stray in strays if stray.what == first.what] if first.sort == "labels" else strays
    names = ", ".join(setting.tree.name(stray.path) for stray in alike[:2]) + (", ..." if len(alike) > 2 else "")
    count = "1 file" if len(alike) == 1 else f"{len(alike)} files"
    why = _GOOD if setting.absence_is_good else _NONE_USED
    if first.sort == "stray":
        expected = f"Expected an image for every label file under {setting.tree.root}, but found {count} without one"
        return f"{expected} ({names}); add or rename the images, or delete the label files. {why}"
    expected = f"Expected labels under {setting.tree.root} as {READ_FORMS}"
    if len(alike) == 1:
        return f"{expected}, but found {names}: {first.what}; {first.remedy}. {why}"
    which = "each" if first.sort == "labels" else "the first"
    return f"{expected}, but found {count} ({names}): {which} {first.what}; {first.remedy}. {why}"


def _misleads(stray: Stray, setting: Setting) -> bool:
    """Tell whether going on without a file could give an image the wrong label."""
    if stray.sort in {"labels", "stray"}:
        return setting.absence_is_good or not setting.any_used
    if not setting.absence_is_good or stray.sort == "harmless":
        return False
    if stray.sort == "list":
        return True
    if stray.path.suffix.lower() in TABLES:
        return not setting.any_used or _names_an_image(stray.path, setting)
    return not setting.any_used or _is_relevant(stray.path, setting)


def _is_relevant(path: Path, setting: Setting) -> bool:
    """Tell whether labels are looked for where a file lies: at the top, in a folder of labels, or beside images."""
    folders = {folder.lower() for folder in setting.tree.parts(path)[:-1]}
    return not folders or bool(folders & {*LABEL_FOLDERS}) or path.parent in setting.holding


def _names_an_image(path: Path, setting: Setting) -> bool:
    """Tell whether a table names one of the images."""
    try:
        text = read_regular(path, LARGEST_LABELS).decode("utf-8", errors="replace")
    except OSError:
        return True
    return bool(setting.names & {same_name(cell.strip()) for cell in re.split(r'[,;\t"\r\n/\\]+', text)})
