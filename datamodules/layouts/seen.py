"""What was seen in the label files of a data set: where labels came from, and what in them may not mean a defect."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image
from datamodules.outlines.annotations import OtherSizeError, read_annotation
from datamodules.outlines.forms import READ_FORMS
from datamodules.outlines.image_heads import image_head
from datamodules.outlines.instances import is_named
from datamodules.outlines.parsing import Labels
from datamodules.outlines.polygon_files import ForeignFormError

from .rows import marked_labels

if TYPE_CHECKING:
    from .rows import Meaning
    from .words import Found

_LIKE_BACKGROUND = re.compile(
    r"_*(back ?ground|bg|none|nothing|good|ok|normal|no[ _-]?defects?|ignored?|unlabell?ed)_*"
)


@dataclass
class Seen:
    """Counts of what the label files of a data set hold.

    Attributes:
        files: How many images each label file has labels for.
        failed: Label files that could not be understood at all, and why.
        open: Images that nothing but their labels calls good or defective.
        marked: Those of them that have a mark.
        good: Images that a folder or a table calls good.
        labels: In how many images each label marks something, that counts as a defect.
        every_label: All labels, whatever they mark.
        background: What ``data.background`` names.
        parts: What ``data.parts`` names.
        boxed: Images of which boxes alone are known.
        turned: Images whose label file has the size from before the orientation tag.
    """

    files: Counter[str] = field(default_factory=Counter)
    failed: list[UnreadableImageError] = field(default_factory=list)
    open: int = 0
    marked: int = 0
    good: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    every_label: set[str] = field(default_factory=set)
    background: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    boxed: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)

    def read(self, found: Found) -> Labels:
        """Read the outlines of an image; none where it has no label file.

        Raises:
            UnreadableImageError: The label file cannot be used, or the image cannot be read.
        """
        if found.annotation is None:
            return Labels()
        head = image_head(found.image)  # some formats are read without Pillow
        height, width = (head.height, head.width) if head is not None else read_image(found.image).shape[:2]
        try:
            return read_annotation(found.annotation, found.image, height, width)
        except UnreadableImageError as error:
            self.failed += [] if isinstance(error, OtherSizeError) else [error]
            remedy = f"{error.remedy}; until then {found.name} is left out"
            raise UnreadableImageError(error.path, error.problem, remedy) from error

    def add(self, found: Found, labels: Labels, meaning: Meaning) -> None:
        """Count what an image that is used has."""
        marked = set(marked_labels(labels))
        self.files.update([str(found.annotation)] if found.annotation is not None else [])
        self.open += found.verdict == "open"
        self.marked += found.verdict == "open" and bool(marked)
        self.good += found.verdict == "good"
        self.every_label |= marked
        self.labels.update(label for label in marked if label and meaning.is_defect(label))
        self.background, self.parts = meaning.background, meaning.parts
        self.boxed += [found.name] if labels.boxes else []
        self.turned += [found.name] if labels.turned else []

    def check_label_files(self, root: Path) -> None:
        """Refuse label files of another tool, and label files of which none can be used.

        Raises:
            DataError: As above: the images that they do not speak of would all count as good.
        """
        foreign = [error for error in self.failed if isinstance(error, ForeignFormError)]
        failed = foreign or (self.failed if self.open and not self.files else [])
        if failed:
            names = [str(Path(error.path).relative_to(root)) for error in failed[:2]]
            raise DataError(
                f"Expected labels under {root} as {READ_FORMS}, but found none in {len(failed)} label files "
                f"({', '.join(names)}{', ...' if len(failed) > 2 else ''}): the first {failed[0].problem}; "
                f"{failed[0].remedy}."
            )

    def sources(self) -> list[str]:
        """Say which files the labels were read from."""
        if not self.files:
            return []
        paths = [Path(name) for name, _ in self.files.most_common(2)]
        alike = len({path.name for path in paths}) < len(paths)
        names = ["/".join(path.parts[-2:]) if alike else path.name for path in paths]
        files = f"{len(self.files)} label files" if len(self.files) > 1 else "1 label file"
        shown = ", ".join(names) + (", ..." if len(self.files) > 2 else "")
        plain = self.open - self.marked
        absent = f"; {plain} images without a mark count as good" if plain else ""
        return [f"Labels of {self.files.total()} images were read from {files} ({shown}){absent}."]

    def doubts(self) -> list[str]:
        """Say what a reader of results must know of the labels."""
        found = []
        if self.boxed:
            found.append(
                f"{_images(self.boxed)} marked by boxes without an outline: labelled defective, but no pixel of "
                "them is known to be; outline them to learn or to measure where the defects are."
            )
        if self.turned:
            found.append(
                f"{_images(self.turned)} labelled with the size from before the camera's orientation tag is applied: "
                "their outlines are taken as drawn on the upright image. Look at one on the doctor's page."
            )
        return found + self.hints()

    def hints(self) -> list[str]:
        """Name labels that count as defects and may mean none, and what to say if they do."""
        found = []
        if self.files and self.open and not self.marked and not self.every_label:
            found.append(f"No label file marks anything: all of these {self.open} images count as good.")
        for label, count in self.labels.most_common():
            if _LIKE_BACKGROUND.fullmatch(label.strip().lower()):
                key = _setting("background", [*self.background, label])
                sentence = f"Outlines called {label!r} on {count} images count as defects"
                found.append(f"{sentence}; if they mark none, set {key}.")
            elif self.open > 1 and count == self.open == self.marked and not self.good:
                keys = _setting("parts", [*self.parts, label]), _setting("background", [*self.background, label])
                found.append(
                    f"Every image has an outline called {label!r}, so that none is good; if it marks the part itself, "
                    f"set {keys[0]}, if it marks nothing, {keys[1]}."
                )
        absent = [name for name in self.background if not any(is_named(label, [name]) for label in self.every_label)]
        if absent:
            known = ", ".join(sorted(map(repr, self.every_label))) or "none"
            found.append(f"data.background names {absent[0]!r}, but no outline is called that; there are {known}.")
        return found


def _images(names: list[str]) -> str:
    such = f"({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
    return f"1 image {such} is" if len(names) == 1 else f"{len(names)} images {such} are"


def _setting(key: str, values: list[str]) -> str:
    """Write an override as a shell takes it."""
    shown = [value if re.fullmatch(r"[\w-]+", value) else f"'{value}'" for value in values]
    text = f"data.{key}=[{','.join(shown)}]"
    return text if shown == values else f'"{text}"'
