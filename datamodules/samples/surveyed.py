"""A sample table with the facts of every image, without those that cannot be used."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from datamodules.errors import DataError, UnreadableImageError
from datamodules.masks.matching import split_mask

from .left_out import leave_out_blank
from .survey import ImageFacts, survey, survey_beside, survey_mask, survey_zones

if TYPE_CHECKING:
    from .dataset import Reading


def survey_table(table: pd.DataFrame, reading: Reading) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
    """Add the facts of every image to its row; drop rows whose image, mask or zones cannot be used, and say why.

    Raises:
        DataError: No row is left.
    """
    surveyed = survey(table["image_path"].tolist(), reading.white_level)
    readable = [isinstance(one, ImageFacts) for one in surveyed]
    problems = [one for one in surveyed if isinstance(one, UnreadableImageError)]
    facts = [one for one in surveyed if isinstance(one, ImageFacts)]
    table = table[readable].reset_index(drop=True)
    table = table.assign(**pd.DataFrame([asdict(fact) for fact in facts], columns=list(ImageFacts.__annotations__)))
    for column, one, description in (
        ("mask_path", partial(survey_mask, mask_on=reading.mask_on, void=reading.void), "reading masks"),
        ("zones_path", survey_zones, "reading zones"),
    ):
        rows = table[table[column] != ""]
        sizes = list(zip(rows["height"], rows["width"], strict=True))
        bad = survey_beside(rows[column].tolist(), sizes, one, description)
        unusable = {found.path for found in bad}
        files = table[column].map(split_mask if column == "mask_path" else lambda path: [path])
        used = np.array([unusable.isdisjoint(paths) for paths in files], dtype=np.bool_)
        table = table[used].reset_index(drop=True)
        problems += bad
    table, blank = leave_out_blank(table)
    problems += blank
    if table.empty:
        first = problems[0] if problems else "there are no pictures at all"
        raise DataError(f"Expected at least one usable picture, but found none; for example: {first}")
    return table, problems
