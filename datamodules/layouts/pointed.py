"""Files of labelme's or of COCO in a folder of their own, as ``loupe label`` exports them: they name images elsewhere.

What an image is called is the flag that is set, or in COCO its ``verdict`` or ``label``; where none is, outlines tell.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.suffixes import is_image
from datamodules.outlines.coco import is_coco_file, load_coco
from datamodules.outlines.documents import JSON
from datamodules.outlines.labelme import ticked_flags
from datamodules.outlines.parsing import load_json
from datamodules.table import UNASSIGNED

from .coco import split_of
from .strays import Setting, judge_strays
from .words import WORDS, Found, Verdict, kind_of, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .files import Tree

_MEND = "label it again, or delete the file"


class _Pointer(NamedTuple):
    """A label file, an image that it names, and what it says of it."""

    file: Path
    image: Path
    verdict: Verdict
    outlined: bool
    kind: str = ""
    group: str = ""
    split: str = UNASSIGNED


def find_pointed(tree: Tree, bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    """List the images that label files name, where there are none below the root; none: this is no such folder.

    Raises:
        DataError: None of the named images is there, or a file that may hold labels cannot be read.
    """
    if tree.images:
        return []
    pointers, absent, other = [], [], []
    for path in tree.documents:
        target, data = _target(path)
        if target is None and (listed := _of_coco(tree, path, problems)):
            pointers += listed
        elif target is None:
            other.append(path)
        elif not (target.is_file() and is_image(target)):
            absent.append(UnreadableImageError(path, f"names {target}, which is not there", _MEND))
        else:
            pointers.append(_pointer(path, target, data))
    if not pointers and absent:
        raise DataError(
            f"Expected the images that {len(absent)} files of labelme's under {tree.root} name, but found none of "
            f"them: {absent[0].path} {absent[0].problem}; move them back, or copy them beside the files."
        )
    if not pointers:
        return []
    problems += absent
    problems += judge_strays(Setting(tree, absence_is_good=False, any_used=True), other)
    if found := _listed(pointers, bare_kind, problems):
        return found
    first = problems[-1]
    raise DataError(
        f"Expected one label file for each image under {tree.root}, but found no image with only one: {first.path} "
        f"{first.problem}; {first.remedy}."
    )


def _target(path: Path) -> tuple[Path | None, dict[str, object]]:
    """Find what a file of labelme's names; None: it is no such file, or names what could lie beside it."""
    if path.suffix.lower() not in JSON:
        return None, {}
    try:
        data = load_json(path)
    except UnreadableImageError:
        return None, {}
    if not isinstance(data, dict) or not isinstance(data.get("shapes"), list):
        return None, {}
    named = data.get("imagePath")
    if not isinstance(named, str) or not named.strip():
        return None, {}
    return _place(path, named), data


def _place(file: Path, named: str) -> Path:
    """Return where an image lies that a file names from its own folder."""
    return Path(os.path.normpath(file.parent.resolve() / named.replace("\\", "/")))


def _of_coco(tree: Tree, path: Path, problems: list[UnreadableImageError]) -> list[_Pointer]:
    """List the images that a COCO file names from where it lies; none: it is no such file, or they lie elsewhere."""
    coco = load_coco(path) if path.suffix.lower() in JSON and is_coco_file(path) else None
    found, absent = [], []
    for image in coco.images if coco is not None else ():
        target, entry = _place(path, str(image.entry["file_name"])), image.entry
        if not (target.is_file() and is_image(target)):
            remedy = "copy it there, or delete its entry"
            absent.append(UnreadableImageError(target, f"is listed in {tree.name(path)}, but not on disk", remedy))
            continue
        word = WORDS.get(plain(str(entry.get("verdict") or entry.get("label") or "")), "open")
        kind, group = str(entry.get("kind") or ""), str(entry.get("group") or "")
        found.append(_Pointer(path, target, word, bool(image.annotations), kind, group, split_of(tree, path)))
    if coco is not None and found:
        problems += [*coco.problems, *absent]
    return found


def _pointer(path: Path, image: Path, data: dict[str, object]) -> _Pointer:
    words = [WORDS[word] for flag in ticked_flags(data) if (word := plain(flag)) in WORDS]
    return _Pointer(path, image, words[0] if len(set(words)) == 1 else "open", bool(data["shapes"]))


def _listed(pointers: Sequence[_Pointer], bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    claims: dict[Path, list[_Pointer]] = defaultdict(list)
    for pointer in pointers:
        claims[pointer.image].append(pointer)
    base, found = Path(os.path.commonpath([image.parent for image in claims])), []
    for image, claimed in claims.items():
        first = claimed[0]
        if len(claimed) > 1:
            problem = f"is named by {len(claimed)} label files, {first.file} and {claimed[1].file}"
            problems.append(UnreadableImageError(image, problem, "delete the wrong one"))
            continue
        parts = image.relative_to(base).parts
        labels = first.file if first.outlined or first.verdict == "open" else None  # a verdict alone outlines nothing
        kind = first.kind or kind_of(parts[:-1], bare_kind)
        found.append(Found(image, "/".join(parts), first.verdict, kind, first.group, first.split, labels))
    return found
