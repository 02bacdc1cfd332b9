"""From results to what callers read: JSON without NaN."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.runner.result import Result


def answer_of(result: Result, model: str) -> dict[str, Any]:
    """Say what was found on an image, in plain values: what ``loupe predict`` writes, and ``image`` and ``model``.

    ``verdict`` is ``good`` or ``defective``; it is empty where the image could not be judged, and ``error`` says why.
    """
    row = result.row()
    row.pop("image_path")
    judged = "score" in row
    return {
        "image": PurePosixPath(result.name).name,
        "model": model,
        "verdict": result.verdict,
        "score": row.pop("score", None),
        "threshold": row.pop("threshold", None),
        "probability": row.pop("probability", None),
        "rank_among_good": row.pop("rank_among_good", None),
        "accepted": row.pop("accepted", ""),
        "reasons": row.pop("reasons", ""),
        "height": result.size[0] if judged else None,
        "width": result.size[1] if judged else None,
        "defects": [defect.to_dict() for defect in result.defects or ()],
        "error": row.pop("error", ""),
        **{key: value for key, value in row.items() if key != "verdict"},
    }


def row_of(result: Result) -> dict[str, Any]:
    """Say what was found on an image as a row for the table of verdicts."""
    defects = [defect.to_dict() for defect in result.defects or ()]
    return result.row() | ({} if result.error else {"defects": defects})
