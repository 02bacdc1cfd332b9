"""What the two stages of a hybrid did in a test, in counts and in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES

from .screening import PASSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def stage_counts(predictions: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count, by label, which images were passed, and what became of the others.

    Args:
        predictions: With ``label_index``, ``score`` and ``verdict``; passed images score -1.
    """
    passed = predictions["score"] == PASSED
    defective = predictions["verdict"] == LABEL_NAMES[DEFECTIVE]
    counts = {}
    for index, name in LABEL_NAMES.items():
        rows = predictions["label_index"] == index
        if rows.any() or index in {GOOD, DEFECTIVE}:
            counts[name] = {
                "passed": int((rows & passed).sum()),
                "inspected": int((rows & ~passed).sum()),
                "called_defective": int((rows & defective).sum()),
            }
    return counts


def stage_note(counts: Mapping[str, Mapping[str, int]], costs: Mapping[str, float]) -> str:
    """Say in a sentence or two what each stage did and what it cost.

    Args:
        counts: As ``stage_counts`` returns them.
        costs: Milliseconds of each stage for each image that it saw.
    """
    passed = sum(row["passed"] for row in counts.values())
    total = passed + sum(row["inspected"] for row in counts.values())
    note = (
        f"The screening passed {passed} of {total} test pictures, {counts[LABEL_NAMES[DEFECTIVE]]['passed']} of them "
    )
    note += f"defective, at {costs.get('screening', 0)} ms each"
    if "inspection" in costs:
        note += f"; each of the other {total - passed} took {costs['inspection']} ms more to inspect"
    return f"{note}."
