"""What the two stages of a hybrid did in a test, in counts and in sentences: what screening saves, what it misses.

Letters: B images of a batch, K tiles of one call, H and W height and width, S side of a tile.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from anomalib.data import InferenceBatch

from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES

from .screening import PASSED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from torch import Tensor

    from .tiled import Cutting


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


def stage_note(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Say in a sentence which images the first stage passed, from what ``stage_counts`` returns."""
    passed = sum(row["passed"] for row in counts.values())
    total = passed + sum(row["inspected"] for row in counts.values())
    defective = counts[LABEL_NAMES[DEFECTIVE]]["passed"]
    return f"The screening passed {passed} of {total} test pictures, {defective} of them defective."


@dataclass
class StageTally:
    """Counts what the first stage passed, over a test.

    Attributes:
        number: What it looked at: tiles, or images where they are judged whole.
        passed: Of these, the ones that the second stage never saw.
        marked: Of these ``number``, the ones that show some of a marked defect.
        marked_passed: Of these, the ones that were passed.
        defects: Connected marked places.
        defects_unseen: Of these, the ones of which the second stage saw no pixel.
    """

    number: int = 0
    passed: int = 0
    marked: int = 0
    marked_passed: int = 0
    defects: int = 0
    defects_unseen: int = 0

    def add(self, asked: Sequence[Tensor], cutting: Cutting | None, mask_BHW: Tensor, known_B: Tensor) -> None:
        """Count a batch.

        Args:
            asked: Of every call of the network, in their order, what was inspected (K,).
            cutting: How images were cut for these calls; None: there was one, with whole images.
            mask_BHW: What is marked.
            known_B: Where that is the truth; elsewhere nothing counts as marked.
        """
        mask_BHW = mask_BHW.float() * known_B.view(-1, 1, 1)
        calls = iter(asked)

        def count_tiles(tile_K1SS: Tensor) -> tuple[InferenceBatch, None]:
            inspected_K, marked_K = next(calls), tile_K1SS.flatten(1).any(dim=1)
            self.number += len(inspected_K)
            self.passed += int((~inspected_K).sum())
            self.marked += int(marked_K.sum())
            self.marked_passed += int((marked_K & ~inspected_K).sum())
            seen_KSS = inspected_K.float().view(-1, 1, 1).expand_as(tile_K1SS[:, 0])
            return InferenceBatch(pred_score=inspected_K.float(), anomaly_map=seen_KSS), None

        image_B1HW = mask_BHW.unsqueeze(1)
        seen, _ = count_tiles(image_B1HW) if cutting is None else cutting.judge(count_tiles, image_B1HW)
        if seen.anomaly_map is not None:
            for mask_HW, seen_HW in zip(mask_BHW.cpu().numpy() > 0, seen.anomaly_map.cpu().numpy() > 0, strict=True):
                count, place_HW = cv2.connectedComponents(mask_HW.astype(np.uint8), connectivity=8)
                self.defects += count - 1
                self.defects_unseen += count - len(np.unique(place_HW[seen_HW & mask_HW])) - 1

    def to_plain(self) -> dict[str, int]:
        """Return the counts as plain values."""
        return asdict(self)

    def sentences(self, costs: Mapping[str, float], *, tiled: bool) -> list[str]:
        """Say what screening saved and what it missed.

        Args:
            costs: Milliseconds of each stage for each of what was counted.
            tiled: Those are tiles.
        """
        noun = "tiles" if tiled else "pictures"
        lines = [f"{self.passed} of {self.number} tiles were passed."] if tiled else []
        if self.marked:
            lines.append(
                f"Of {self.marked} {noun} that show some of a marked defect, {self.marked_passed} were passed; of "
                f"{self.defects} marked defects, {self.defects_unseen} lie on passed {noun} alone: nothing ever looked "
                "for them."
            )
        if "inspection" in costs and self.number:
            screening, inspection = costs.get("screening", 0.0), costs["inspection"]
            both = (screening * self.number + inspection * (self.number - self.passed)) / 1000
            alone = inspection * self.number / 1000
            lines.append(
                f"Screening took {screening} ms of each of the {noun}, and inspection {inspection} ms of each that was "
                f"left: {both:.1f} s in all, where inspecting all of them would take {alone:.1f} s."
            )
        return lines
