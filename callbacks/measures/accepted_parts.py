"""What the rules of acceptance say of every test image: how many parts are accepted, and why the others are not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from callbacks.acceptance.gathering import Seen, gather
from callbacks.acceptance.inspecting import Marked
from callbacks.acceptance.judgement import STATES, titled
from callbacks.defects.findings import find_in_batch, image_scales
from callbacks.defects.image_scale import SAME_SCALE
from callbacks.defects.measured import MEASURES
from datamodules.files.fitting import place
from datamodules.files.images import read_image
from datamodules.table import LABEL_NAMES

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from callbacks.acceptance.inspecting import Inspector
    from callbacks.acceptance.judgement import Judgement
    from callbacks.defects.image_scale import ImageScale
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested


MEASURED = "measured_defects"  # of rules that look at the files: numbers in reasons are those of its rows
COLUMNS = ("name", "image_path", "kind", *MEASURES)


class AcceptedParts(ContextMeasure):
    """Judges test images by the rules of the test; adds columns ``accepted`` and ``reasons``, empty without rules."""

    def start(self, tested: Tested) -> None:
        """Start a test, with nothing counted."""
        super().start(tested)
        self._rules = tested.acceptance
        self._judged: dict[str, Judgement] = {}
        self._scales: dict[str, ImageScale] | None = None
        self._defects: list[dict[str, Any]] = []

    def update(self, batch: InspectionBatch) -> None:
        """Judge a batch, by its defects as they are listed."""
        if self._rules is None:
            return
        if self.tested.inspector is not None:
            self._inspect(batch, self.tested.inspector)
            return
        if self._scales is None:
            height, width = batch.image.shape[-2:]
            self._scales = image_scales(self.tested.samples, height, width, self.tested.fit)
        about = (self.tested.calibration, self.tested.settings.defects, self._scales)
        found_N = find_in_batch(batch, *about, on_good=True)
        for index, (name, found) in enumerate(zip(batch.name, found_N, strict=True)):
            scale = self._scales.get(name, SAME_SCALE)
            self._judged[name] = self._rules(gather(seen_of(batch, index, scale), found.defects))

    def _inspect(self, batch: InspectionBatch, inspector: Inspector) -> None:
        """Inspector at the parts of a batch on their files."""
        for index, name in enumerate(batch.name):
            values = read_image(batch.image_path[index])
            seen = (batch.image.shape[-2], batch.image.shape[-1])
            marked = Marked(
                batch.pred_mask[index].bool().cpu().numpy(),
                batch.anomaly_map[index].float().cpu().numpy(),
                place((values.shape[0], values.shape[1]), seen, self.tested.fit),
                bool(batch.pred_label[index]),
                given_scale(self.tested.samples, name),
            )
            inspected = inspector(values, batch.kind[index], marked)
            self._judged[name] = inspected.judgement
            about = {"name": name, "image_path": batch.image_path[index], "kind": batch.kind[index]}
            self._defects += [about | one.to_dict() for one in inspected.defects]

    def result(self) -> Section:
        """``acceptance`` of metrics.json where there are rules, and the columns."""
        predictions = self.tested.predictions
        if self._rules is None:
            return Section(columns={"accepted": [""] * len(predictions), "reasons": [""] * len(predictions)})
        judged = [self._judged[name] for name in predictions["name"]]
        labels = [LABEL_NAMES[index] for index in predictions["label_index"]]
        return Section(
            metrics={"acceptance": summarise(judged, labels)},
            tables={}
            if self.tested.inspector is None
            else {MEASURED: pd.DataFrame(self._defects, columns=list(COLUMNS))},
            columns={"accepted": [one.state for one in judged], "reasons": [one.text for one in judged]},
            notes=doubts(judged),
        )


def given_scale(samples: pd.DataFrame, name: str) -> float | None:
    """Return the micrometres per pixel given for an image; None where none were given, or its zones provide them."""
    if samples.empty or "um_per_pixel" not in samples:
        return None
    row = samples.loc[samples["name"] == name].iloc[0]
    given = row["um_per_pixel"] if row.get("um_source", "given") == "given" else None
    return None if given is None or pd.isna(given) else float(given)


def seen_of(batch: InspectionBatch, index: int, scale: ImageScale) -> Seen:
    """Say what is known of one image of a decided batch."""
    return Seen(
        defective=bool(batch.pred_label[index]),
        kind=batch.kind[index],
        um_per_pixel=scale.um_per_pixel,
        zoned=batch.zones is not None and bool(batch.zones[index].any()),
        typed=bool(batch.classes),
        type=batch.pred_type[index] if batch.pred_type else "",
        part=None if batch.part is None else batch.part[index],
    )


def summarise(judged: Sequence[Judgement], labels: Sequence[str]) -> dict[str, Any]:
    """Count states, over all and by label, and how many parts each rule decided.

    Args:
        judged: What the rules say of each image.
        labels: Of the same images, in words.
    """
    by_label = {
        label: Counter(one.state for one, own in zip(judged, labels, strict=True) if own == label)
        for label in LABEL_NAMES.values()
        if label in labels
    }
    states = Counter(one.state for one in judged)
    rules = Counter((rule, one.state) for one in judged for rule in one.rules)
    standard = judged[0].standard if judged else {}
    return {
        "rules": titled(standard),
        **({"source": standard["source"]} if "source" in standard else {}),
        **{state: states[state] for state in STATES},
        "by_label": {label: {state: counts[state] for state in STATES} for label, counts in by_label.items()},
        "by_rule": [{"rule": rule, "state": state, "images": number} for (rule, state), number in rules.most_common()],
    }


def doubts(judged: Sequence[Judgement]) -> list[str]:
    """Say how many parts the rules could not decide on, and why one of them."""
    unknown = [one for one in judged if one.state == "unknown"]
    if not unknown:
        return []
    number = f"{len(unknown)} of {len(judged)} parts are unknown by the rules, and so not accepted"
    return [f"{number}; for example: {unknown[0].text}."]


def counted(metrics: Mapping[str, Any]) -> str:
    """Say in a sentence what became of all parts; empty without rules.

    Args:
        metrics: The content of metrics.json.
    """
    found = metrics.get("acceptance", {})
    listed = ", ".join(f"{found[state]} {state}" for state in STATES if found.get(state))
    return f"By the rules: {listed}." if listed else ""
