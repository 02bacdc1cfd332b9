"""A closer look at every file than training needs: what the doctor judges a data set by, from one decoding of each.

Letters: N images, H and W height and width in pixels, S side of the small copy that images are compared by.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.errors import UnreadableImageError
from datamodules.files.appearance import appearance
from datamodules.files.images import Array, check_white_level, decode_image, read_bytes, scale
from datamodules.masks.checks import MaskFacts, mask_facts
from datamodules.progress import track
from datamodules.samples.dataset import Row, read_target, read_truth
from datamodules.samples.survey import ImageFacts, survey_mask, survey_zones
from datamodules.views import VIEW_COLUMNS, View, read_marks, read_view, views_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datamodules.samples.dataset import Reading

SMALL = 32
"""Side S of the small grey copy of every image, in pixels."""


@dataclass(frozen=True)
class FileFacts(ImageFacts):
    """What a closer look at an image tells, beside what every survey does.

    Attributes:
        file_bytes: Size of the file.
        highest: Highest stored value.
    """

    file_bytes: int
    highest: float


class ImageReport(NamedTuple):
    """One image, looked at closely.

    Attributes:
        facts: Numbers about it.
        small: (S, S) float32, the image as a small grey copy in [0, 255].
        mask: What its mask reports like; None without a usable one.
        problem: What is wrong with mask or zones, so that training leaves the image out; None if nothing is.
    """

    facts: FileFacts
    small: npt.NDArray[np.float32]
    mask: MaskFacts | None
    problem: UnreadableImageError | None


class Inspection(NamedTuple):
    """A data set, looked at closely.

    Attributes:
        table: Rows of the N readable images with their facts as further columns, numbered from 0.
        small_NSS: Their small grey copies, float32 in [0, 255].
        masks: N entries; None where there is not a usable mask.
        unreadable: Images that cannot be read.
        unusable: Row to problem, for images that training would leave out because of their mask or zones.
    """

    table: pd.DataFrame
    small_NSS: npt.NDArray[np.float32]
    masks: list[MaskFacts | None]
    unreadable: list[UnreadableImageError]
    unusable: dict[int, UnreadableImageError]


def inspect_table(table: pd.DataFrame, reading: Reading) -> Inspection:
    """Inspect every image of a complete sample table, in threads (decoding releases the interpreter lock)."""
    rows = [Row(*values) for values in table[list(Row._fields)].itertuples(index=False)]
    views = views_of(table) if set(VIEW_COLUMNS) <= set(table) else [None] * len(rows)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        reports = pool.map(partial(inspect_image, reading=reading), rows, views)
        return gather(table, list(track(reports, "examining pictures", total=len(table))))


def gather(table: pd.DataFrame, reports: Sequence[ImageReport | UnreadableImageError]) -> Inspection:
    """Put single reports, one per row, side by side."""
    seen = [report for report in reports if isinstance(report, ImageReport)]
    table = table[[isinstance(report, ImageReport) for report in reports]].reset_index(drop=True)
    facts = pd.DataFrame([asdict(report.facts) for report in seen], columns=list(FileFacts.__dataclass_fields__))
    return Inspection(
        table=table.assign(**facts),
        small_NSS=np.array([report.small for report in seen], dtype=np.float32).reshape(-1, SMALL, SMALL),
        masks=[report.mask for report in seen],
        unreadable=[report for report in reports if isinstance(report, UnreadableImageError)],
        unusable={row: report.problem for row, report in enumerate(seen) if report.problem is not None},
    )


def inspect_image(row: Row, view: View | None = None, *, reading: Reading) -> ImageReport | UnreadableImageError:
    """Read one image, its mask and its zones; return what they show, or why the image cannot be read.

    Args:
        row: Of the sample table.
        view: What of the file the sample shows; None: all of it.
        reading: How files become tensors.
    """
    try:
        data = read_bytes(row.image_path)
        values = decode_image(data, row.image_path) if view is None else read_view(row.image_path, view)
        data += b"" if view is None else view.box.encode()  # two parts of one file are not copies of each other
        check_white_level(values, row.image_path, reading.white_level)
    except UnreadableImageError as error:
        return error
    scaled = scale(values, reading.white_level)
    grey = to_grey(scaled)
    mask, problem = inspect_truth(row, view, values, grey, reading)
    small = cv2.resize(grey, (SMALL, SMALL), interpolation=cv2.INTER_AREA).astype(np.float32)
    return ImageReport(facts_of(data, values, scaled), small, mask, problem)


def inspect_truth(
    row: Row, view: View | None, values: Array, grey: npt.NDArray[np.uint8], reading: Reading
) -> tuple[MaskFacts | None, UnreadableImageError | None]:
    """Read what is marked on an image, at its full size; return what it reports like, or why it cannot be used."""
    if view is not None:
        return _survey_view(row, view, grey, reading)
    height, width = grey.shape
    problem = survey_mask(row.mask_path, (height, width), reading.mask_on, reading.void) if row.mask_path else None
    if problem is None and row.zones_path:
        problem = survey_zones(row.zones_path, (height, width))
    if problem is not None:
        return None, problem
    full = reading._replace(height=height, width=width)
    try:
        target = read_target(row, values, full) if reading.instances else None
        truth = read_truth(row, target, full)
    except UnreadableImageError as error:
        return None, error
    if truth is None or not truth.any():
        return None, None
    return mask_facts(truth.numpy(), grey), None


def _survey_view(
    row: Row, view: View, grey: npt.NDArray[np.uint8], reading: Reading
) -> tuple[MaskFacts | None, UnreadableImageError | None]:
    try:
        marks = read_marks(row.mask_path, row.image_path, view, reading.mask_on) if row.mask_path else None
    except UnreadableImageError as error:
        return None, error
    return (None if marks is None or not marks.any() else mask_facts(marks, grey)), None


def facts_of(data: bytes, values: Array, scaled: Array) -> FileFacts:
    """Measure an image.

    Args:
        data: The file.
        values: (H, W) or (H, W, 3), as stored.
        scaled: The same, scaled as the network sees it: uint8, or float32 in [0, 1].
    """
    channels = 1 if values.ndim == 2 else values.shape[2]
    return FileFacts(
        height=values.shape[0],
        width=values.shape[1],
        channels=channels,
        bits=8 * values.dtype.itemsize,
        **appearance(scaled)._asdict(),
        sha256=hashlib.sha256(data).hexdigest(),
        file_bytes=len(data),
        highest=float(values.max()),
    )


def to_grey(scaled: Array) -> npt.NDArray[np.uint8]:
    """Turn a scaled image (H, W) or (H, W, 3), uint8 or float32 in [0, 1], into 8-bit grey (H, W)."""
    grey = scaled if scaled.ndim == 2 else cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey if grey.dtype == np.uint8 else np.rint(255 * grey), dtype=np.uint8)
