"""Whole runs through the door: files, numbers, reproducibility, hazards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tools.cli import main

SMALL = [
    "data.size=64",
    "data.image_size=[64,64]",
    "data.num_workers=0",
    "data.good=60",
    "data.defective=30",
    "backbone=resnet18",
    "backbone.weights=none",
    "callbacks.evaluation.resamples=50",
    "callbacks.evaluation.examples=2",
    "trainer=cpu",
]
FILES = (
    "config.yaml",
    "environment.json",
    "samples.csv",
    "excluded.csv",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "history.csv",
    "metrics.json",
    "predictions.csv",
    "sweep.csv",
    "pixel_sweep.csv",
    "calibration.json",
    "defects.csv",
    "defects.json",
    "marked_defects.csv",
    "report/index.html",
)


def train(out: Path, *overrides: str) -> Path:
    """Train through the door, on drawn images unless others are named; return the folder of the run."""
    named = any(option.startswith(("data=", "experiment=")) for option in overrides)
    before = set(out.glob("*/*/config.yaml"))
    assert main(["train", f"out={out}", *([] if named else ["data=synthetic"]), *overrides]) == 0
    (new,) = set(out.glob("*/*/config.yaml")) - before
    return new.parent


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Path:
    return train(tmp_path_factory.mktemp("runs"), *SMALL, f"data.root={drawn}")


def read_json(path: Path) -> dict[str, dict[str, dict[str, float | None]]]:
    values: dict[str, dict[str, dict[str, float | None]]] = json.loads(path.read_text(encoding="utf-8"))
    return values


def test_a_run_leaves_every_file(run: Path) -> None:
    for name in FILES:
        assert (run / name).stat().st_size > 0, name
    assert run.parent.name == "synthetic-fiber-patchcore"


def test_metrics_have_values_with_intervals(run: Path) -> None:
    metrics = read_json(run / "metrics.json")
    for name in ("image_auroc", "image_ap", "image_f1", "pixel_auroc", "pixel_ap", "pixel_f1", "pixel_aupro_0.3"):
        entry = metrics["test"][name]
        low, value, high = entry["low"], entry["value"], entry["high"]
        assert low is not None
        assert value is not None
        assert high is not None
        assert 0 <= low <= value <= high <= 1, name
    assert set(metrics["baseline"]) >= {"image_auroc", "separability"}


def test_the_run_finds_gross_defects(run: Path) -> None:
    samples = pd.read_csv(run / "samples.csv")
    predictions = pd.read_csv(run / "predictions.csv").merge(samples[["name", "severity"]], on="name")
    good = predictions.loc[predictions["label_index"] == 0, "score"]
    gross = predictions.loc[predictions["severity"] > 0.6, "score"]
    assert len(gross) >= 2
    assert gross.median() > good.median()
    auroc = read_json(run / "metrics.json")["test"]["pixel_auroc"]["value"]
    assert auroc is not None
    assert auroc > 0.7


def test_decisions_follow_the_calibrated_threshold(run: Path) -> None:
    threshold = json.loads((run / "calibration.json").read_text())["image"]["all"]["value"]
    predictions = pd.read_csv(run / "predictions.csv")
    assert ((predictions["score"] >= threshold) == (predictions["verdict"] == "defective")).all()


def test_thresholds_never_see_test_pictures(run: Path) -> None:
    """The calibrated threshold follows from the calibration scores alone, which the checkpoint keeps."""
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    seen = state["post_processor._extra_state"]["scores"]
    samples = pd.read_csv(run / "samples.csv")
    assert len(seen) == (samples["split"] == "calibration").sum()
    test = pd.read_csv(run / "predictions.csv")
    assert set(test["name"]) == set(samples.loc[samples["split"] == "test", "name"])


def test_no_group_is_in_two_splits(run: Path) -> None:
    samples = pd.read_csv(run / "samples.csv")
    assert len(samples[["group", "split"]].drop_duplicates()) == samples["group"].nunique()
    assert set(samples["split"]) == {"train", "calibration", "test"}


@pytest.mark.procedure
def test_the_same_seed_gives_the_same_numbers(run: Path, tmp_path: Path, drawn: Path) -> None:
    again = train(tmp_path, *SMALL, f"data.root={drawn}")
    for name in ("metrics.json", "predictions.csv", "sweep.csv", "calibration.json"):
        assert (again / name).read_bytes() == (run / name).read_bytes(), name


@pytest.mark.procedure
def test_another_seed_gives_other_splits(run: Path, tmp_path: Path, drawn: Path) -> None:
    other = train(tmp_path, *SMALL, f"data.root={drawn}", "seed=1", "report=false")
    assert (other / "samples.csv").read_bytes() != (run / "samples.csv").read_bytes()


def test_testing_again_gives_the_same_numbers(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", f"run={run}", f"out={tmp_path}"]) == 0
    assert "Same metrics as the run, to the last digit" in capsys.readouterr().out
    assert (tmp_path / "metrics.json").read_bytes() == (run / "metrics.json").read_bytes()


def test_other_batches_round_differently_at_most(run: Path, tmp_path: Path) -> None:
    """36 images by fives leave a batch of one, which is multiplied by another routine: maps part at 1e-5."""
    assert main(["test", f"run={run}", f"out={tmp_path}", "data.batch_size=5", "report=false"]) == 0
    found, wanted = (pd.read_csv(folder / "predictions.csv") for folder in (tmp_path, run))
    assert (found[["name", "verdict"]] == wanted[["name", "verdict"]]).all(axis=None)
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-4)
    metrics = read_json(run / "metrics.json")["test"]
    for name, entry in read_json(tmp_path / "metrics.json")["test"].items():
        assert entry["value"] == pytest.approx(metrics[name]["value"], rel=1e-4), name


def test_a_checkpoint_alone_is_enough(run: Path, tmp_path: Path, drawn: Path) -> None:
    alone = tmp_path / "moved.ckpt"
    shutil.copy(run / "checkpoints" / "best.ckpt", alone)
    other = ["data.drawing_seed=9", "report=false"]
    assert main(["test", f"run={alone}", f"out={tmp_path / 'o'}", f"data.root={drawn}", *other]) == 0
    metrics = json.loads((tmp_path / "o" / "metrics.json").read_text())
    assert metrics["pictures"] == {"good": 60, "defective": 30, "unknown": 0}


def test_other_data_leaves_out_what_was_trained_on(run: Path, tmp_path: Path, drawn: Path) -> None:
    assert main(["test", f"run={run}", f"out={tmp_path}", f"data.root={drawn}", "data.good=72", "report=false"]) == 0
    tested = set(pd.read_csv(tmp_path / "predictions.csv")["name"])
    samples = pd.read_csv(run / "samples.csv")
    assert not tested & set(samples.loc[samples["split"] != "test", "name"])
    assert len(tested) == 102 - (samples["split"] != "test").sum()
    assert "was used to train" in (tmp_path / "excluded.csv").read_text()


def test_predict_judges_as_the_test_did(run: Path, tmp_path: Path) -> None:
    expected = pd.read_csv(run / "predictions.csv").set_index("image_path")
    broken = tmp_path / "broken, really.JPG"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    sources = ",".join(f'"{path}"' for path in [*expected.index, str(broken)])
    command = ["predict", f"run={run}", f"out={tmp_path / 'o'}", f"source=[{sources}]", "data.batch_size=7"]
    assert main(command) == 1  # one has no verdict
    assert main([*command, "errors=ok"]) == 0
    assert main([*command, "errors=maybe"]) == 2
    rows = pd.read_csv(tmp_path / "o" / "predictions.csv").set_index("image_path")
    assert len(rows) == len(expected) + 1
    assert rows.loc[str(broken), "error"] == rows["error"].dropna().item()
    judged = rows.loc[expected.index]
    np.testing.assert_allclose(judged["score"], expected["score"], rtol=1e-5)
    assert (judged["verdict"] == expected["verdict"]).all()
    overlays = list((tmp_path / "o" / "overlays").rglob("*.jpg"))
    assert len(overlays) == (judged["verdict"] == "defective").sum()


def test_predict_says_when_there_is_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"run={run}", "source=/no/such/*.png"]) == 1
    assert "found none at /no/such/*.png" in capsys.readouterr().err


def test_tensorboard_holds_scalars_images_curve_histograms_and_hparams(run: Path) -> None:
    tags: dict[str, set[str]] = {}
    for path in (run / "tensorboard").rglob("events*"):
        events = EventAccumulator(str(path), size_guidance={"images": 0}).Reload()
        for kind, names in events.Tags().items():
            tags.setdefault(kind, set()).update(names if isinstance(names, list) else [])
        tags.setdefault("summaries", set()).update(events.summary_metadata)
    assert {"test/image_auroc", "calibration/image_threshold"} <= tags["scalars"]
    assert {"test/hit", "test/confusion", "calibration/confusion"} <= tags["images"]
    assert {"score/good", "score/defective"} <= tags["histograms"]
    assert {"test/image", "test/pixel", "calibration/image"} <= tags["tensors"]
    assert "_hparams_/session_start_info" in tags["summaries"]
    assert "_hparams_/experiment" not in tags["summaries"]  # which would hide what other runs have


def test_the_report_is_one_file_that_asks_for_nothing(run: Path) -> None:
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "untrained" in page
    for source in ('src="http', 'href="http', "url(http", "@import"):
        assert source not in page


def make_mvtec(root: Path) -> None:
    """Write a tiny set in the layout of MVTec AD: grey noise, and a bright square for a defect."""
    rng = np.random.default_rng(0)
    for folder, count in (("train/good", 12), ("test/good", 6), ("test/square", 6)):
        (root / folder).mkdir(parents=True)
        for index in range(count):
            image = rng.normal(100, 10, (64, 64)).clip(0, 255).astype(np.uint8)
            if folder == "test/square":
                image[20:36, 20:36] = 220
                mask = np.zeros((64, 64), np.uint8)
                mask[20:36, 20:36] = 255
                (root / "ground_truth" / "square").mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(root / "ground_truth" / "square" / f"{index:03}_mask.png"), mask)
            cv2.imwrite(str(root / folder / f"{index:03}.png"), image)


@pytest.mark.procedure
def test_hazards_are_named_left_out_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    make_mvtec(root)
    whole = (root / "train/good/000.png").read_bytes()
    (root / "train/good/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/good/empty.png").touch()
    Image.new("CMYK", (64, 64), (10, 20, 30, 40)).save(root / "train/good/cmyk.jpg")
    deep = np.random.default_rng(1).integers(20_000, 30_000, (64, 64)).astype(np.uint16)
    Image.fromarray(deep).save(root / "train/good/deep.TIFF")
    cv2.imwrite(str(root / "ground_truth/square/000_mask.png"), np.full((32, 32), 255, np.uint8))
    options = [option for option in SMALL if not option.startswith(("data.size", "data.good", "data.defective"))]
    run = train(tmp_path / "runs", "data=folder", f"data.root={root}", *options)
    excluded = pd.read_csv(run / "excluded.csv")
    left_out = {Path(path).name for path in excluded["path"]}
    assert left_out == {"cut.png", "empty.png", "cmyk.jpg", "000_mask.png"}
    assert excluded["remedy"].notna().all()
    assert "deep.TIFF" in (run / "samples.csv").read_text()
    page = (run / "report" / "index.html").read_text(encoding="utf-8").replace("<wbr>", "")
    printed = capsys.readouterr().out
    for name in left_out:
        assert name in page
        assert name in printed
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["pictures"] == {"good": 6, "defective": 5, "unknown": 0}
    assert metrics["test"]["pixel_auroc"]["value"] > 0.9


@pytest.mark.procedure
def test_good_calibration_pictures_alone_use_the_fallback_and_say_so(tmp_path: Path) -> None:
    root = tmp_path / "data"
    make_mvtec(root)
    options = [option for option in SMALL if not option.startswith(("data.size", "data.good", "data.defective"))]
    run = train(tmp_path / "runs", "data=folder", f"data.root={root}", *options)
    calibration = json.loads((run / "calibration.json").read_text())
    assert calibration["image"]["all"]["fallback"]
    assert calibration["image"]["all"]["policy"].startswith("Normal")
    assert "holds no defective pictures" in (run / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image\na.png\n", "to have a column label, but found image"),
        (None, "labels.csv, but found none"),
        ("image,label\na.png,fine\n", "found none with a usable label"),
    ],
)
def test_unusable_labels_stop_the_run_before_it_starts(
    text: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    if text is not None:
        (root / "labels.csv").write_text(text, encoding="utf-8")
    options = ["backbone.weights=none", f"out={tmp_path / 'runs'}"]
    assert main(["train", "data=fiber", f"data.root={root}", *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_missing_weights_list_the_ways_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"out={tmp_path}", "backbone.weights=/no/such.safetensors"]) == 1
    message = capsys.readouterr().err
    assert "/no/such.safetensors" in message
    assert "backbone.weights=none" in message


def test_an_id_is_never_used_twice(run: Path, capsys: pytest.CaptureFixture[str], drawn: Path) -> None:
    options = [*SMALL, "data=synthetic", f"data.root={drawn}", f"out={run.parent.parent}", f"id={run.name}"]
    assert main(["train", *options]) == 2
    assert "choose another id=" in capsys.readouterr().err


@pytest.mark.procedure
def test_other_callbacks_can_stand_beside(tmp_path: Path, drawn: Path) -> None:
    timer = ["+callbacks.timer._target_=lightning.pytorch.callbacks.Timer", "+callbacks.timer.duration='00:01:00:00'"]
    assert train(tmp_path, *SMALL, f"data.root={drawn}", *timer, "report=false").is_dir()
