"""Views: samples that are not whole files, but a part of one, or several side by side as channels.

A view is said in columns of the sample table, so that nothing is written to disk, and a saved table is read again like
any other. ``VIEW_COLUMNS`` lists them, with what they are for a whole file.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from .base import InspectionDataModule
from .errors import DataError, UnreadableImageError
from .files.appearance import appearance
from .files.boxes import cut, parse_box
from .files.fitting import fit_mask
from .files.images import Array, grey, read_image, scale
from .masks.matching import split_mask
from .masks.reading import mask_values
from .outlines.instances import component_target
from .progress import track
from .samples.batch import Sample
from .samples.dataset import InspectionDataset, Reading, image_tensor
from .samples.survey import ImageFacts, survey_image
from .table import DEFECTIVE, GOOD

if TYPE_CHECKING:
    from collections.abc import Mapping


DECODED = 8  # images that a process keeps decoded, because their other parts are asked for next


class View(NamedTuple):
    """What of its files a sample shows: the columns of the sample table that say it, and their defaults.

    Attributes:
        box: The part of the image, see ``boxes.Box.text``; empty: all.
        mask_box: Where the image lies in its mask's file; empty: all over it.
        mask_above: A mask's pixel is marked where its value is above this; -1: above ``data.mask_on``.
        mask_inverted: Whether what is *not* above is marked instead.
        before_path: A grey image that becomes the first channel; the image itself, grey, is the second.
        after_path: One that becomes the third.
    """

    box: str = ""
    mask_box: str = ""
    mask_above: int = -1
    mask_inverted: bool = False
    before_path: str = ""
    after_path: str = ""


VIEW_COLUMNS: Mapping[str, str | int | bool] = View()._asdict()


class ViewDataset(InspectionDataset):
    """The views of one split."""

    def __init__(self, table: pd.DataFrame, reading: Reading) -> None:
        super().__init__(table, reading)
        self.views = views_of(table)

    def read(self, index: int) -> Sample:
        """Read one view with its mask."""
        row, view = self.rows[index], self.views[index]
        mask = None
        if row.mask_path:
            marks = read_marks(row.mask_path, row.image_path, view, self.reading.mask_on)
            mask = np.ascontiguousarray(fit_mask(marks, self.reading.placement(marks.shape)))
        values = read_view(row.image_path, view)
        size = self.reading.placement(values.shape).seen
        marked = np.zeros(size, dtype=np.bool_) if mask is None and row.label_index == GOOD else mask
        return Sample(
            image=image_tensor(values, self.reading),
            name=row.name,
            image_path=row.image_path,
            label_index=row.label_index,
            mask=None if mask is None else torch.from_numpy(mask),
            group=row.group,
            kind=row.kind,
            target=component_target(marked, self.reading.classes)
            if self.reading.instances and marked is not None
            else None,
            frame=self.reading.frame(values.shape),
        )


@dataclass(kw_only=True, eq=False)
class ViewDataModule(InspectionDataModule):
    """Samples that are views; a subclass adds the columns of ``View`` to its rows where it needs them."""

    def listing(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List what is on disk, with the view of every row."""
        table, problems = super().listing()
        return complete_views(table), problems

    def survey(self, table: pd.DataFrame) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """Survey every view once."""
        return survey_views(complete_views(table), self.reading)

    def dataset(self, table: pd.DataFrame) -> ViewDataset:
        """Say how the rows of a table become samples."""
        return ViewDataset(table, self.reading)


def complete_views(table: pd.DataFrame) -> pd.DataFrame:
    """Fill in the columns of ``View`` that are missing, or where a row has none."""
    for column, default in VIEW_COLUMNS.items():
        if column not in table:
            table[column] = default
        elif table[column].isna().any():
            table[column] = table[column].astype(object).where(table[column].notna(), default)
    return table


def views_of(table: pd.DataFrame) -> list[View]:
    """Return the view of every row."""
    columns = [table[column] for column in View._fields]
    return [
        View(box, mask_box, int(above), bool(inverted), before, after)
        for box, mask_box, above, inverted, before, after in zip(*columns, strict=True)
    ]


def read_view(path: str, view: View) -> Array:
    """Read the image of a view, as stored: (H, W) or (H, W, 3).

    Raises:
        UnreadableImageError: As ``read_image``; or neighbours differ from their image in size or depth.
    """
    values = decoded(path)
    if view.before_path or view.after_path:
        values = _stack([grey(decoded(beside or path)) for beside in (view.before_path, path, view.after_path)], path)
    return cut(values, parse_box(view.box)) if view.box else values


def read_marks(mask_path: str, image_path: str, view: View, mask_on: int) -> npt.NDArray[np.bool_]:
    """Read the mask of a view, (H, W): True where marked; ``mask_path`` as the column says it.

    Raises:
        UnreadableImageError: As ``read_image``; or mask and image differ in size, and the view does not say how one
            lies in the other.
    """
    (file,) = split_mask(mask_path)
    marks = _marks(file, _state(file), view._replace(box=""), mask_on)
    size = decoded(image_path).shape[:2]
    if marks.shape != size:
        found = f"is a mask of {marks.shape[1]}x{marks.shape[0]} pixels for a picture of {size[1]}x{size[0]}"
        raise UnreadableImageError(file, found, "export it again at the size of its picture")
    return cut(marks, parse_box(view.box)) if view.box else marks


def decoded(path: str) -> Array:
    """Read an image, or return it from the few that are kept, unless its file changed since. Do not write to it."""
    return _decoded(path, _state(path))


def _state(path: str) -> tuple[int, int]:
    """Tell one state of a file from another; a file that cannot be opened has none, and reading it says why."""
    try:
        found = Path(path).stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=DECODED)
def _decoded(path: str, state: tuple[int, int]) -> Array:
    del state
    values = read_image(path)
    values.setflags(write=False)
    return values


@lru_cache(maxsize=DECODED)
def _marks(path: str, state: tuple[int, int], view: View, mask_on: int) -> npt.NDArray[np.bool_]:
    """Return the marks of a whole mask, as it lies on its image."""
    del state  # a mask that changed is read again
    values = mask_values(path)
    marks: npt.NDArray[np.bool_] = values > (view.mask_above if view.mask_above >= 0 else mask_on)
    marks = ~marks if view.mask_inverted else marks
    return cut(marks, parse_box(view.mask_box)) if view.mask_box else marks


def _stack(planes: list[Array], path: str) -> Array:
    if len({(plane.shape, plane.dtype) for plane in planes}) > 1:
        sizes = ", ".join(f"{plane.shape[1]}x{plane.shape[0]} {plane.dtype}" for plane in planes)
        raise UnreadableImageError(path, f"differs from its neighbours ({sizes})", "set data.neighbours=false")
    return np.stack(planes, axis=2)


def survey_views(table: pd.DataFrame, reading: Reading) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
    """Add the facts of every view to its row; drop rows that cannot be used, and say why.

    Views of one file are looked at together. The hash of a part is that of its file and its box.

    Raises:
        DataError: No row is left.
    """
    order = np.argsort(table["image_path"].to_numpy(dtype=str), kind="stable")
    views = views_of(table)
    todo = [[int(row) for row in rows] for rows in np.split(order, _changes(table["image_path"].iloc[order]))]

    def survey_rows(rows: list[int]) -> list[ImageFacts | UnreadableImageError]:
        first = table.iloc[rows[0]]
        facts = survey_image(first["image_path"], reading.white_level)
        if isinstance(facts, UnreadableImageError):
            return [facts]
        return [_survey_view(table.iloc[row], views[row], facts, reading) for row in rows]

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        surveyed = list(track(pool.map(survey_rows, todo), "reading images", total=len(todo)))
    problems = [one for rows in surveyed for one in rows if isinstance(one, UnreadableImageError)]
    facts_of = {
        row: asdict(found)
        for rows, found_rows in zip(todo, surveyed, strict=True)
        for row, found in zip(rows, found_rows, strict=False)  # one error stands for all parts of its file
        if isinstance(found, ImageFacts)
    }
    if not facts_of:
        first = problems[0] if problems else "there are no pictures at all"
        raise DataError(f"Expected at least one usable picture, but found none; for example: {first}")
    rows = sorted(facts_of)
    facts = pd.DataFrame([facts_of[row] for row in rows], columns=list(ImageFacts.__annotations__))
    return table.iloc[rows].reset_index(drop=True).assign(**facts), problems


def _survey_view(row: pd.Series, view: View, facts: ImageFacts, reading: Reading) -> ImageFacts | UnreadableImageError:
    """Return the facts of one view, from those of its file."""
    try:
        if row["mask_path"]:
            marks = read_marks(row["mask_path"], row["image_path"], view, reading.mask_on)
            if row["label_index"] == DEFECTIVE and not marks.any():
                found = "marks nothing, but its picture is labelled defective"
                return UnreadableImageError(split_mask(row["mask_path"])[0], found, "mend mask or label")
        if view == View() or (not view.box and not view.before_path and not view.after_path):
            return facts
        values = read_view(row["image_path"], view)
    except UnreadableImageError as error:
        return error
    height, width = values.shape[:2]
    key = hashlib.sha256(f"{facts.sha256} {view.box} {_neighbour_hash(view)}".encode()).hexdigest()
    channels = 1 if values.ndim == 2 else values.shape[2]
    seen = appearance(scale(values, reading.white_level))._asdict()
    return replace(facts, height=height, width=width, channels=channels, sha256=key, **seen)


def _neighbour_hash(view: View) -> str:
    paths = [path for path in (view.before_path, view.after_path) if path]
    return " ".join(hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths)


def _changes(values: pd.Series) -> npt.NDArray[np.intp]:
    """Return where a value differs from the one before."""
    text = values.to_numpy(dtype=str)
    return np.flatnonzero(text[1:] != text[:-1]) + 1
