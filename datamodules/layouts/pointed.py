"""Files of labelme's in a folder of their own, as ``loupe label`` exports them: each names its image, elsewhere.

What an image is called is the flag that is set; where none is, its outlines tell.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.suffixes import is_image
from datamodules.outlines.documents import JSON
from datamodules.outlines.labelme import ticked_flags
from datamodules.outlines.parsing import load_json

from .strays import Setting, judge_strays
from .words import WORDS, Found, Verdict, kind_of, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .files import Tree

_MEND = "label it again, or delete the file"


class _Pointer(NamedTuple):
    """A file of labelme's, the image that it names, and what it says of it."""

    file: Path
    image: Path
    verdict: Verdict
    outlined: bool


def find_pointed(tree: Tree, bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    """List the images that files of labelme's name, where there are none below the root; none: this is no such folder.

    Raises:
        DataError: None of the named images is there, or a file that may hold labels cannot be read.
    """
    if tree.images:
        return []
    pointers, absent, other = [], [], []
    for path in tree.documents:
        target, data = _target(path)
        if target is None:
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
    return _listed(pointers, bare_kind, problems)


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
    return Path(os.path.normpath(path.parent.resolve() / named.replace("\\", "/"))), data


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
        found.append(Found(image, "/".join(parts), first.verdict, kind_of(parts[:-1], bare_kind), annotation=labels))
    return found
