"""Defects on rings: tiles over the part, one instance for each defect, and files that agree with each other.

The detector here is exact: what is white on a tile is a defect, and two shades of white are two. So everything but the
network is what is tested.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO

from datamodules.samples.detections import Instance, Region, dense_masks, trim
from datamodules.synthetic.measured_rings import MeasuredRing
from datamodules.zones.ring_parts import measure_parts
from tools.cli import main
from tools.lines.oring_search import Search, bodies
from tools.lines.oring_tiles import TileRules, starts
from tools.runner.decision import Decision
from tools.runner.result import Prediction

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.samples.detections import Mask
    from tools.runner.network import Array

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and numpy 2
RING = MeasuredRing(size=(1100, 1200), x=600.2, y=548.7, outer=480.0, inner=280.0, noise=0.0, body=120.0)
THRESHOLDS: dict[str, Any] = {
    "image": {"all": {"value": 0.5}},
    "pixel": {"all": {"value": 0.5}},
    "map_range": [0.0, 1.0],
    "regions": {"low": None, "erode": 0, "min_area": 1, "usual": 0.0},
    "probability": None,
}
SHADES = (230, 255)


def exact(tile_13ST: Array) -> Prediction:
    """Find what is white."""
    grey = np.rint(tile_13ST[0, 0] * 255)
    whole = Region(0, 0, *grey.shape)
    found = []
    for shade in SHADES:
        count, label, statistics, _ = cv2.connectedComponentsWithStats((grey == shade).astype(np.uint8))
        for index in range(1, count):
            left, top, width, height = statistics[index][:4].tolist()
            mask, region = trim(label[top : top + height, left : left + width] == index,
                                Region(top, left, top + height, left + width))  # fmt: skip
            found.append(Instance((left, top, left + width, top + height), 1, 0.9, region, mask, whole))
    map_ST = (grey >= min(SHADES)).astype(np.float32)
    return Prediction(np.asarray([map_ST.max()]), map_ST[None], [found])


def search(**keys: Any) -> Search:
    rules = TileRules((400, 400), (64, 64), 0.5, 5000)
    return Search(judge=exact, decision=Decision(THRESHOLDS), rules=rules, **keys)


def painted(shapes: list[tuple[str, tuple[int, ...], int]], ring: MeasuredRing = RING) -> tuple[Array, list[Mask]]:
    """Paint defects on the ring; return the image and the pixels of each."""
    image, truth = ring.draw(), []
    for kind, place, shade in shapes:
        mask = np.zeros(image.shape, np.uint8)
        if kind == "line":
            cv2.line(mask, place[:2], place[2:4], 1, place[4])
        else:
            cv2.circle(mask, place[:2], place[2], 1, -1)
        image[mask > 0] = shade
        truth.append(mask > 0)
    return image, truth


@pytest.mark.parametrize(
    ("shape", "least"),
    [
        (("circle", (250, 548, 30), 255), 1),
        (("line", (380, 180, 820, 180, 18), 255), 2),
        (("line", (200, 300, 240, 800, 14), 255), 3),
    ],
)
def test_a_defect_is_one_instance_however_many_tiles_saw_it(
    shape: tuple[str, tuple[int, ...], int], least: int
) -> None:
    image, truth = painted([shape])
    rings = [part.ring for part in measure_parts(image, "image")]
    seen = search()(image, "image", rings, [""])
    assert len(seen.defects) == 1
    (one,) = seen.defects[0]
    assert one.tiles >= least
    assert np.array_equal(dense_masks([one], image.shape[:2])[0], truth[0])


def test_four_tiles_meet_on_one_defect() -> None:
    thick = replace(RING, inner=150.0)
    image, truth = painted([], thick)
    (ring,) = [part.ring for part in measure_parts(image, "image")]
    rows, columns = (starts(high - low, 400, 64) for low, high in zip(ring.box[:2], ring.box[2:], strict=True))
    # the middle of the overlap of the first two rows and columns lies on the ring
    y, x = ring.box.top + (rows[1] + 400) // 2, ring.box.left + (columns[1] + 400) // 2
    image, truth = painted([("circle", (x, y, 40), 255)], thick)
    assert bodies([ring], image.shape, 0)[y, x]
    (one,) = search()(image, "image", [ring], [""]).defects[0]
    assert one.tiles == 4
    assert np.array_equal(dense_masks([one], image.shape[:2])[0], truth[0])


def test_two_that_touch_are_two() -> None:
    image, truth = painted([("circle", (560, 170, 30), 230), ("circle", (619, 170, 29), 255)])
    rings = [part.ring for part in measure_parts(image, "image")]
    found = search()(image, "image", rings, [""]).defects[0]
    assert len(found) == 2
    masks = dense_masks(sorted(found, key=lambda one: one.region.left), image.shape[:2])
    assert np.array_equal(masks[1], truth[1])
    assert np.array_equal(masks[0], truth[0] & ~truth[1])


@pytest.mark.parametrize(("score", "count"), [(0.0, 0), (1e-6, 1)])
def test_a_threshold_of_0_does_not_make_a_defect_of_what_scores_0(score: float, count: int) -> None:
    def unsure(tile_13ST: Array) -> Prediction:
        found = exact(tile_13ST)
        return found._replace(
            detections=[[one._replace(score=score) for one in tile] for tile in found.detections or []]
        )

    image, _ = painted([("circle", (250, 548, 20), 255)])
    rings = [part.ring for part in measure_parts(image, "image")]
    none = Decision(THRESHOLDS | {"image": {"all": {"value": 0.0}}})
    assert len(replace(search(), judge=unsure, decision=none)(image, "image", rings, [""]).defects[0]) == count


def test_what_lies_beside_the_part_belongs_to_nobody_and_is_not_looked_at() -> None:
    image, _ = painted(
        [("circle", (40, 40, 12), 255), ("circle", (600, 548, 20), 255), ("circle", (250, 548, 20), 255)]
    )
    rings = [part.ring for part in measure_parts(image, "image")]
    seen = search(even=True)(image, "image", rings, [""])
    assert len(seen.defects[0]) == 1
    assert seen.tiles <= len(starts(rings[0].box.bottom - rings[0].box.top, 400, 64)) ** 2


def test_defects_of_several_parts_stay_with_their_part() -> None:
    small = MeasuredRing(size=(420, 420), x=210, y=210, outer=150, inner=90, noise=0.0, body=120.0)
    image = np.hstack([small.draw(), small.draw()])
    cv2.circle(image, (420 + 210, 210 - 120), 8, 255, -1)
    cv2.circle(image, (210 + 120, 210), 8, 255, -1)
    parts = measure_parts(image, "image")
    seen = search()(image, "image", [part.ring for part in parts], ["", ""])
    assert [len(found) for found in seen.defects] == [1, 1]
    for part, (one,) in zip(parts, seen.defects, strict=True):
        assert part.ring.box.left <= one.region.left < part.ring.box.right


def test_binned_by_two_it_is_found_where_it_is() -> None:
    image, truth = painted([("circle", (250, 548, 40), 255)])
    rings = [part.ring for part in measure_parts(image, "image")]
    found = search(bin=2)(image, "image", rings, [""]).defects[0]
    one = max(found, key=lambda instance: instance.mask.sum())  # a pixel of the rim may have the other shade
    area = int(np.count_nonzero(one.mask))
    assert area == pytest.approx(
        truth[0].sum(), rel=0.12
    )  # pixels of the rim are grey after binning, and this detector knows white alone
    assert (one.region.left + one.region.right) / 2 == pytest.approx(250, abs=2)


@pytest.mark.parametrize("length", [100, 400, 401, 900, 1393])
def test_tiles_cover_an_axis_evenly(length: int) -> None:
    places = starts(length, 400, 64)
    if length <= 400:
        assert len(places) == 1
        assert places[0] <= 0
        assert places[0] + 400 >= length
        return
    assert (places[0], places[-1] + 400) == (0, length)
    assert all(second - first <= 400 - 64 for first, second in itertools.pairwise(places))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A Mask R-CNN that has hardly learned from tiles of a few rings, and the rings."""
    root = tmp_path_factory.mktemp("rings")
    for number in range(12):
        ring = MeasuredRing(size=(240, 240), x=120, y=120, outer=95, inner=50, body=110.0, seed=number)
        image = ring.draw()
        folder = "model1defect2" if number % 2 else "model1good"
        path = root / "raw" / "images" / folder / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            cv2.circle(image, (120 + 72, 120), 9, 255, -1)
            corners = [{"x": 192 + x, "y": 120 + y} for x, y in ((-9, -9), (9, -9), (9, 9), (-9, 9))]
            label = root / "raw" / "labels" / folder / f"{number:02}_mask.json"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(json.dumps({"polygons": [{"points": corners}]}), encoding="utf-8")
        assert cv2.imwrite(str(path), image)
    shares = ["calibration_share=0.34", "test_share=0.34", "tile=160", "overlap=40", "margin=8"]
    assert main(["prepare", "oring", f"source={root / 'raw'}", f"out={root / 'tiles'}", *shares]) == 0
    keys = ["data=oring", f"data.root={root / 'tiles'}", "data.image_size=[160,160]", "data.batch_size=4",
            "data.num_workers=0", "model=mask_rcnn", "model.limit=5", "model.score_threshold=0.0",
            "model.proposals=20", "callbacks.evaluation.atlas=0",
            "trainer=cpu", "trainer.max_epochs=1", "report=false", "callbacks.evaluation.resamples=20",
            f"out={root}", "name=runs", "id=one"]  # fmt: skip
    assert main(["train", *keys]) == 0
    return root / "runs" / "one", root / "raw" / "images"


def test_one_call_gives_parts_defects_and_states_that_agree(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, source = trained
    out = tmp_path / "out"
    keys = ["threshold=0.02", "acceptance=oring_rework"]
    assert main(["predict", "line=oring", f"run={run}", f"source={source}", f"out={out}", *keys]) == 0
    parts = pd.read_csv(out / "parts.csv")
    instances = pd.read_csv(out / "instances.csv")
    assert len(parts) == 12
    assert len(instances) > 0, "a threshold so low lets anything pass"
    counts = instances.groupby("image").size()
    assert (parts["defects"].to_numpy() == parts["image"].map(counts).fillna(0).to_numpy()).all()
    assert ((parts["verdict"] == "defective") == (parts["defects"] > 0)).all()
    assert (parts.loc[parts["defects"] > 0, "accepted"] == "rejected").all()
    coco = COCO(str(out / "instances.json"))
    for entry, row in zip(coco.loadAnns(coco.getAnnIds()), instances.to_dict("records"), strict=True):
        mask = coco.annToMask(entry)
        assert mask.shape == (240, 240)
        assert mask.sum() == row["area"] == entry["area"]
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert entry["bbox"] == [columns[0], rows[0], len(range(columns[0], columns[-1] + 1)), rows[-1] - rows[0] + 1]
        filled = np.zeros((240, 240), np.uint8)
        for ring in entry["outline"]:
            corners = np.array(ring).reshape(-1, 2)
            low, high = corners.min(axis=0), corners.max(axis=0)
            assert low[0] >= columns[0]
            assert high[1] <= rows[-1] + 1
            cv2.fillPoly(filled, [corners.astype(np.int32)], 1)
        assert not (mask > filled).any()
        area = parts.set_index("image").loc[row["image"], "area"]
        assert row["area_percent"] == pytest.approx(100 * row["area"] / area, rel=1e-3)
    assert all((out / "overlays" / folder).is_dir() for folder in ("model1good", "model1defect2"))


def test_plain_prediction_lists_the_same_instances_everywhere(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, source = trained
    out = tmp_path / "out"
    keys = ["image_threshold=0.02", "overlay=all"]
    assert main(["predict", f"run={run}", f"source={source / 'model1defect2'}", f"out={out}", *keys]) == 0
    predictions, instances = pd.read_csv(out / "predictions.csv"), pd.read_csv(out / "instances.csv")
    defects = pd.read_csv(out / "defects.csv")
    assert len(instances) > 0
    assert set(instances["image_path"]) == set(predictions.loc[predictions["verdict"] == "defective", "image_path"])
    assert (instances["area"] > 0).sum() == len(defects)
    assert sorted(instances["area"]) == pytest.approx(sorted(defects["area"]), rel=0.1, abs=8)  # 240 of 160 pixels
    coco = COCO(str(out / "instances.json"))
    for entry in coco.loadAnns(coco.getAnnIds()):
        assert coco.annToMask(entry).sum() == entry["area"]
    drawn = cv2.imread(str(out / "overlays" / "01.png.jpg"))
    assert drawn is not None
    assert drawn.shape == (240, 240, 3)


def test_a_model_of_another_type_does_not_look(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, source = trained
    out = tmp_path / "out"
    keys = [f"run={{model2: '{run}'}}", "acceptance=oring_rework", "overlay=none", "page=false"]
    assert main(["predict", "line=oring", f"source={source}", f"out={out}", *keys]) == 0
    parts = pd.read_csv(out / "parts.csv")
    assert parts["defects"].isna().all()
    assert set(parts["accepted"]) == {"unknown"}, "what nobody looked at did not pass"


def test_run_and_bundle_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write = tmp_path / "a.png"
    assert cv2.imwrite(str(write), RING.draw())
    assert main(["predict", "line=oring", "run=a", "bundle=b", f"source={write}", f"out={tmp_path / 'out'}"]) == 2
    assert "Expected run or bundle, but found both" in capsys.readouterr().err
