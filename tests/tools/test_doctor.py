"""The doctor through its door: what is planted is found, and a clean set passes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def plate(seed: int, *, pit: bool) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A textured plate of 96x80 pixels, with a pit that leaves its brightness as it was, and the pit's mask."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.normal(0, 60, (96, 80)), (0, 0), 3)
    values = 110 + rng.uniform(1, 5) * texture + rng.normal(0, rng.uniform(2, 8), (96, 80)) + rng.normal(0, 6)
    mask = np.zeros((96, 80), np.uint8)
    if pit:
        cv2.circle(mask, (int(rng.integers(20, 60)), int(rng.integers(20, 76))), 7, 255, -1)
        values[mask > 0] += 80
        values -= 80 * float((mask > 0).mean())
    return values.clip(0, 255).astype(np.uint8), mask


def save(path: Path, values: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """A clean set in the layout of MVTec AD: 24 good plates, 16 with a pit and its mask, no two alike."""
    root = tmp_path / "plates"
    for index in range(24):
        save(root / ("train" if index < 14 else "test") / "good" / f"g{index:02}.png", plate(index, pit=False)[0])
    for index in range(100, 116):
        values, mask = plate(index, pit=True)
        save(root / "test" / "pit" / f"p{index}.png", values)
        save(root / "ground_truth" / "pit" / f"p{index}_mask.png", mask)
    return root


def examine(root: Path, *overrides: str) -> dict[str, Any]:
    """Run the doctor, and return its JSON."""
    out = root.parent / "runs"
    common = [f"data.root={root}", f"out={out}", "id=x", "name=doctor"]
    assert main(["doctor", "data=folder", *common, *overrides]) == 0
    name = next((one.removeprefix("name=") for one in overrides if one.startswith("name=")), "doctor")
    result: dict[str, Any] = json.loads((out / name / "x" / "doctor.json").read_text(encoding="utf-8"))
    return result


def found(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["key"]: one for one in result["findings"]}


def test_a_clean_set_has_no_problem(plates: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = examine(plates, "data.calibration_from=test")
    assert [one["key"] for one in result["findings"] if one["level"] != "note"] == []
    assert result["counts"]["By split"]["train"]["good"] == 14
    shown = capsys.readouterr().out
    assert "40 pictures examined: fit to train on." in shown
    assert "Page " in shown


def test_a_near_duplicate_across_splits_is_found(plates: Path) -> None:
    values = cv2.imread(str(plates / "train" / "good" / "g03.png"), cv2.IMREAD_GRAYSCALE)
    assert values is not None
    brighter = (1.05 * values + 5).clip(0, 255).astype(np.uint8)
    assert cv2.imwrite(str(plates / "test" / "good" / "again.jpg"), brighter, [cv2.IMWRITE_JPEG_QUALITY, 90])
    one = found(examine(plates))["near_duplicates"]
    assert one["level"] == "problem"
    assert one["names"] == ["test/good/again.jpg ~ train/good/g03.png"]


def test_copies_across_splits_and_contradicting_labels_are_found(plates: Path) -> None:
    data = (plates / "train" / "good" / "g05.png").read_bytes()
    (plates / "test" / "pit" / "copy.png").write_bytes(data)
    result = found(examine(plates))
    assert result["copies"]["level"] == "problem"
    assert result["copies"]["names"] == ["test/pit/copy.png = train/good/g05.png"]
    assert result["contradictions"]["level"] == "problem"
    assert result["contradictions"]["count"] == 1


def test_tiles_of_one_picture_in_two_splits_are_found(plates: Path) -> None:
    for index in range(4):
        split = "train" if index < 2 else "test"
        save(plates / split / "good" / f"sheet7_{index},1.png", plate(50 + index, pit=False)[0])
    one = found(examine(plates))["tile_leak"]
    assert one["level"] == "problem"
    assert one["names"] == ["sheet7"]


def test_inverted_shifted_empty_and_misfitting_masks_are_found(plates: Path) -> None:
    masks = plates / "ground_truth" / "pit"
    for name, change in {
        "p101": lambda mask: 255 - mask,
        "p102": lambda mask: np.roll(mask, (12, -14), (0, 1)),
        "p103": lambda mask: 0 * mask,
        "p104": lambda mask: mask[:50],
    }.items():
        path = masks / f"{name}_mask.png"
        save(path, change(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))  # type: ignore[no-untyped-call]  # a lambda
    result = examine(plates)
    assert found(result)["inverted_masks"]["names"] == ["test/pit/p101.png"]
    assert found(result)["shifted_masks"]["names"] == ["test/pit/p102.png"]
    assert found(result)["unusable_masks"]["count"] == 2
    assert {re.sub(r".*/", "", one["path"]) for one in result["excluded"]} == {"p103_mask.png", "p104_mask.png"}


def test_a_brightness_shortcut_is_found_either_way(plates: Path) -> None:
    for path in (plates / "test" / "pit").iterdir():
        values = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert values is not None
        save(path, (0.6 * values).astype(np.uint8))
    result = examine(plates)
    assert found(result)["shortcuts"]["level"] == "problem"
    measured = {one["measure"]: one for one in result["shortcuts"]["test split"]}
    assert measured["brightness"]["auroc"] <= 0.05
    assert measured["brightness"]["separates"]


def test_twelve_bits_in_sixteen_are_found_and_mended(plates: Path) -> None:
    for path in plates.glob("t*/*/*.png"):
        values = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert values is not None
        save(path, values.astype(np.uint16) * 16)
    one = found(examine(plates))["bit_depth"]
    assert "data.white_level=4095" in one["advice"]
    assert "bit_depth" not in found(examine(plates, "data.white_level=4095", "name=again"))


def test_sequences_told_by_names_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in range(6):
        scene = 110 + 4 * cv2.GaussianBlur(np.random.default_rng(part).normal(0, 60, (96, 80)), (0, 0), 3)
        for shot in range(5):
            own = cv2.GaussianBlur(rng.normal(0, 60, (96, 80)), (0, 0), 3)
            label = "good" if shot < 4 else "pit"
            save(tmp_path / "seq" / label / f"p{part}_{shot}.png", (scene + own).clip(0, 255).astype(np.uint8))
    one = found(examine(tmp_path / "seq"))["undeclared_groups"]
    assert one["names"] == [f"p{part}" for part in range(6)]


def test_unreadable_files_are_listed_and_the_page_stands_alone(plates: Path) -> None:
    (plates / "train" / "good" / "<b>broken.png").write_bytes(b"no picture")
    result = examine(plates)
    assert found(result)["left_out"]["count"] == 1
    page = (plates.parent / "runs" / "doctor" / "x" / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "<b>broken" not in page
    assert page.count("<img ") >= 18


@pytest.mark.parametrize("root", ["/no/such/folder", "empty"])
def test_data_that_cannot_be_read_at_all_exits_1(root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if root == "empty":
        (tmp_path / "good").mkdir()
        (tmp_path / "good" / "a.png").write_bytes(b"")
        root = str(tmp_path)
    assert main(["doctor", "data=folder", f"data.root={root}", f"out={tmp_path / 'runs'}"]) == 1
    assert "loupe doctor: Expected" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["print3d", "benchmark/screw"])
def test_brightness_separates_real_sets(shared_data: Path, folder: str, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    root = shared_data / folder
    assert main(["doctor", "data=folder", f"data.root={root}", f"out={out}", "id=x", "data.limit=60"]) == 0
    result = json.loads((out / "folder-doctor" / "x" / "doctor.json").read_text(encoding="utf-8"))
    assert found(result)["shortcuts"]["title"].startswith("Brightness")
    best = max(max(one["auroc"], 1 - one["auroc"]) for ones in result["shortcuts"].values() for one in ones)
    assert best >= 0.95


def test_the_wear_sequences_of_the_spindle_are_groups(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    root = shared_data / "oring" / "spindle"
    assert main(["doctor", "data=oring", f"data.root={root}", f"out={out}", "id=x", "data.limit=60"]) == 0
    result = json.loads((out / "oring-doctor" / "x" / "doctor.json").read_text(encoding="utf-8"))
    assert found(result)["groups"]["count"] == 9
    assert "would cut 9 of them" in found(result)["groups"]["found"]
