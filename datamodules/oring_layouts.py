"""The ways in which pictures of o-rings and their outlines lie on disk: folders, a table, COCO files.

Each is listed to the same `Found`; what a picture is labelled follows from that and its outlines together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .errors import DataError, UnreadableImageError
from .fiber import read_labels
from .folder import MASK_FOLDERS, SPLIT_FOLDERS, list_folder, walk_images
from .outlines.coco import load_coco
from .outlines.polygon_files import load_json
from .table import UNASSIGNED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .outlines.coco import CocoPicture

Verdict = Literal["good", "defective", "rework", "unknown", "open"]

LABEL_FOLDERS = ("labels", "annotations")
SUMMARY = "dataset_summary.json"

_WORDS: dict[str, Verdict] = {
    **dict.fromkeys(("good", "ok", "normal"), "good"),
    **dict.fromkeys(("defect", "defects", "defective", "notok", "notgood", "nogood", "nok", "ng", "bad"), "defective"),
    "rework": "rework",
    **dict.fromkeys(("unknown", "unlabelled", "unlabeled"), "unknown"),
}
_SHORT = ("bad", "ng", "nok", "ok")  # these end other words too, such as "book"
_MOST_COCO_FILES = 12


@dataclass(frozen=True)
class Found:
    """A picture on disk, and what its place says about it.

    Attributes:
        image: The file.
        name: Its path below the root.
        verdict: What it is called; ``open`` where only its outlines tell.
        kind: The type of ring, or empty.
        group: The part, or empty where only the name tells.
        split: Supplied, or empty.
        annotation: The file with its outlines, or None.
    """

    image: Path
    name: str
    verdict: Verdict
    kind: str = ""
    group: str = ""
    split: str = UNASSIGNED
    annotation: Path | None = None


def find_pictures(root: Path, bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    """List the pictures under ``root``, in whichever layout it has; what is wrong is added to ``problems``.

    Raises:
        DataError: There are none, or nothing says which are good.
    """
    if coco_files := find_coco_files(root):
        return [found for path in coco_files for found in _in_coco(root, path)]
    if (root / "labels.csv").is_file():
        return _in_table(root, bare_kind, problems)
    return _in_folders(root, bare_kind, problems)


def parse_folder(name: str) -> tuple[Verdict, str] | None:
    """Read verdict and kind from a folder's name, such as ``model1good`` or ``not_ok``; None where it says neither."""
    lowered = name.lower()
    for cut in range(len(lowered)):
        verdict = _WORDS.get(re.sub(r"[\s_-]", "", lowered[cut:]))
        alone = cut == 0 or not lowered[cut - 1].isalpha()
        if verdict and (alone or lowered[cut:] not in _SHORT):
            return verdict, name[:cut].strip(" _-")
    return None


def find_coco_files(root: Path) -> list[Path]:
    """List the COCO files in ``root`` and ``root/annotations``.

    Raises:
        DataError: One of them cannot be read, or ``loupe prepare`` did not come to the end of writing them.
    """
    summary = root / SUMMARY
    if summary.is_file() and not load_json(summary).get("complete", True):
        raise DataError(f"Expected {root} to be whole, but loupe prepare was stopped while writing it; run it again.")
    folders = [root, *(entry for entry in list_folder(root, []) if entry.name.lower() == "annotations")]
    files = [path for folder in folders if folder.is_dir() for path in list_folder(folder, [])]
    paths = [path for path in files if path.suffix.lower() == ".json" and path.name != SUMMARY]
    if len(paths) > _MOST_COCO_FILES:  # one file per picture, then
        return []
    found, broken = [], []
    for path in paths:
        try:
            if load_coco(path) is not None:
                found.append(path)
        except UnreadableImageError as error:
            broken.append((path, error))
    for path, problem in broken:
        if found or _split_words(path):
            raise DataError(f"Expected COCO files under {root}, but {problem}.")
    return found


def _in_coco(root: Path, path: Path) -> list[Found]:
    words = _split_words(path)
    split = SPLIT_FOLDERS[words[0]] if words else UNASSIGNED
    by_name = load_coco(path) or {}
    bases = [root / "images" / word for word in words] + [root / "images", *(root / word for word in words)]
    bases += [root, path.parent]
    return [_coco_found(root, picture, path, split, bases) for same in by_name.values() for picture in same]


def _split_words(path: Path) -> list[str]:
    """Return the words in a file's name that name a split, as in ``train.json`` or ``instances_val2017.json``."""
    return [word for word in re.split(r"[^a-z]+", path.stem.lower()) if word in SPLIT_FOLDERS]


def _coco_found(root: Path, picture: CocoPicture, path: Path, split: str, bases: Sequence[Path]) -> Found:
    entry, parts = picture.entry, picture.parts
    # A file that was written elsewhere may name folders that are not here: the fewest are dropped that must be.
    candidates = [base.joinpath(*parts[start:]) for start in range(len(parts)) for base in bases]
    image = next((candidate for candidate in candidates if candidate.is_file()), bases[0].joinpath(*parts))
    word = str(entry.get("label") or "").lower()
    return Found(
        image=image,
        name=image.relative_to(root).as_posix(),
        verdict=_WORDS.get(word, "open"),
        kind=str(entry.get("kind") or ""),
        group=str(entry.get("group") or ""),
        split=split,
        annotation=path,
    )


def _in_table(root: Path, bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    """List what labels.csv names; its ``group``, ``part`` or ``location`` is what a split must not cut."""
    table = read_labels(root / "labels.csv")
    labels = LabelFiles(root)
    found = []
    for line, values in enumerate(table.to_dict("records"), start=2):
        entry = {str(key).lower(): str(value).strip() for key, value in values.items()}
        image = Path(entry["image"].replace("\\", "/"))
        word = re.sub(r"[\s_-]", "", entry["label"].lower())
        if image == Path() or image.is_absolute() or ".." in image.parts:
            problem = f"is named in line {line} of labels.csv as {entry['image']!r}"
            problems.append(UnreadableImageError(root / "labels.csv", problem, "name a file below data.root"))
            continue
        if word and word not in _WORDS:
            problem = f"has label {entry['label']!r} in line {line} of labels.csv"
            remedy = "use good, defective, rework, or leave it empty"
            problems.append(UnreadableImageError(root / image, problem, remedy))
            continue
        group = next((entry[key] for key in ("group", "part", "location") if entry.get(key)), "")
        found.append(
            Found(
                image=root / image,
                name=image.as_posix(),
                verdict=_WORDS.get(word, "unknown"),
                kind=entry.get("kind", "") or _kind_of(image.parent.parts, bare_kind),
                group=group,
                split=entry.get("split", ""),
                annotation=labels.pop(image),
            )
        )
    problems += labels.strays()
    return found


def _in_folders(root: Path, bare_kind: str, problems: list[UnreadableImageError]) -> list[Found]:
    """List pictures whose folders say what they are, or else their label files: one without is a negative."""
    base = next((entry for entry in list_folder(root, []) if entry.name.lower() == "images"), root)
    labels = LabelFiles(root)
    any_labels = bool(labels.paths)
    found = []
    for image in walk_images(base, problems):
        relative = image.relative_to(root)
        folders = image.parent.relative_to(base).parts
        if folders and folders[0].lower() in {*LABEL_FOLDERS, *MASK_FOLDERS}:
            continue
        read = next((parsed for folder in reversed(folders) if (parsed := parse_folder(folder))), None)
        if read is None and not any_labels:
            raise DataError(
                f"Expected folders such as model1good and model1defect under {root}, or label files beside the "
                f"pictures or in labels/, but found {relative.as_posix()} and no label files; sort or label them."
            )
        found.append(
            Found(
                image=image,
                name=relative.as_posix(),
                verdict=read[0] if read else "open",
                kind=_kind_of(folders, bare_kind),
                group=_group_of(folders, relative),
                annotation=labels.pop(relative),
            )
        )
    problems += labels.strays()
    if not found:
        raise DataError(
            f"Expected pictures under {root}, in folders such as model1good and model1defect, but found none; "
            "set data.root=PATH."
        )
    return found


class LabelFiles:
    """The label files under a root that have one picture each, by where that picture would lie."""

    def __init__(self, root: Path) -> None:
        self.paths = sorted(path for path in root.rglob("*") if path.suffix.lower() == ".json" and path.name != SUMMARY)
        self._by_place: dict[tuple[tuple[str, ...], str], Path] = {}
        for path in sorted(self.paths, key=lambda path: path.stem.endswith("_mask"), reverse=True):
            relative = path.relative_to(root)
            self._by_place.setdefault((_place(relative), path.stem.removesuffix("_mask")), path)
            self._by_place.setdefault((_place(relative), path.stem), path)
        self._used: set[Path] = set()
        self._root = root

    def pop(self, image: Path) -> Path | None:
        """Return the label file of a picture (path below the root): ``{stem}_mask.json`` before ``{stem}.json``."""
        path = self._by_place.get((_place(image), image.stem))
        if path is not None:
            self._used.add(path)
        return path

    def strays(self) -> list[UnreadableImageError]:
        """List label files to which no picture was found; other JSON files beside pictures do not count."""
        return [
            UnreadableImageError(path, "is a label file without a picture", "add the picture, or delete it")
            for path in self.paths
            if path not in self._used and path.relative_to(self._root).parts[0].lower() in LABEL_FOLDERS
        ]


def _place(relative: Path) -> tuple[str, ...]:
    """Return the folders of a picture or label file, without the one that only says which of the two it is."""
    folders = relative.parent.parts
    return folders[1:] if folders and folders[0].lower() in {"images", *LABEL_FOLDERS} else folders


def _kind_of(folders: Sequence[str], bare_kind: str) -> str:
    """Return the kind that folders name: before the verdict in one name, or in the folder above it."""
    for index in reversed(range(len(folders))):
        if parsed := parse_folder(folders[index]):
            return parsed[1] or "/".join(folders[:index]) or bare_kind
    return ""


def _group_of(folders: Sequence[str], relative: Path) -> str:
    """Return the folder below the one with the verdict, which holds the pictures of one part."""
    for index in reversed(range(len(folders))):
        if parse_folder(folders[index]):
            return relative.parent.as_posix() if index < len(folders) - 1 else ""
    return ""
