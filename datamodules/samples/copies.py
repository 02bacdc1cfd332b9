"""Copies of one image that are called good in one place and defective in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.table import DEFECTIVE, GOOD

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 2  # names in a sentence


def contradictions(samples: pd.DataFrame) -> list[str]:
    """Say, in a sentence, how many images of equal bytes have labels that contradict each other; nothing if none."""
    if "sha256" not in samples:  # nobody has looked into a file yet
        return []
    known = samples[samples["label_index"].isin([GOOD, DEFECTIVE])]
    both = known[known.groupby("sha256")["label_index"].transform("nunique") > 1]
    if both.empty:
        return []
    count = both["sha256"].nunique()
    first = both[both["sha256"] == both["sha256"].iloc[0]]["name"].tolist()
    what = "1 image is" if count == 1 else f"{count} images are"
    sentence = (
        f"{what} called both good and defective, byte for byte the same ({' and '.join(first[:SHOWN])}): one of both "
        "labels is wrong; delete that copy, or every figure counts it as a mistake."
    )
    return [sentence]
