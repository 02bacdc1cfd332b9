"""What the two stages of a hybrid did in a test, and what that cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES
from models.hybrid import PASSED, HybridModel

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


def stage_counts(predictions: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count, by label, which pictures were passed, and what became of the others.

    Args:
        predictions: With ``label_index``, ``score`` and ``verdict``; passed pictures score -1.
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


def stage_threshold(network: nn.Module) -> dict[str, Any]:
    """Return the threshold of the first stage for calibration.json; empty where there is one stage."""
    if not isinstance(network, HybridModel) or network.chosen is None:
        return {}
    return {"screening": asdict(network.chosen)}


def stage_costs(network: HybridModel) -> dict[str, float]:
    """Tell what each stage took for each picture that it saw, in milliseconds."""
    seen = {"screening": network.screened, "inspection": network.inspected}
    return {name: round(1000 * network.seconds[name] / count, 2) for name, count in seen.items() if count}


def stage_note(network: HybridModel, counts: dict[str, dict[str, int]]) -> str:
    """Say in a sentence or two what each stage did and what it cost."""
    passed = sum(row["passed"] for row in counts.values())
    total = passed + sum(row["inspected"] for row in counts.values())
    costs = stage_costs(network)
    note = (
        f"The screening passed {passed} of {total} test pictures, {counts[LABEL_NAMES[DEFECTIVE]]['passed']} of them "
    )
    note += f"defective, at {costs.get('screening', 0)} ms each"
    if "inspection" in costs:
        note += f"; each of the other {total - passed} took {costs['inspection']} ms more to inspect"
    return f"{note}."
