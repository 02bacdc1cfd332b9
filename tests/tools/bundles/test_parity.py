"""The gate: what is planted in a bundle is caught, and named by its stage and its image."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from callbacks.decisions.calibration import calibration_of
from datamodules.files.images import read_image
from models.components.scan_tiles import WHOLE, ScanTiles
from tools.bundles.calibration_images import find_calibration_images
from tools.bundles.challenges import HUGE, huge_for, write_challenges
from tools.bundles.compared_images import ComparedImage, images_of_calibration, images_of_challenges
from tools.bundles.parity import DECIDED, ParityError, compare, conclude, decides_inside, map_error, require_parity
from tools.bundles.shipping import write_checksums
from tools.bundles.stages import compare_inputs, compare_pixels, compare_plain, relative
from tools.runs.checkpoint import read_checkpoint, restore

if TYPE_CHECKING:
    from pathlib import Path

    from models.base import InspectionModel
    from tools.runs.trained import Trained

IMAGES = "datamodules/files/images.py"
FITTING = "datamodules/files/fitting.py"


@pytest.fixture(scope="module")
def module(trained: Trained) -> InspectionModel:
    return restore(read_checkpoint(trained.checkpoint)).eval()


@pytest.fixture(scope="module")
def images(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> list[ComparedImage]:
    folder = tmp_path_factory.mktemp("cases")
    datamodule = find_calibration_images(trained).datamodule
    names = {"odd.png", "checkered.png", "colours.png", "colour_16.png", "cut.png"}
    challenges = [path for path in write_challenges(folder / "challenges") if path.name in names]
    return images_of_calibration(datamodule, 6, folder / "views") + images_of_challenges(challenges, datamodule.reading)


def gate(module: InspectionModel, bundle: Path, images: list[ComparedImage]) -> dict[str, Any]:
    write_checksums(bundle)
    return conclude(compare(module, bundle, images))


def keep_one_form(bundle: Path) -> dict[str, Any]:
    """One runtime is enough to plant a fault in."""
    spec: dict[str, Any] = json.loads((bundle / "spec.json").read_text())
    spec["forms"] = spec["forms"][:1]
    (bundle / "spec.json").write_text(json.dumps(spec))
    return spec


def plant(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path.name} has changed: plant the fault elsewhere"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_honest_bundle_passes(module: InspectionModel, bundle: Path, images: list[ComparedImage]) -> None:
    parity = gate(module, bundle, images)
    require_parity(parity, bundle)
    assert {form["form"] for form in parity["forms"]} == {"onnxruntime fp32", "openvino fp32"}
    for form in parity["forms"]:
        assert form["pictures"] == len(images) - 1  # one is refused on both sides
        assert form["score_error"] < 1e-5
        assert form["map_error"] < 1e-4
        assert not form["flips"]


@pytest.mark.parametrize(
    ("file", "old", "new", "stage"),
    [
        (IMAGES, "interpolation=cv2.INTER_AREA", "interpolation=cv2.INTER_LINEAR", "resize"),  # no antialias
        (FITTING, "rgb.transpose(2, 0, 1)", "rgb.transpose(2, 0, 1)[::-1]", "colour order"),
        (IMAGES, "return np.ascontiguousarray(array[..., 2::-1])", "return array[..., :3]", "colour order"),
        (IMAGES, "ImageOps.exif_transpose(image, in_place=True)", "image = image.rotate(180)", "reading"),
        ("network.py", "session.run(names, inputs)", "session.run(names, {'image': inputs['image'] * 0.99})", "graph"),
        (
            "network.py",
            "session.run(names, inputs)",
            "session.run(names, {'image': np.ascontiguousarray(inputs['image'][:, ::-1])})",
            "colour order",
        ),
    ],
)
def test_a_planted_change_is_named(
    module: InspectionModel, bundle: Path, images: list[ComparedImage], file: str, old: str, new: str, stage: str
) -> None:
    keep_one_form(bundle)
    plant(bundle / "loupe_runner" / file, old, new)
    parity = gate(module, bundle, images)
    assert not parity["passed"]
    assert parity["stages"][0]["stage"] == stage
    with pytest.raises(ParityError, match=f"they part at {stage}, .*worst: {parity['stages'][0]['worst']}"):
        require_parity(parity, bundle / "parity.json")


@pytest.mark.parametrize("level", ["image", "pixel"])
def test_a_rounded_threshold_is_named(
    module: InspectionModel, bundle: Path, images: list[ComparedImage], level: str
) -> None:
    spec = keep_one_form(bundle)
    exact = spec["thresholds"][level]["all"]["value"]
    spec["thresholds"][level]["all"]["value"] = round(exact, 2)
    (bundle / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(ParityError, match=rf"part at thresholds, .*{level}\.all\.value is {round(exact, 2)}"):
        require_parity(gate(module, bundle, images), bundle)


def test_a_checkpoint_with_another_threshold_is_another_checkpoint(
    module: InspectionModel, bundle: Path, images: list[ComparedImage]
) -> None:
    assert conclude(compare(module, bundle, images[:1]))["passed"]
    summary = calibration_of(module).summary()
    assert json.loads((bundle / "spec.json").read_text())["thresholds"] == summary


def test_pixels_are_compared_exactly() -> None:
    values = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert compare_pixels(values, values.copy()) is None
    for found, stage in ((values[..., ::-1], "colour order"), (values + 1, "reading"), (values[:2], "reading")):
        difference = compare_pixels(values, found)
        assert difference is not None
        assert difference.stage == stage


def test_inputs_are_compared_exactly() -> None:
    values = np.random.default_rng(0).random((3, 4, 4)).astype(np.float32)
    assert compare_inputs(values, values.copy()) is None
    for found, stage in (
        (values[::-1], "colour order"),
        (np.nextafter(values, 1), "resize"),
        (values[:, :2], "resize"),
    ):
        difference = compare_inputs(values, found)
        assert difference is not None
        assert difference.stage == stage


def test_plain_values_are_named_by_their_place() -> None:
    expected = {"a": {"b": [1.0, 2.0]}, "c": None}
    assert compare_plain(expected, {"a": {"b": [1.0, 2.0]}, "c": None}) == []
    assert compare_plain(expected, {"a": {"b": [1.0, 2.1]}}) == [
        "a.b[1] is 2.1 in the bundle, but 2.0 in the checkpoint",
    ]
    assert compare_plain({"a": 1}, {}) == ["a is None in the bundle, but 1 in the checkpoint"]


def test_errors_are_shares_of_the_range() -> None:
    assert relative(0.1, 10, 12, 11) == pytest.approx(0.05)
    assert relative(0.1, 10, 12, 20) == pytest.approx(0.01)  # beyond the range: widened to the image's own
    assert relative(0.0, 1, 1, 1) == 0
    assert relative(0.1, 10, 10, 10) == pytest.approx(0.1)  # no range at all


def test_only_chains_that_mark_first_may_differ_near_a_threshold() -> None:
    assert decides_inside({"kind": "chain", "marks": "boundary"})
    assert not decides_inside({"kind": "chain", "marks": "inclusion"})
    assert not decides_inside({"kind": "single"})


def test_a_map_error_leaves_out_no_more_than_what_lies_near_a_threshold() -> None:
    expected_HW = np.zeros((100, 100), np.float32)
    found_HW = expected_HW.copy()
    found_HW[10:42, 10:42], found_HW[50, 50] = 5.0, 2.0
    assert map_error(expected_HW, found_HW, 0.0) == 5.0
    assert map_error(expected_HW, found_HW, DECIDED) == 2.0
    found_HW[50, 50] = 0.0
    assert map_error(expected_HW, found_HW, DECIDED) == 0.0
    assert map_error(expected_HW[:8, :8], found_HW[10:18, 10:18], DECIDED) == 5.0
    found_HW[9, 9] = np.nan
    assert np.isnan(map_error(expected_HW, found_HW, DECIDED))


@pytest.mark.parametrize("side", [64, 100, 512])
def test_where_scans_keep_their_size_the_largest_challenge_is_just_large_enough_for_tiles(
    side: int, tmp_path: Path
) -> None:
    tiles = [ScanTiles(size=side), ScanTiles(size=64, multiple=32)]
    chain = {"kind": "chain", "stages": [{"scans": asdict(scan)} for scan in tiles]}
    huge = huge_for(chain, own_sizes=True)
    assert [scan.given(*huge) for scan in tiles] == [(scan.side, scan.side) for scan in tiles]  # cut by both
    assert huge[0] * huge[1] < 1.25 * WHOLE * side**2
    assert huge_for(chain, own_sizes=False) == huge_for({"kind": "plain"}, own_sizes=True) == HUGE
    if side == 64:
        (drawn,) = (path for path in write_challenges(tmp_path, huge=huge) if path.stem == "huge")
        assert read_image(drawn).shape[:2] == huge
