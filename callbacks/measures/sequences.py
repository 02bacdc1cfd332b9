"""What shows only in the order of layers: a score that drifts, a level that changes, defects that stay where they are.

Letters: N layers of a sequence, R random orders, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import find_objects, label

from callbacks.defects.findings import image_scales
from callbacks.defects.image_scale import SAME_SCALE
from callbacks.statistics.sequence import change_point, cumulative_sum, running_median, unbroken

from .figures import Chart, Line
from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from callbacks.defects.image_scale import ImageScale
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested

CHARTS = 6  # sequences that are drawn, the longest first
SURE = 0.05  # chance, over all sequences, of calling an order of chance a change


class Stay(NamedTuple):
    """A defect that stays at its place over several layers.

    Attributes:
        first: Place of its first layer in the sequence, from 0.
        last: Of its last one.
        x: Column of the centroid of all its pixels, in pixels of the mask.
        y: Row of the same.
        area: Pixels per layer.
    """

    first: int
    last: int
    x: float
    y: float
    area: float


class Sequences(ContextMeasure):
    """Follows the test layers of each group by their numbers; says nothing of images without layer numbers.

    Args:
        width: Layers of the running median, odd.
        persistent: A defect is listed from so many neighbouring layers on, at least 2.
        orders: Random orders behind every p value.
    """

    def __init__(self, width: int = 3, persistent: int = 3, orders: int = 999) -> None:
        if width < 1 or width % 2 == 0:
            raise ValueError(f"Expected width to be an odd number of layers, but found {width}.")
        if persistent < 2 or orders < 19:
            raise ValueError(
                f"Expected persistent to be at least 2 layers and orders at least 19, but found {persistent} and "
                f"{orders}."
            )
        self.width, self.persistent, self.orders = width, persistent, orders

    def start(self, tested: Tested) -> None:
        """Learn which images have layer numbers."""
        super().start(tested)
        samples = tested.samples
        self._known = set(samples["name"][samples["layer"] >= 0]) if "layer" in samples else set()
        self._masks: dict[str, npt.NDArray[np.uint8]] = {}
        self._shape = (1, 1)

    def update(self, batch: InspectionBatch) -> None:
        """Keep the predicted masks of layers, a bit per pixel."""
        if not self._known:
            return
        self._shape = (int(batch.image.shape[-2]), int(batch.image.shape[-1]))
        for name, mask_HW in zip(batch.name, batch.pred_mask.bool().cpu().numpy(), strict=True):
            if name in self._known and mask_HW.any():
                self._masks[name] = np.packbits(mask_HW)

    def result(self) -> Section:
        """``sequences`` of metrics.json; sequences.csv, sequence_changes.csv and persistent_defects.csv; charts."""
        rows = self._layers()
        sequences = [part for _, part in rows.groupby("group", sort=True) if len(part) > 1]
        if not sequences:
            return Section()
        layers = pd.concat([followed(part, self.width) for part in sequences], ignore_index=True)
        changes = self._changes(sequences)
        stays = self._stays(sequences)
        changed = int(changes["changed"].sum()) if len(changes) else 0
        threshold = float(self.tested.calibration.image_threshold)
        longest = sorted(sequences, key=len, reverse=True)[:CHARTS]
        counts = {"sequences": len(sequences), "layers": len(layers), "changed": changed, "persistent": len(stays)}
        return Section(
            metrics={"sequences": counts},
            tables={"sequences": layers, "sequence_changes": changes, "persistent_defects": stays},
            figures=[chart_of(followed(part, self.width), threshold) for part in longest],
        )

    def _layers(self) -> pd.DataFrame:
        """List the tested layers in order."""
        rows = self.tested.predictions[["name", "group", "score", "verdict"]].copy()
        if not self._known:
            return rows.iloc[:0]
        rows["layer"] = self.tested.about["layer"].to_numpy()
        return rows[rows["layer"] >= 0].sort_values(["group", "layer", "name"], ignore_index=True)

    def _changes(self, sequences: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Say of each sequence where its level changes, and whether chance can be ruled out (Holm over all)."""
        rows: list[dict[str, Any]] = []
        for part in sequences:
            found = change_point(part["score"], self.orders, self.tested.resampling.seed)
            if found is not None:
                about = {"group": part["group"].iloc[0], "layers": len(part)}
                rows.append(about | {"from_layer": part["layer"].iloc[found.place]} | found._asdict())
        table = pd.DataFrame(rows, columns=["group", "layers", "from_layer", "before", "after", "p"])
        rank = np.sort(table["p"].to_numpy())
        limits = SURE / np.arange(len(table), 0, -1)
        sure = int(np.argmin(np.append(rank <= limits, False)))
        table["changed"] = table["p"] <= (rank[sure - 1] if sure else -1.0)
        return table

    def _stays(self, sequences: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """List the defects that stay at a place, in pixels of the images on disk."""
        scales = image_scales(self.tested.samples, *self._shape, self.tested.fit)
        rows = [row for part in sequences for row in self._stays_of(part, scales.get(part["name"].iloc[0], SAME_SCALE))]
        return pd.DataFrame(rows, columns=["group", "first_layer", "last_layer", "layers", "x", "y", "area"])

    def _stays_of(self, part: pd.DataFrame, scale: ImageScale) -> list[dict[str, Any]]:
        layer, names = part["layer"].to_numpy(), part["name"].tolist()
        rows: list[dict[str, Any]] = []
        for start, stop in self._marked_runs(layer, names):
            found = stays(np.stack([self._mask(name) for name in names[start:stop]]), self.persistent)
            rows += [
                {
                    "group": part["group"].iloc[0],
                    "first_layer": int(layer[start + stay.first]),
                    "last_layer": int(layer[start + stay.last]),
                    "layers": stay.last - stay.first + 1,
                    "x": round((stay.x + 0.5) * scale.x + scale.left, 1),
                    "y": round((stay.y + 0.5) * scale.y + scale.top, 1),
                    "area": round(stay.area * scale.x * scale.y, 1),
                }
                for stay in found
            ]
        return rows

    def _marked_runs(self, layer_N: npt.NDArray[np.int64], names: Sequence[str]) -> list[tuple[int, int]]:
        """Cut a sequence to neighbouring layers with marks: nothing stays beyond a layer without any."""
        marked = np.array([name in self._masks for name in names])
        runs = []
        for start, stop in unbroken(layer_N):
            edge = np.diff(np.concatenate([[False], marked[start:stop], [False]]).astype(np.int8))
            ends = zip(np.flatnonzero(edge == 1).tolist(), np.flatnonzero(edge == -1).tolist(), strict=True)
            runs += [(start + first, start + end) for first, end in ends if end - first >= self.persistent]
        return runs

    def _mask(self, name: str) -> npt.NDArray[np.bool_]:
        height, width = self._shape
        bits = np.unpackbits(self._masks[name], count=height * width)
        return bits.reshape(height, width).astype(np.bool_)


def followed(part: pd.DataFrame, width: int) -> pd.DataFrame:
    """Add the running median and the cumulative sum to the layers of one sequence, which are in order."""
    score_N = part["score"].to_numpy(np.float64)
    return part[["group", "layer", "name", "score", "verdict"]].assign(
        running_median=running_median(score_N, width), cumulative_sum=cumulative_sum(score_N)
    )


def stays(mask_NHW: npt.NDArray[np.bool_], minimum: int) -> list[Stay]:
    """List what stays at its place: regions that share a pixel with one of the layer before are one defect.

    Args:
        mask_NHW: (N, H, W) of neighbouring layers, in order.
        minimum: Layers from which on a defect is listed.
    """
    label_NHW, _ = label(mask_NHW, _SAME_PLACE)
    found = []
    for number, inside in enumerate(find_objects(label_NHW), start=1):
        first, last = inside[0].start, inside[0].stop - 1
        if last - first + 1 >= minimum:
            _, rows, columns = np.nonzero(label_NHW[inside] == number)
            x, y = columns.mean() + inside[2].start, rows.mean() + inside[1].start
            found.append(Stay(first, last, float(x), float(y), rows.size / (last - first + 1)))
    return found


_SAME_PLACE = np.zeros((3, 3, 3), dtype=np.bool_)  # neighbours in a layer on eight sides, from layer to layer on one
_SAME_PLACE[1] = True
_SAME_PLACE[:, 1, 1] = True


def chart_of(part: pd.DataFrame, threshold: float) -> Chart:
    """Draw the scores of a sequence over its layers, with their running median and the threshold."""
    layer_N = part["layer"].astype(float).tolist()
    lines = [
        Line("score", layer_N, part["score"].astype(float).tolist()),
        Line("running median", layer_N, part["running_median"].tolist()),
        Line("threshold", [layer_N[0], layer_N[-1]], [threshold, threshold], guide=True),
    ]
    caption = "A median that climbs, or a step, is the machine's, not a single layer's."
    return Chart(f"Scores by layer: {part['group'].iloc[0]}", "layer", "score", lines, caption)
