"""``loupe predict line=metallography``: from scans, by two trained runs, to masks, areas and grains."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from skimage.morphology import skeletonize

from callbacks.grains.closing import grains_of_lines
from callbacks.grains.counting import intercepts
from models.components.micrograph import analyse
from models.components.scan_tiles import ScanTiles
from tools.cli import main as loupe
from tools.lines.metallography import read_scan, stage_of
from tools.predict import main
from tools.runner import Bundle
from tools.runs.checkpoint import read_checkpoint, restore

if TYPE_CHECKING:
    from pathlib import Path

Grey = npt.NDArray[np.uint8]

SIDE = 64
TINY = ["model=unet", "model.width=4", "model.depth=2", "model.learning_rate=0.02", "data.image_size=[64,64]"]
TINY += ["data.square=64", "data.batch_size=2", "data.defects_in_train=true", "data.num_workers=0"]
TINY += ["trainer.max_epochs=25", "trainer.accelerator=cpu", "report=false"]
QUICK = ["data.num_workers=0", "report=false", "callbacks.evaluation.resamples=20"]


def draw(seed: int, height: int, width: int) -> tuple[Grey, Grey, Grey]:
    """Draw grains with dark boundaries and darker inclusions; return the scan and both masks, white on black."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(-10, max(height, width) + 10, (height * width // 300, 2))
    row, column = np.mgrid[:height, :width]
    nearest = np.hypot(row[..., None] - place[:, 0], column[..., None] - place[:, 1]).argmin(axis=2)
    line = np.zeros((height, width), bool)
    line[:, 1:] |= nearest[:, 1:] != nearest[:, :-1]
    line[1:] |= nearest[1:] != nearest[:-1]
    scan = rng.integers(140, 200, len(place))[nearest] + rng.normal(0, 4, (height, width))
    scan[line] = 90
    spots = np.zeros((height, width), np.uint8)
    for _ in range(height * width // 1000):
        at = int(rng.integers(width)), int(rng.integers(height))
        half = int(rng.integers(2, 5)), int(rng.integers(2, 4))
        cv2.ellipse(spots, at, half, float(rng.integers(180)), 0, 360, 255, -1)
    scan[spots > 0] = 20
    return scan.clip(0, 255).astype(np.uint8), spots, line.astype(np.uint8) * 255


def write(path: Path, values: Grey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two tiny runs, of inclusions and of boundaries."""
    root = tmp_path_factory.mktemp("metallography")
    for seed in range(24):
        scan, spots, line = draw(seed, SIDE, SIDE)
        for kind, mask in (("inclusions", spots), ("boundaries", line)):
            write(root / kind / "images" / f"{seed}-0.png", scan)
            write(root / kind / "masks" / f"{seed}-0.png", mask)
    found = []
    for kind in ("inclusions", "boundaries"):
        words = [f"data.root={root / kind}", f"out={root / 'runs'}", "name=tiny", f"id={kind}"]
        assert loupe(["train", "data=metallography", *words, *TINY]) == 0
        found.append(root / "runs" / "tiny" / kind)
    return found[0], found[1]


def test_a_scan_goes_through_the_chain(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = {}
    for index, (height, width) in enumerate(((150, 203), (97, 130))):  # no side is a multiple of anything
        drawn[f"scan {index}"] = draw(100 + index, height, width)
        write(tmp_path / "scans" / f"scan {index}.png", drawn[f"scan {index}"][0])
    (tmp_path / "scans" / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out"
    command = ["line=metallography", f"source={tmp_path / 'scans'}", f"out={out}", "um_per_pixel=0.5", "errors=ok"]
    assert main([*command, f"inclusions={runs[0]}", f"boundaries={runs[1]}"]) == 0
    for name, (scan, spots, line) in drawn.items():
        mask = cv2.imread(str(out / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        inpainted = cv2.imread(str(out / "inpainted" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        boundary = cv2.imread(str(out / "boundaries" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        assert inpainted is not None
        assert boundary is not None
        assert mask.shape == inpainted.shape == boundary.shape == scan.shape
        assert set(np.unique(mask)) == set(np.unique(boundary)) == {0, 255}
        both = int(((mask > 0) & (spots > 0)).sum())
        assert 2 * both / ((mask > 0).sum() + (spots > 0).sum()) > 0.8
        assert scan[spots > 0].mean() < 25
        assert inpainted[spots > 0].mean() > 80
        thin = skeletonize(boundary > 0)  # type: ignore[no-untyped-call]  # the library has no annotations
        assert (thin == (boundary > 0)).all()  # one pixel wide
        near = cv2.dilate(line, np.ones((5, 5), np.uint8)) > 0
        assert near[boundary > 0].mean() > 0.9
        assert cv2.dilate(boundary, np.ones((5, 5), np.uint8))[line > 0].mean() > 0.8 * 255
    grains = json.loads((out / "grains.json").read_text())
    assert set(grains["images"]) == set(drawn)
    drawn_px = intercepts(grains_of_lines(drawn["scan 0"][2] > 0)).mean()
    assert grains["images"]["scan 0"]["mean_intercept_px"] == pytest.approx(drawn_px, rel=0.2)
    number = -6.643856 * np.log10(grains["images"]["scan 0"]["mean_intercept_px"] * 0.5e-3) - 3.2877
    assert grains["images"]["scan 0"]["G_heyn"] == pytest.approx(number)
    objects = pd.read_csv(out / "objects.csv")
    assert list(objects.columns) == ["map", "x", "y", "area", "spatial", "shape", "combined", "area_id"]
    assert set(objects["map"]) == set(drawn)
    assert pd.read_csv(out / "areas.csv")["area_id"].min() == 1
    assert "broken.png" in (out / "errors.csv").read_text()
    page = (out / "scans" / "scan 0.html").read_text()
    assert "boundaries" in page
    assert "Sizes of grains" in page
    assert "intercept, px" in capsys.readouterr().out


def test_a_run_that_cannot_be_used_is_refused(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.png", draw(1, 70, 70)[0])
    command = ["line=metallography", f"source={tmp_path / 'a.png'}", f"inclusions={tmp_path}", f"boundaries={runs[1]}"]
    assert main([*command, f"out={tmp_path / 'out'}"]) == 2
    assert "Expected run to be the folder of a run" in capsys.readouterr().err
    command = ["line=metallography", f"source={tmp_path / 'a.png'}", f"boundaries={runs[1]}"]
    assert main([*command, f"out={tmp_path / 'out2'}"]) == 2
    assert "inclusions" in capsys.readouterr().err


SIZES = ((150, 203), (97, 130), (210, 260), (64, 64), (210, 260), (97, 130), (150, 203), (90, 64))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of several sizes, the largest of more pixels than eight tiles of 64, with their boundaries."""
    root = tmp_path_factory.mktemp("scans")
    for seed, size in enumerate(SIZES):
        scan, _, line = draw(200 + seed, *size)
        write(root / "images" / f"{seed}.png", scan)
        write(root / "masks" / f"{seed}.png", line)
    return root


def test_both_runs_are_one_model_in_test_predict_and_bundle(
    runs: tuple[Path, Path], scans: Path, tmp_path: Path
) -> None:
    words = ["model=metallography", f"model.inclusions={runs[0]}", f"model.boundaries={runs[1]}", "model.tile=64"]
    words += ["data=metallography", f"data.root={scans}", "data.square=null", "data.marks=boundary", "trainer=cpu"]
    assert loupe(["train", *words, *QUICK, f"out={tmp_path}", "name=chain", "id=run"]) == 0
    run = tmp_path / "chain" / "run"
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert metrics["boundary_f1"]["value"] > 0.8
    first, second = (stage_of(str(path), "run") for path in runs)
    for path in runs:
        path.rename(path.with_name(f"{path.name}_away"))  # the chain holds all that it needs
    try:
        assert loupe(["export", f"run={run}", "pictures=2", "samples=1"]) == 0
        scores = []
        for who in (f"run={run}", f"bundle={run / 'bundle'}"):
            out = tmp_path / who.partition("=")[0]
            assert loupe(["predict", who, f"source={scans / 'images'}", f"out={out}", "mask=all"]) == 0
            scores.append(pd.read_csv(out / "predictions.csv"))
    finally:
        for path in runs:
            path.with_name(f"{path.name}_away").rename(path)
    np.testing.assert_allclose(scores[0]["score"], scores[1]["score"], rtol=1e-4)
    assert json.loads((run / "bundle" / "parity.json").read_text())["passed"]
    module = restore(read_checkpoint(run / "checkpoints" / "best.ckpt")).eval()
    bundle = Bundle(run / "bundle")
    threshold = bundle.decision.pixel["all"]
    for seed, size in enumerate(SIZES):  # by model and bundle, every scan is judged as the line judges it
        path = scans / "images" / f"{seed}.png"
        line = analyse(read_scan(path), first, second, tiles=ScanTiles(size=64)).boundary_logit_HW
        by_bundle = bundle(path)
        with torch.inference_mode():
            found, _ = module.predict(torch.from_numpy(by_bundle.input_3HW)[None])
        assert found.anomaly_map is not None
        for map_HW in (found.anomaly_map[0].numpy(), by_bundle.anomaly_map):
            assert map_HW is not None
            assert map_HW.shape == size
            np.testing.assert_allclose(map_HW, line, rtol=1e-3, atol=1e-3)
            assert ((map_HW >= threshold) == (line >= threshold)).mean() > 0.9999
