"""The ways in which images of o-rings and their outlines lie on disk: folders, a table, COCO files.

Each is listed to the same `Found`; what an image is labelled follows from that and its outlines together.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.names import same_name
from datamodules.masks.beside import without_masks
from datamodules.outlines.documents import JSON
from datamodules.outlines.polygon_files import holds_outlines

from .coco import check_complete, coco_files, find_listed
from .files import Tree, walk_tree
from .label_table import FileIndex, read_labels
from .matching import Matched, match_labels
from .pointed import find_pointed
from .split_folders import split_folders
from .strays import Setting, judge_strays
from .words import WORDS, Found, is_part_folder, kind_of, plain, verdict_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

TABLE = "labels.csv"


def find_images(root: Path, bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    """List the images under ``root``, in whichever layout it has; what is not used is added to ``problems``.

    Raises:
        DataError: There are none, nothing says which are good, or something that may say so cannot be read.
    """
    check_complete(root)
    tree = walk_tree(root, problems)
    tree.images[:], masks = without_masks(root, tree.images, "oring")
    problems += masks
    if pointed := find_pointed(tree, bare_kind, problems):
        return pointed
    matched = match_labels(tree)
    problems += [_of_masks(folder, count) for folder, count in tree.masks.items()]
    if files := coco_files(tree, matched.loose):
        return _in_coco(tree, files, matched, bare_kind, problems)
    problems += matched.refused.values()
    if (table := _table(tree)) is not None:
        return _in_table(tree, table, matched, bare_kind, problems)
    return _in_folders(tree, matched, bare_kind, problems)


def _in_coco(
    tree: Tree, files: Sequence[Path], matched: Matched, bare_kind: str, problems: list[UnreadableImageError]
) -> list[Found]:
    """List what COCO files list; label files of single images beside them would be a second opinion."""
    own = [path for path in matched.label_of.values() if path not in files and holds_outlines(path)]
    if own:
        raise DataError(
            f"Expected the outlines under {tree.root} in one form, but found the COCO file {tree.name(files[0])} and "
            f"{len(own)} label files of single images, such as {tree.name(own[0])}; move one of both out of data.root."
        )
    if (table := _table(tree)) is not None:
        raise DataError(
            f"Expected the labels under {tree.root} in one place, but found the COCO file {tree.name(files[0])} and "
            f"{tree.name(table)}; move one of both out of data.root."
        )
    found = find_listed(tree, files, bare_kind, problems)
    others = [path for path in tree.documents if path not in {*files}]
    absent = any(one.verdict == "open" for one in found)
    problems += judge_strays(Setting(tree, absence_is_good=absent, any_used=True), others)
    return found


def _table(tree: Tree) -> Path | None:
    return next((path for path in tree.documents if same_name(tree.name(path)) == TABLE), None)


def _in_table(
    tree: Tree, path: Path, matched: Matched, bare_kind: str, problems: list[UnreadableImageError]
) -> list[Found]:
    """List what labels.csv names; its ``group``, ``part`` or ``location`` is what a split must not cut."""
    found, files, splits = [], FileIndex(tree.root, tree.images), split_folders(tree.root, tree.images)
    for line, values in enumerate(read_labels(path).to_dict("records"), start=2):
        entry = {str(key): str(value).strip() for key, value in values.items()}
        named = PureWindowsPath(entry["image"])  # which takes both slashes
        word = plain(entry["label"])
        if not named.parts or named.anchor or ".." in named.parts:
            problem = f"is named in line {line} of labels.csv as {entry['image']!r}"
            problems.append(UnreadableImageError(path, problem, "name a file below data.root"))
            continue
        image = files.find(entry["image"]) or tree.root.joinpath(*named.parts)
        if word and word not in WORDS:
            problem = f"has label {entry['label']!r} in line {line} of labels.csv"
            remedy = "use good, defective, rework, or leave it empty"
            problems.append(UnreadableImageError(image, problem, remedy))
            continue
        group = next((entry[key] for key in ("group", "part", "location") if entry.get(key)), "")
        found.append(
            Found(
                image=image,
                name=tree.name(image),
                verdict=WORDS.get(word, "unknown"),
                kind=entry.get("kind", "") or kind_of(splits.others(tree.parts(image)[:-1]), bare_kind),
                group=group,
                split=entry.get("split", ""),
                annotation=matched.label_of.get(image),
            )
        )
    if not any(one.split for one in found):
        found = [replace(one, split=splits.of(one.image)) for one in found]
    remedy = "add a line for it, with an empty label if nobody knows, or move it out of data.root"
    problem = f"is not named in {path.name}"
    problems += [UnreadableImageError(image, problem, remedy) for image in files.unused.values()]
    strays = _strays(tree, matched, {path})
    problems += judge_strays(Setting(tree, absence_is_good=False, any_used=True), strays)
    return [one for one in found if one.image not in matched.refused]


def _in_folders(tree: Tree, matched: Matched, bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    """List images whose folders say what they are, or else their label files: one without is a negative."""
    found, splits = [], split_folders(tree.root, tree.images)
    firsts = (parts[0] for parts in map(tree.parts, tree.images) if len(parts) > 1)
    base = next((first for first in firsts if first.lower() == "images"), None)
    for image in tree.images:
        parts = tree.parts(image)
        if base is not None and parts[0] != base:
            remedy = f"move it into {base}/, or out of data.root"
            problems.append(UnreadableImageError(image, f"lies beside {base}/, where the images are", remedy))
            continue
        folders = splits.others(parts[:-1] if base is None else parts[1:-1])
        found.append(
            Found(
                image=image,
                name="/".join(parts),
                verdict=verdict_of(folders) or "open",
                kind=kind_of(folders, bare_kind),
                group="/".join(parts[:-1]) if is_part_folder(folders) else "",
                split=splits.of(image),
                annotation=matched.label_of.get(image),
            )
        )
    unsorted = next((one for one in found if one.verdict == "open"), None)
    setting = Setting(tree, absence_is_good=unsorted is not None, any_used=bool(matched.label_of))
    problems += judge_strays(setting, _strays(tree, matched))
    if not found:
        raise DataError(
            f"Expected pictures under {tree.root}, in folders such as model1good and model1defect, but found none; "
            "set data.root=PATH."
        )
    if unsorted is not None and not matched.label_of and not matched.refused:
        raise DataError(
            f"Expected folders such as model1good and model1defect under {tree.root}, or label files beside the "
            f"pictures or in labels/, but found {unsorted.name} and no label files; sort or label them"
            f"{_or_masks(tree)}."
        )
    return [one for one in found if one.image not in matched.refused]


def _strays(tree: Tree, matched: Matched, used: Collection[Path] = ()) -> list[Path]:
    """List the documents that belong to no image and are not used otherwise."""
    others = [path for path in tree.documents if path.suffix.lower() not in JSON and path not in used]
    return sorted([*matched.loose, *others])


def _or_masks(tree: Tree) -> str:
    names = ", ".join(f"{tree.name(folder)}/" for folder in tree.masks)
    return f", or use data=folder for the masks in {names}" if names else ""


def _of_masks(folder: Path, count: int) -> UnreadableImageError:
    what = f"holds {count} images that look like masks or labels by its name, which data=oring does not read"
    return UnreadableImageError(folder, what, "use data=folder for masks, or rename the folder if they are photographs")
