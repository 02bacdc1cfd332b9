"""The doctor on masks: unusable, inverted, shifted or missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbacks.report.doctor import Finding
from callbacks.report.wording import plural
from datamodules.masks.checks import find_common_shift, find_shift, is_inverted
from datamodules.table import DEFECTIVE

from .images import MOST_SHOWN

if TYPE_CHECKING:
    from datamodules.masks.checks import Shift

    from .examined import Examined


def check_unusable_masks(examined: Examined) -> Finding | str:
    """Find masks, zones or outlines for which training leaves their images out."""
    unusable = examined.inspection.unusable
    if not unusable:
        return "Masks that are empty, damaged or of another size than their picture."
    first = next(iter(unusable.values()))
    return Finding(
        "unusable_masks",
        "problem" if len(unusable) > 0.1 * len(examined.table) else "warning",
        "Masks that cannot be used",
        f"{plural(len(unusable), 'picture')} with a mask that is empty, damaged, or of another size; for example, "
        f"{first.path} {first.problem}.",
        "Leaves these pictures out, mask and all.",
        "Export the masks again at the size of their pictures; an empty one means that the picture is good or the mask "
        "was never drawn. The table at the end of this page names a remedy for each.",
        len(unusable),
        [f"{problem.path}: {problem.problem}" for problem in unusable.values()],
        examined.sheet("Their pictures", list(unusable)[:MOST_SHOWN]),
    )


def check_inverted(examined: Examined) -> Finding | str:
    """Find masks that mark the background."""
    rows = [row for row, facts in enumerate(examined.inspection.masks) if facts is not None and is_inverted(facts)]
    if not rows:
        return "Inverted masks."
    total = sum(facts is not None for facts in examined.inspection.masks)
    return Finding(
        "inverted_masks",
        "problem",
        "Masks that seem inverted",
        f"{len(rows):,} of {plural(total, 'mask')} mark most of the picture and nearly all of its border.",
        "Takes them as they are: every pixel figure would be computed the wrong way round.",
        "Invert these masks (white on the defect), unless the whole picture really is defective.",
        len(rows),
        [examined.name(row) for row in rows],
        examined.sheet("", rows[:MOST_SHOWN]),
    )


def check_shifted(examined: Examined) -> Finding | str:
    """Find masks that lie beside what they mark."""
    masks = [facts for facts in examined.inspection.masks if facts is not None and not is_inverted(facts)]
    common = find_common_shift(masks)
    shifts = {
        row: shift
        for row, facts in enumerate(examined.inspection.masks)
        if facts is not None and not is_inverted(facts) and (shift := find_shift(facts)) is not None
    }
    if common is None and not shifts:
        return "Masks shifted against what they mark."
    every = "" if common is None else f"All masks together fit best when moved by {_written(common)}. "
    single = f"{plural(len(shifts), 'mask')} of {len(masks):,} fit far better elsewhere." if shifts else ""
    rows = list(shifts) or [row for row, facts in enumerate(examined.inspection.masks) if facts is not None]
    captions = [f"{examined.name(row)}: {_written(shifts[row]) if row in shifts else 'as it lies'}" for row in rows]
    return Finding(
        "shifted_masks",
        # One mask in a hundred seems shifted by chance: a faint defect beside a sharp edge.
        "problem" if common is not None or len(shifts) > 0.1 * len(masks) else "warning" if len(shifts) > 2 else "note",
        "Masks that lie beside what they mark",
        f"{every}{single}",
        "Takes them as they are: pixel figures would count the defect as a false alarm, and its neighbour as missed.",
        "Compare outline and picture below. A crop, a flip or another camera between picture and mask moves all of "
        "them alike.",
        len(shifts) or len(masks),
        [examined.name(row) for row in shifts],
        examined.sheet("Where they would fit better", rows[:MOST_SHOWN], captions[:MOST_SHOWN]),
    )


def check_missing_masks(examined: Examined) -> Finding | str:
    """Defective images that nobody marked."""
    defective = (examined.table["label_index"] == DEFECTIVE).tolist()
    rows = [
        row
        for row, facts in enumerate(examined.inspection.masks)
        if facts is None and defective[row] and row not in examined.inspection.unusable
    ]
    if not rows:
        return "Defective pictures without a mask."
    total = sum(defective)
    return Finding(
        "missing_masks",
        "note",
        "Defective pictures without a mask",
        f"{len(rows):,} of {plural(total, 'defective picture')}: nobody marked where the defect is.",
        "Trains and judges whole pictures all the same; pixel figures leave these pictures out.",
        "Nothing, unless you want pixel figures or train a model that segments.",
        len(rows),
    )


def _written(shift: Shift) -> str:
    across = f"{abs(shift.right):.0f} px {'right' if shift.right > 0 else 'left'}" if round(shift.right) else ""
    along = f"{abs(shift.down):.0f} px {'down' if shift.down > 0 else 'up'}" if round(shift.down) else ""
    return " and ".join(part for part in (across, along) if part)
