"""Images that COCO files list: each file in its folder or split, matched to what is on disk by name and folders."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datamodules.errors import DataError, UnreadableImageError
from datamodules.outlines.coco import is_coco_file, load_coco
from datamodules.outlines.names import same_parts
from datamodules.table import UNASSIGNED

from .class_words import SPLIT_FOLDERS
from .files import read_summary
from .words import WORDS, Found, kind_of, plain, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from datamodules.outlines.coco import CocoImage
    from datamodules.outlines.names import Parts

    from .files import Tree

FEW = 12  # JSON files at the top, or in annotations/; where there are more, each belongs to one image


@dataclass(frozen=True)
class Listed:
    """An image that a COCO file lists.

    Attributes:
        file: The COCO file.
        image: What it says.
        owners: The images on disk that it may mean: one, or none, or several that nothing tells apart.
        closeness: How many parts of the path they share.
    """

    file: Path
    image: CocoImage
    owners: Sequence[Path]
    closeness: int


def check_complete(root: Path) -> None:
    """Refuse what ``loupe prepare`` did not come to the end of writing.

    Raises:
        DataError: As above.
    """
    if not read_summary(root).get("complete", True):
        raise DataError(f"Expected {root} to be whole, but loupe prepare was stopped while writing it; run it again.")


def coco_files(tree: Tree, loose: Iterable[Path]) -> list[Path]:
    """List the COCO files: among those that belong to no image, and those few that lie where COCO files usually do."""
    usual = [path for path in tree.documents if path.suffix.lower() == ".json" and _is_usual(tree.parts(path))]
    candidates = dict.fromkeys([*loose, *(usual if len(usual) <= FEW else [])])
    return sorted(path for path in candidates if is_coco_file(path))


def find_listed(tree: Tree, files: Sequence[Path], bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    """List the images of COCO files; what cannot be used is added to ``problems``.

    Raises:
        DataError: Two files list one image, or none of the images is on disk.
    """
    listed = list(_listed(tree, files, problems))
    claims: dict[Path, list[Listed]] = defaultdict(list)
    for one in listed:
        if len(one.owners) == 1:
            claims[one.owners[0]].append(one)
        else:
            problems.append(_not_found(tree, one))
    _check_found(tree, listed, claims)
    found = []
    for image, claimed in claims.items():
        best = [one for one in claimed if one.closeness == max(other.closeness for other in claimed)]
        problems += [_not_found(tree, one) for one in claimed if one not in best]
        if len(best) > 1:
            problems.append(_claimed_twice(tree, image, best))
        else:
            found.append(_found(tree, image, best[0], bare_kind))
    return found + _unlisted(tree, {*claims}, files, bare_kind, problems)


def _is_usual(parts: Parts) -> bool:
    return len(parts) == 1 or (len(parts) == 2 and parts[0].lower() == "annotations")


class _Index:
    """The images below a root by where they lie, whatever the case and Unicode form of names."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.by_path: dict[Parts, list[Path]] = defaultdict(list)
        self.by_name: dict[str, list[Parts]] = defaultdict(list)
        for path in tree.images:
            parts = same_parts(tree.parts(path))
            self.by_path[parts].append(path)
            self.by_name[parts[-1]].append(parts)

    def find_on_disk(self, spelt: Parts, bases: Sequence[Parts], *, anywhere: bool) -> tuple[list[Path], int]:
        """Find the images that a name in a COCO file may mean, and how many parts of their path the two share.

        A file that was written elsewhere may name folders that are not here: the fewest are dropped that must be, and
        what is left lies in one of ``bases``. With ``anywhere``, all that it names may also lie in any folder.
        """
        parts = same_parts(spelt)
        for start in range(len(parts)):
            for base in bases:
                if paths := self.by_path.get((*base, *parts[start:])):
                    exact = [path for path in paths if self.tree.parts(path)[-1] == spelt[-1]]
                    return exact or paths, len(parts) - start
        inner = [one for one in self.by_name.get(parts[-1], ()) if one[-len(parts) :] == parts] if anywhere else []
        return [path for one in dict.fromkeys(inner) for path in self.by_path[one]], len(parts)


def _listed(tree: Tree, files: Sequence[Path], problems: list[UnreadableImageError]) -> Iterator[Listed]:
    """Look for every listed image on disk."""
    index = _Index(tree)
    holding = {path.parent for path in tree.images}
    for file in files:
        coco = load_coco(file)
        if coco is None:  # it was one a moment ago
            continue
        problems += coco.problems
        bases = _bases(tree, file)
        for image in coco.images:
            found = [index.find_on_disk(spelt, bases, anywhere=file.parent not in holding) for spelt in image.spelt]
            owners, closeness = max(found, key=lambda one: (bool(one[0]), one[1]))
            yield Listed(file, image, owners, closeness)


def _bases(tree: Tree, file: Path) -> list[Parts]:
    """List the folders in which the images of a COCO file may lie, the likeliest first."""
    parent = same_parts(tree.parts(file)[:-1])
    words = split_words(file)
    own = [(*parent, "images"), (*parent[:-1], "images"), parent[:-1]]
    usual: list[Parts] = [*(("images", word) for word in words), ("images",), *((word,) for word in words), ()]
    return list(dict.fromkeys([*usual, parent, *own]))


def split_words(path: Path) -> list[str]:
    """Return the words in a file's name that name a split, as in ``train.json`` or ``instances_val2017.json``."""
    return [word for word in re.split(r"[^a-z]+", path.stem.lower()) if word in SPLIT_FOLDERS]


def split_of(tree: Tree, file: Path) -> str:
    """Return the split that a COCO file's name or else its folder names; empty where they name none, or two."""
    folders = [word for word in same_parts(tree.parts(file)[:-1]) if word in SPLIT_FOLDERS]
    named = {SPLIT_FOLDERS[word] for word in split_words(file) or folders}
    return named.pop() if len(named) == 1 else UNASSIGNED


def _found(tree: Tree, image: Path, listed: Listed, bare_kind: str) -> Found:
    entry, folders = listed.image.entry, tree.parts(image)[:-1]
    verdict = WORDS.get(plain(str(entry["label"])), "open") if entry.get("label") else verdict_of(folders)
    return Found(
        image=image,
        name=tree.name(image),
        verdict=verdict or "open",
        kind=str(entry.get("kind") or "") or kind_of(folders, bare_kind),
        group=str(entry.get("group") or ""),
        split=split_of(tree, listed.file),
        annotation=listed.file,
    )


def _unlisted(
    tree: Tree, listed: set[Path], files: Sequence[Path], bare_kind: str, problems: list[UnreadableImageError]
) -> list[Found]:
    """List the images that no COCO file has: those that folders call good or defective, and problems."""
    where = tree.name(files[0]) if len(files) == 1 else f"any of {len(files)} COCO files"
    found = []
    for image in tree.images:
        folders = tree.parts(image)[:-1]
        if image in listed:
            continue
        if verdict := verdict_of(folders):
            found.append(Found(image, tree.name(image), verdict, kind_of(folders, bare_kind)))
            continue
        remedy = "list it there (a good image needs no annotation), or move it out of data.root"
        problems.append(UnreadableImageError(image, f"is not listed in {where}", remedy))
    return found


def _not_found(tree: Tree, listed: Listed) -> UnreadableImageError:
    name, file = listed.image.name, tree.name(listed.file)
    if listed.owners:
        both = " or ".join(tree.name(path) for path in listed.owners[:2])
        problem, remedy = f"is listed in {file}, and may be {both}", "write its folder into file_name"
    else:
        problem = f"is listed in {file}, but not on disk"
        remedy = "copy it there, or delete its entry"
    return UnreadableImageError(name, problem, remedy)


def _claimed_twice(tree: Tree, image: Path, claims: Sequence[Listed]) -> UnreadableImageError:
    names = " and ".join(one.image.name for one in claims[:2])
    problem = f"is what {tree.name(claims[0].file)} may mean by {names}"
    return UnreadableImageError(image, problem, "write into file_name where it lies below data.root")


def _check_found(tree: Tree, listed: Sequence[Listed], claims: Mapping[Path, Sequence[Listed]]) -> None:
    """Refuse COCO files none of whose images is here, and two files that list the same.

    Raises:
        DataError: As above.
    """
    if listed and not any(one.owners for one in listed):
        names = ", ".join(one.image.name for one in listed[:2])
        raise DataError(
            f"Expected the images that {tree.name(listed[0].file)} lists under {tree.root}, but found none of "
            f"{len(listed)} ({names}{', ...' if len(listed) > 2 else ''}); copy them to {tree.root / 'images'}, under "
            "the names that the file has."
        )
    twice = {image: {one.file: None for one in claimed} for image, claimed in claims.items()}
    twice = {image: files for image, files in twice.items() if len(files) > 1}
    if twice:
        image, files = next(iter(twice.items()))
        first, second = list(files)[:2]
        raise DataError(
            f"Expected every image in one COCO file, but found {len(twice)} in two of them: {tree.name(image)} in "
            f"{tree.name(first)} and {tree.name(second)}; keep one of these files, or merge them."
        )
