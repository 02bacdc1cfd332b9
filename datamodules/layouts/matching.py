"""Which label file belongs to which image: by its name and place, or by what it says itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from datamodules.errors import UnreadableImageError
from datamodules.files.names import same_name
from datamodules.files.regular_files import read_regular
from datamodules.outlines.coco import is_coco_file
from datamodules.outlines.documents import JSON
from datamodules.outlines.names import common_parts, same_parts, spellings
from datamodules.outlines.parsing import load_json

from .files import LABEL_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from datamodules.outlines.names import Parts

    from .files import Tree

Key = TypeVar("Key")

_SORTING = frozenset({*LABEL_FOLDERS, "images", "image", "img", "imgs", "label", "annotation", "ann", "anns", "json"})
_EXACT = 2  # the first so many ways to find the image of a label file leave no doubt


@dataclass(frozen=True)
class Matched:
    """Which label file belongs to which image.

    Attributes:
        label_of: The label file of an image.
        refused: Images on which label files make different claims, and why.
        loose: JSON files that belong to no image.
    """

    label_of: Mapping[Path, Path]
    refused: Mapping[Path, UnreadableImageError]
    loose: Sequence[Path]


def match_labels(tree: Tree) -> Matched:
    """Give every JSON file with labels of one image to its image.

    The ways in which a file finds its image, in turn: it has the same stem, with or without ``_mask``, beside the image
    or in the same folders under ``labels/``; the same, whatever the case and Unicode form of names, and with any
    folder left aside that only says which of the two it holds; it names the image itself (labelme's ``imagePath``); or
    it lies in a folder without images, and just one image has its stem.
    """
    labels = [path for path in tree.documents if path.suffix.lower() in JSON]
    finder = _Finder(tree)
    claims: dict[Path, list[tuple[int, Path]]] = defaultdict(list)
    owners_of: dict[Path, Sequence[Path]] = {}
    for label in labels:
        way, owners_of[label] = finder.find(label)
        for owner in owners_of[label]:
            claims[owner].append((way, label))
    label_of, refused, used = {}, {}, set()
    for image, claimed in claims.items():
        best = min(way for way, _ in claimed)
        files = [label for way, label in sorted(claimed) if way == best or way < _EXACT]
        used.update(files)
        if len(owners := owners_of[files[0]]) > 1:
            other = next(path for path in owners if path != image)
            problem, remedy = f"shares its label file, {files[0]}, with {tree.name(other)}", "rename or delete one"
            refused[image] = UnreadableImageError(image, problem, remedy)
        elif len(files) > 1 and len({_content(file) for file in files}) > 1:
            problem = f"has two label files that differ, {tree.name(files[0])} and {tree.name(files[1])}"
            refused[image] = UnreadableImageError(image, problem, "delete the wrong one")
        else:
            label_of[image] = files[0]
    return Matched(label_of, refused, [label for label in labels if label not in used])


class _Finder:
    """Finds the images of label files; what only odd names need is prepared when the first of them comes."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._places: dict[Path, tuple[Parts, Parts]] = {}

    def find(self, label: Path) -> tuple[int, Sequence[Path]]:
        """Return the images of a label file, and the number of the way in which they were found."""
        for way, search in enumerate((self._whole, self._mask, self._alike, self._full_name, self._named, self._only)):
            if way == _EXACT and is_coco_file(label):
                break
            if owners := search(label):
                return way, owners
        return 0, []

    def _whole(self, label: Path) -> Sequence[Path]:
        return self._by_stem.get((self._place(label)[0], label.stem), ())

    def _mask(self, label: Path) -> Sequence[Path]:
        return self._by_stem.get((self._place(label)[0], label.stem.removesuffix("_mask")), ())

    def _alike(self, label: Path) -> Sequence[Path]:
        bare = self._place(label)[1]
        stems = dict.fromkeys((same_name(label.stem), same_name(label.stem).removesuffix("_mask")))
        return next((found for stem in stems if (found := self._by_like_stem.get((bare, stem)))), ())

    def _full_name(self, label: Path) -> Sequence[Path]:
        """Find ``1.png`` for ``1.png.json``."""
        bare = self._place(label)[1]
        return [image for image in self._by_like_name.get(same_name(label.stem), ()) if self._place(image)[1] == bare]

    def _named(self, label: Path) -> Sequence[Path]:
        """Find the image that has most in common with the ``imagePath`` in the file, which may start anywhere."""
        try:
            data = load_json(label)
        except UnreadableImageError:
            return ()
        path = data.get("imagePath") if isinstance(data, dict) else None
        if not isinstance(path, str) or not (spelt := spellings(path)):
            return ()
        parts = same_parts(spelt[0])
        images = self._by_like_name.get(parts[-1], ())
        if "/" not in path and "\\" not in path:
            return [image for image in images if image.parent == label.parent]
        close = [common_parts(same_parts(self._tree.parts(image)), parts) for image in images]
        return [image for image, count in zip(images, close, strict=True) if count == max(close) and count > 1]

    def _only(self, label: Path) -> Sequence[Path]:
        if label.parent in self._holding:
            return ()
        found = self._by_stem_alone.get(same_name(label.stem).removesuffix("_mask"), ())
        return found if len(found) == 1 else ()

    @cached_property
    def _by_stem(self) -> Mapping[tuple[Parts, str], Sequence[Path]]:
        return _by(self._tree.images, lambda image: (self._place(image)[0], image.stem))

    @cached_property
    def _by_like_stem(self) -> Mapping[tuple[Parts, str], Sequence[Path]]:
        return _by(self._tree.images, lambda image: (self._place(image)[1], same_name(image.stem)))

    @cached_property
    def _by_like_name(self) -> Mapping[str, Sequence[Path]]:
        return _by(self._tree.images, lambda image: same_name(image.name))

    @cached_property
    def _by_stem_alone(self) -> Mapping[str, Sequence[Path]]:
        return _by(self._tree.images, lambda image: same_name(image.stem))

    @cached_property
    def _holding(self) -> set[Path]:
        return {image.parent for image in self._tree.images}

    def _place(self, path: Path) -> tuple[Parts, Parts]:
        """Return the folders of a file without ``images`` or ``labels`` as the first, and without any that sort only.

        The latter are in no case and one Unicode form.
        """
        if path.parent not in self._places:
            folders = self._tree.parts(path)[:-1]
            outer = folders[1:] if folders and folders[0].lower() in {"images", *LABEL_FOLDERS} else folders
            bare = tuple(folder for folder in same_parts(folders) if folder not in _SORTING)
            self._places[path.parent] = outer, bare
        return self._places[path.parent]


def _by(images: Iterable[Path], key: Callable[[Path], Key]) -> Mapping[Key, Sequence[Path]]:
    found: dict[Key, list[Path]] = defaultdict(list)
    for image in images:
        found[key(image)].append(image)
    return dict(found)


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError:
        return str(path).encode()  # like no other: reading it will say why
