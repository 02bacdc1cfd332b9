"""The parity gate: a checkpoint and its bundle judge the same files, and must agree at every stage of the way.

The bundle is judged by the runner that lies in it, from files to verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from callbacks.decisions.calibration import calibration_of
from datamodules.errors import DataError
from datamodules.progress import track
from datamodules.samples.batch import Sample, collate
from tools.runner.chain import BOUNDARY
from tools.runner.composition import CHAIN

from .agreement import FULL, Agreement, sum_up
from .compared_images import images_for_graphs
from .shipping import load_runner
from .stages import STAGES, Array, Difference, compare_inputs, compare_pixels, compare_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    from datamodules.samples.batch import InspectionBatch
    from models.base import InspectionModel

    from .compared_images import ComparedImage

BATCHES = (1, 8)  # sizes by turns: a graph may hold for one and not for the other
DECIDED = 1e-3  # share of a map's pixels that may lie near one that falls to the other side of a threshold inside
NEARLY_ALL = "but a thousandth or 1,024, at most a quarter: those near a pixel that lies at the threshold inside"
NEAR = 32 * 32  # pixels around one of these that it may change, if it is the only one


class ParityError(DataError):
    """A bundle disagrees with its checkpoint; says at which stage, and where most."""


@dataclass
class Comparison:
    """Everything that was compared.

    Attributes:
        differences: By image; those of a stage before the graph, or of the thresholds.
        agreements: One per form.
        decided: Share of each map's pixels, those that differ most, that is not counted.
    """

    differences: list[tuple[str, Difference]] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    decided: float = 0.0


def compare(
    module: InspectionModel, folder: Path, images: Sequence[ComparedImage], runner: ModuleType | None = None
) -> Comparison:
    """Judge images, all or those that ``images_for_graphs`` names, by the checkpoint and by each form of the bundle.

    Parts are not accepted or rejected, nor measured for that: whoever adds samples to the bundle has them judged whole.

    Args:
        module: Of the checkpoint.
        folder: The bundle.
        images: On which both are compared.
        runner: Of the bundle, where it is loaded already.
    """
    runner = runner or load_runner(folder)
    spec = runner.specification.read_spec(folder)
    judged = images_for_graphs(images, tiles_in(spec["composition"]))
    comparison = Comparison(decided=DECIDED if decides_inside(spec["composition"]) else 0.0)
    bundles = []
    for form in spec["forms"]:
        bundle = runner.Bundle(folder, runtime=form["runtime"], precision=form["precision"])
        bundle.acceptance = bundle.inspector = None
        bundles.append(bundle)
        comparison.agreements.append(Agreement(form["runtime"], form["precision"]))
    for words in compare_plain(calibration_of(module).summary(), spec["thresholds"]):
        comparison.differences.append(("spec.json", Difference("thresholds", 1.0, words)))
    sizes = (1,) if module.own_sizes else BATCHES
    for chunk in track(_chunks(images, sizes), "comparing checkpoint and bundle"):
        samples, prepared = [], []
        for image in chunk:
            pair = _compare_reading(bundles[0], image, comparison)
            if pair is not None and image.name in judged:
                samples.append((image, pair[0]))
                prepared.append(pair[1])
        if not samples:
            continue
        expected = _judge(module, [sample for _, sample in samples])
        zones = [None if sample.zones is None else sample.zones.numpy() for _, sample in samples]
        for bundle, agreement in zip(bundles, comparison.agreements, strict=True):
            found = bundle.judge(prepared, expected.kind, zones)
            agreement.rows += _rows([image for image, _ in samples], expected, found, comparison.decided)
    for bundle, agreement in zip(bundles, comparison.agreements, strict=True):
        _find_exchanged_colours(bundle, agreement, {image.name: image for image in images}, comparison)
    return comparison


def tiles_in(composition: dict[str, Any]) -> int:
    """Count the tiles of an image; 1 where it is judged whole."""
    tiles = composition.get("tiles")
    return len(tiles["rows"]) * len(tiles["columns"]) if tiles else 1


def decides_inside(composition: dict[str, Any]) -> bool:
    """Tell whether what one graph marks decides what the next is given.

    A pixel whose value is its threshold, but for rounding, is then marked on one side and not on the other, and what
    the next graph finds near it is another thing.
    """
    return composition["kind"] == CHAIN and bool(composition["marks"] == BOUNDARY)


def map_error(expected_HW: Array, found_HW: Array, decided: float) -> float:
    """Return the largest error of a map; NaN where there is one.

    Where ``decided`` is above 0, this share of its pixels is not counted, those that differ most, and so are those near
    a single one of them: at most a quarter of the map.
    """
    error_P = np.abs(expected_HW - found_HW).ravel()
    if np.isnan(error_P).any():
        return float("nan")
    left_out = max(int(decided * len(error_P)), min(NEAR, len(error_P) // 4)) if decided else 0
    return float(np.partition(error_P, -1 - left_out)[-1 - left_out])


def conclude(comparison: Comparison) -> dict[str, Any]:
    """Turn a comparison into the content of parity.json."""
    forms = [sum_up(agreement) for agreement in comparison.agreements]
    stages = []
    for stage in STAGES:
        hits = [(name, found) for name, found in comparison.differences if found.stage == stage]
        if hits:
            name, worst = max(hits, key=lambda hit: hit[1].amount)
            stages.append({"stage": stage, "pictures": len(hits), "worst": name, "said": worst.words})
    failing = [form for form in forms if form["failed"]]
    if failing and not stages:  # equal inputs, equal thresholds, other outputs
        worst_form = failing[0]
        words = f"{worst_form['form']}: {'; '.join(worst_form['failed'])}"
        stages.append({"stage": "graph", "pictures": worst_form["beyond"], "worst": worst_form["worst"], "said": words})
    return {
        "passed": not stages,
        "stages": stages,
        "unit": "errors are shares of the range that the checkpoint's values have on calibration pictures",
        "map_pixels": NEARLY_ALL if comparison.decided else "all",
        "forms": forms,
    }


def require_parity(parity: dict[str, Any], path: Path) -> None:
    """Refuse a bundle that disagrees.

    Args:
        parity: What ``conclude`` found.
        path: Of the file that has all of it.

    Raises:
        ParityError: Names the first stage at which both sides part, and the worst image.
    """
    if parity["passed"]:
        return
    small = [form["form"].split()[1] for form in parity["forms"] if form["failed"]]
    ways = "" if FULL in small or not small else f" Leave {' and '.join(dict.fromkeys(small))} out of precisions."
    first = parity["stages"][0]
    later = [entry["stage"] for entry in parity["stages"][1:]]
    also = f" Later stages differ too: {', '.join(later)}." if later else ""
    raise ParityError(
        f"Expected the bundle to judge as its checkpoint does, but they part at {first['stage']}, in "
        f"{first['pictures']} cases; worst: {first['worst']}: {first['said']}.{also}{ways} Nothing was exported; every "
        f"comparison is in {path}."
    )


def _compare_reading(bundle: Any, image: ComparedImage, comparison: Comparison) -> tuple[Sample, Any] | None:
    """Compare the stages before the graph; None where both sides refuse the image, or one does."""
    sample = image.sample()
    (prepared,) = next(bundle.batches([image.path], 1, 0))
    if not isinstance(sample, Sample) or prepared.image_3HW is None:
        if isinstance(sample, Sample) or f"{sample.problem}; {sample.remedy}" != prepared.error:
            refused = f"refused by the bundle only ({prepared.error})" if prepared.error else "refused by Loupe only"
            comparison.differences.append((image.name, Difference("reading", float("inf"), refused)))
        return None
    difference = compare_pixels(image.values(), bundle.read(image.path))
    difference = difference or compare_inputs(sample.image.numpy(), prepared.image_3HW)
    if difference is not None:
        comparison.differences.append((image.name, difference))
    return sample, prepared


def _find_exchanged_colours(
    bundle: Any, agreement: Agreement, images: dict[str, ComparedImage], comparison: Comparison
) -> None:
    """Where a graph disagrees on an image in full precision, see whether it agrees once red and blue are exchanged."""
    if agreement.precision != FULL or comparison.differences:
        return
    row = max(agreement.rows, key=lambda row: abs(row["found"] - row["score"]))
    sample = images[row["picture"]].sample()
    if not sum_up(agreement)["failed"] or not isinstance(sample, Sample):
        return
    swapped = bundle.infer(np.ascontiguousarray(sample.image.numpy()[None, ::-1])).score_B[0]
    if abs(swapped - row["score"]) < abs(row["found"] - row["score"]) / 100:
        words = f"the graph for {agreement.name} scores {row['score']:.6g} once red and blue are exchanged"
        comparison.differences.append((row["picture"], Difference("colour order", 1.0, words)))


@torch.inference_mode()
def _judge(module: InspectionModel, samples: list[Sample]) -> InspectionBatch:
    """Judge by the checkpoint, as a test does, but for what no bundle has."""
    with module.as_exported():
        return module.predict_step(collate(samples))


def _rows(
    images: Sequence[ComparedImage], expected: InspectionBatch, found: Sequence[Any], decided: float
) -> Iterator[dict[str, Any]]:
    for index, (image, result) in enumerate(zip(images, found, strict=True)):
        map_HW = expected.anomaly_map[index].numpy()
        score = float(expected.pred_score[index])
        yield {
            "picture": image.name,
            "label_index": image.label_index,
            "batch": len(images),
            "score": score,
            "found": result.score,
            "threshold": result.threshold,
            "verdict": bool(expected.pred_label[index]),
            "found_verdict": result.defective,
            "map_error": map_error(map_HW, result.anomaly_map, decided),
            "map_low": float(map_HW.min()),
            "map_high": float(map_HW.max()),
        }


def _chunks(images: Sequence[ComparedImage], sizes: Sequence[int]) -> Iterator[Sequence[ComparedImage]]:
    first = 0
    for size in cycle(sizes):
        if first >= len(images):
            return
        yield images[first : first + size]
        first += size
