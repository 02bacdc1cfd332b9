"""``loupe prepare oring``: tiles, COCO labels and splits, held against pycocotools."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from datamodules.oring import OringDataModule
from datamodules.outlines.classes import DEFECT
from datamodules.prepare.oring_tiles import OringTiles
from datamodules.prepare.tiling import even_background, find_part, tiles_of
from datamodules.synthetic import DOMAINS, Order, defective_image, good_image
from datamodules.table import DEFECTIVE, GOOD, SPLITS, TEST, TRAIN, UNKNOWN
from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and numpy 2
SIZE, TILE, OVERLAP = 320, 128, 20


def draw(root: Path, folder: str, name: str, order: Order) -> None:
    drawing = DOMAINS["oring"].draw(order.identity, SIZE, order.defect, order.severity)
    path = root / "images" / folder / f"{name}.bmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(drawing.image, cv2.COLOR_RGB2BGR))
    if order.defect:
        polygons = [{"points": [{"x": float(x), "y": float(y)} for x, y in ring]} for ring in drawing.polygons]
        label = root / "labels" / folder / f"{name}_mask.json"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(json.dumps({"polygons": polygons}), encoding="utf-8")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good and six defective rings, one called rework, and three files that cannot be used."""
    root = tmp_path_factory.mktemp("raw rings")
    for number in range(6):
        draw(root, "model1good", f"{number:03}", good_image("oring", 1, number))
        draw(root, "model1defect", f"{number:03}", defective_image("oring", 1, number))
    draw(root, "model1rework", "000", good_image("oring", 1, 7))
    (root / "images" / "model1good" / "broken.bmp").write_bytes(b"BM")
    draw(root, "model1defect", "unlabelled", good_image("oring", 1, 8))
    draw(root, "model1defect", "stray click", good_image("oring", 1, 9))
    click = {"polygons": [{"points": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}]}
    (root / "labels" / "model1defect" / "stray click.json").write_text(json.dumps(click), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def prepared(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared rings") / "a"
    assert main(["prepare", "oring", *keys(source, out)]) == 0
    return out


def keys(source: Path, out: Path) -> list[str]:
    shares = ["calibration_share=0.3", "test_share=0.3"]
    return [f"source={source}", f"out={out}", f"tile={TILE}", f"overlap={OVERLAP}", "margin=8", *shares]


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def load(out: Path, split: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "annotations" / f"{split}.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("split", SPLITS)
def test_pycocotools_agrees_on_every_area_and_box(prepared: Path, split: str) -> None:
    coco = COCO(str(prepared / "annotations" / f"{split}.json"))
    assert coco.anns
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        ys, xs = np.nonzero(mask)
        assert annotation["area"] == mask.sum() > 0
        box = [xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()]
        assert annotation["bbox"] == box
    for image in coco.imgs.values():
        values = cv2.imread(str(prepared / "images" / split / image["file_name"]))
        assert values is not None
        assert values.shape == (TILE, TILE, 3) == (image["height"], image["width"], 3)
        assert (image["label"] == "defective") == bool(coco.getAnnIds(imgIds=image["id"]))


def test_a_parts_tiles_stay_in_one_split(prepared: Path) -> None:
    splits: dict[str, set[str]] = {}
    for split in SPLITS:
        for image in load(prepared, split)["images"]:
            splits.setdefault(image["group"], set()).add(split)
    assert len(splits) == 13
    assert all(len(some) == 1 for some in splits.values())


def test_tiles_show_their_part_of_the_picture_and_cover_every_outline(prepared: Path, source: Path) -> None:
    """Around the ring, pixels are the image's own; clipped outlines put together fill what the whole ones fill."""
    for split in SPLITS:
        content = load(prepared, split)
        coco = COCO(str(prepared / "annotations" / f"{split}.json"))
        whole: dict[str, Any] = {}
        for image in content["images"]:
            stem = image["file_name"].rsplit("_y", 1)[0]
            values = cv2.imread(str(source / "images" / f"{stem}.bmp"))
            tile = cv2.imread(str(prepared / "images" / split / image["file_name"]))
            assert values is not None
            assert tile is not None
            x, y = image["x"], image["y"]
            original = values[y : y + TILE, x : x + TILE]
            dark = cv2.erode((original.max(axis=2) < 60).astype(np.uint8), np.ones((3, 3))) > 0
            np.testing.assert_array_equal(tile[dark], original[dark])
            covered = whole.setdefault(stem, np.zeros((SIZE, SIZE), dtype=bool))
            for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
                covered[y : y + TILE, x : x + TILE] |= coco.annToMask(annotation).astype(bool)
        for stem, covered in whole.items():
            if not stem.startswith("model1defect"):
                assert not covered.any()
                continue
            polygons = json.loads((source / "labels" / f"{stem}_mask.json").read_text(encoding="utf-8"))["polygons"]
            expected = np.zeros((SIZE, SIZE), dtype=np.uint8)
            for polygon in polygons:
                cv2.fillPoly(expected, [np.array([[p["x"], p["y"]] for p in polygon["points"]], dtype=np.int32)], 1)
            # OpenCV fills borders too, COCO half of them: they agree but for the pixels along the border.
            assert not (covered & (cv2.dilate(expected, np.ones((3, 3), np.uint8)) == 0)).any()
            assert not ((cv2.erode(expected, np.ones((3, 3), np.uint8)) > 0) & ~covered).any()


def test_what_cannot_be_used_is_named_with_a_remedy(prepared: Path) -> None:
    summary = json.loads((prepared / "dataset_summary.json").read_text(encoding="utf-8"))
    assert summary["complete"]
    assert summary["pictures"] == 13
    named = {(entry["path"], bool(entry["remedy"])) for entry in summary["left_out"]}
    assert {
        ("images/model1good/broken.bmp", True),
        ("images/model1defect/unlabelled.bmp", True),
        ("images/model1defect/stray click.bmp", True),
    } <= named
    assert str(prepared.parent) not in json.dumps(summary)
    tiles = sum(len(load(prepared, split)["images"]) for split in SPLITS)
    assert summary["tiles"] == tiles == len(list((prepared / "images").rglob("*.png")))
    assert tiles + sum(some["background_tiles_left_out"] for some in summary["splits"].values()) == 13 * 9


def test_the_datamodule_reads_it_back_with_its_splits(prepared: Path) -> None:
    data = OringDataModule(root=str(prepared), image_size=(TILE, TILE), num_workers=0, defects_in_train=True)
    data.setup()
    assert data.excluded.empty
    assert set(data.samples["kind"]) == {"model1"}
    for split in SPLITS:
        labels = [image["label"] for image in load(prepared, split)["images"]]
        rows = data.samples[data.samples["split"] == split]["label_index"]
        for name, index in (("good", GOOD), ("defective", DEFECTIVE), ("unknown", UNKNOWN)):
            assert labels.count(name) == (rows == index).sum(), (split, name)
    rework = data.samples[data.samples["label_index"] == UNKNOWN]
    assert set(rework["split"]) == {TEST}
    boxes = {tuple(annotation["bbox"]) for annotation in load(prepared, TRAIN)["annotations"]}
    read = {
        (x1, y1, x2 - x1, y2 - y1)
        for batch in data.train_dataloader()
        for target in batch.target
        for x1, y1, x2, y2 in target["boxes"].tolist()
        if (target["labels"] == DEFECT).all()
    }
    assert read == boxes


def test_a_second_run_gives_the_same_bytes(prepared: Path, source: Path, tmp_path: Path) -> None:
    before = contents(prepared)
    assert main(["prepare", "oring", *keys(source, prepared)]) == 0
    assert contents(prepared) == before
    assert main(["prepare", "oring", *keys(source, tmp_path / "b")]) == 0
    assert contents(tmp_path / "b") == before


def test_an_unfinished_folder_is_refused_and_can_be_repeated(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "c"
    out.mkdir()
    (out / "dataset_summary.json").write_text('{"prepared_by": "loupe prepare oring", "complete": false}')
    (out / "images" / "train").mkdir(parents=True)
    (out / "images" / "train" / "stale.png").write_bytes(b"")
    assert main(["train", "data=oring", f"data.root={out}", f"out={tmp_path / 'runs'}"]) == 1
    assert main(["prepare", "oring", *keys(source, out), "limit=2"]) == 0
    assert not (out / "images" / "train" / "stale.png").exists()


def test_folders_of_others_are_left_alone(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(source)
    (tmp_path / "thesis.tex").write_text("years of work")
    assert main(["prepare", "oring", *keys(source, tmp_path)]) == 1
    assert main(["prepare", "oring", *keys(source, source / "tiles")]) == 1
    assert main(["prepare", "oring", *keys(source, source)]) == 1
    assert capsys.readouterr().err.count("Expected") == 3
    assert contents(source) == before
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        ([], 2, "Expected one domain, but found none"),
        (["orings"], 2, "did you mean 'loupe prepare oring'?"),
        (["oring"], 2, "Expected a value for"),
        (["oring", "source=/no/such", "out=new", "tiel=3"], 2, "did you mean 'tile'?"),
        (["oring", "source=/no/such", "out=new", "tile=big"], 2, "to be a whole number"),
        (["oring", "source=/no/such", "out=new", "overlap=640"], 1, "overlap at least 0 and below tile"),
        (["oring", "source=/no/such", "out=new"], 1, "found none at /no/such"),
    ],
)
def test_mistakes_say_what_to_do(
    args: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", *args]) == status
    assert message in capsys.readouterr().err


def test_help_of_a_domain_lists_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "oring", "--help"]) == 0
    shown = capsys.readouterr().out
    for part in ("usage: loupe prepare oring", "source=(needed)", "tile=640", "overlap=100", "examples:"):
        assert part in shown
    assert main(["prepare", "oring", "--print", "source=a", "out=b"]) == 0
    assert "tile: 640" in capsys.readouterr().out


@pytest.mark.parametrize(("height", "width"), [(2048, 2448), (640, 640), (641, 700), (300, 2000), (100, 90)])
def test_tiles_cover_everything_and_overlap(height: int, width: int) -> None:
    tiles = tiles_of(height, width, 640, 100)
    seen = np.zeros((height, width), dtype=int)
    for tile in tiles:
        part = tile.cut(seen)
        assert part.shape == (min(640, height), min(640, width))
        part += 1
    assert seen.min() == 1
    for starts, length in ((sorted({tile.x for tile in tiles}), width), (sorted({tile.y for tile in tiles}), height)):
        assert all(640 - (b - a) >= 100 for a, b in itertools.pairwise(starts))
        assert len(starts) == max(1, -(-(length - 100) // 540))  # no more than it takes


@pytest.mark.parametrize("invert", [False, True])
def test_the_part_is_found_on_a_light_and_on_a_dark_table(invert: bool) -> None:
    for number in range(6):
        order = defective_image("oring", 2, number)
        drawing = DOMAINS["oring"].draw(order.identity, 400, order.defect, order.severity)
        grey = cv2.cvtColor(drawing.image, cv2.COLOR_RGB2GRAY).astype(np.uint8)
        part = find_part(255 - grey if invert else grey, margin=12)
        if order.defect != "deformation":  # of which the mask also holds the table where the ring should be
            assert part[drawing.mask].all()
        assert 0.1 < part.mean() < 0.7
        evened = even_background(drawing.image, part)
        np.testing.assert_array_equal(evened[part], drawing.image[part])
        assert np.ptp(evened[~part], axis=0).max() == 0


def test_a_picture_without_background_stays_whole() -> None:
    noise = np.random.default_rng(0).normal(120, 3, (200, 200)).clip(0, 255).astype(np.uint8)
    noise[:, 5:195] += 60
    assert find_part(noise, margin=4).all()


def test_wrong_arguments_are_refused_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="margin to be at least 0"):
        OringTiles(source="a", out="b", margin=-1)
