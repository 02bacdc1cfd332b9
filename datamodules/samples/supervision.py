"""What a model learns from, and whether training images bring it."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from datamodules.errors import DataError
from datamodules.table import DEFECTIVE, GOOD

Supervision = Literal["good", "labels", "masks", "instances"]


def check_supervision(table: pd.DataFrame, supervision: Supervision, root: str) -> None:
    """Refuse training rows without the labels, masks or outlines that a model learns from.

    Raises:
        DataError: Says which are missing, and what to do.
    """
    defective = table[table["label_index"] == DEFECTIVE]
    outlined = defective["annotation_path"] != "" if "annotation_path" in table else pd.Series(data=False, index=[])
    marked = (defective["mask_path"] != "") | outlined.reindex(defective.index, fill_value=False)
    needs = {
        "labels": ("good and defective pictures", len(defective) > 0 and (table["label_index"] == GOOD).any()),
        "masks": ("pictures with masks of their defects", marked.any()),
        "instances": ("pictures with outlined defects, or masks of them", marked.any()),
    }
    expected, there = needs[supervision]
    if not there:
        raise DataError(
            f"Expected {expected} in the train split of {root}, since this model learns from them, but found "
            f"{len(table)} pictures there, {len(defective)} of them defective and {int(marked.sum())} with marked "
            "defects; add them, change data.test_share, or choose a model that learns from good pictures alone."
        )
