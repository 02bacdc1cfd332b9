"""``loupe extend`` and ``loupe forget``: a run learns more images, and unlearns them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.errors import DataError
from datamodules.files.fitting import network_input
from datamodules.files.images import read_image
from datamodules.zones.foreground import Foreground
from models.components.padding import cells_inside
from tests.conftest import draw_plate
from tools.cli import main
from tools.runs.growing import named
from tools.runs.thresholds import PROBABILITY
from tools.train import main as train

STATE = "post_processor._extra_state"
MODELS = ("patchcore", "padim", "dfm")


def write_strange(folder: Path, count: int) -> list[Path]:
    """Write good images of another finish, striped, which a model of the others calls strange."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"s{index}.png" for index in range(count)]
    for index, path in enumerate(paths):
        values = draw_plate(900 + index, pit=False)[0].astype(np.float64)
        striped = values + 90 * (np.arange(values.shape[1]) // 4 % 2).reshape(1, -1, *[1] * (values.ndim - 2))
        assert cv2.imwrite(str(path), striped.clip(0, 255).astype(np.uint8))
    return paths


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("growing") / "plates"
    for index in range(26):
        kind = "pit" if index >= 20 else "good"
        (root / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / kind / f"{index:03}.png"), draw_plate(index, pit=index >= 20)[0])
    return root


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, plates: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp(request.param)
    words = [f"data.root={plates}", "data.image_size=[64,64]", f"model={request.param}", "trainer=cpu"]
    words += ["data.num_workers=0", "report=false", f"out={out}", "name=plates", "id=one"]
    words += ["model.n_features=12"] if request.param == "padim" else []
    assert train(words) == 0
    return out / "plates" / "one"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "runs" / "plates" / "one")


def state_of(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    return state


def verdicts(run: Path, source: Path, out: Path) -> list[tuple[float, str]]:
    assert main(["predict", f"run={run}", f"source={source}", f"out={out}", "overlay=none", "mask=none"]) == 0
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(row["score"], row["verdict"]) for row in rows]


def test_what_is_added_is_accepted_and_what_is_taken_out_again_leaves_no_trace(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, strange = state_of(run), write_strange(tmp_path / "other", 6)
    was = verdicts(run, tmp_path / "other", tmp_path / "first")
    capsys.readouterr()
    assert main(["extend", f"run={run}", f"data={tmp_path / 'other'}", "by=Ada", "note=light 2"]) == 0
    said = capsys.readouterr().out
    assert "6 added." in said
    assert "calibration images moved by" in said
    after = state_of(run)
    assert set(map(str, strange)) <= set(after["_extra_state"]["learnt"])
    now = verdicts(run, tmp_path / "other", tmp_path / "second")
    assert all(new[0] < 0.7 * old[0] for old, new in zip(was, now, strict=True))
    capsys.readouterr()

    assert main(["forget", f"run={run}", f"pictures={tmp_path / 'other'}"]) == 0
    assert "6 taken out." in capsys.readouterr().out
    again = state_of(run)
    assert again["_extra_state"] == before["_extra_state"]
    for key, value in before.items():
        if isinstance(value, torch.Tensor):
            # Of inverse covariances in single precision, a processor may lose more in small values beside large ones.
            scale = float(value.double().nan_to_num().abs().max()) if value.numel() else 0.0
            torch.testing.assert_close(again[key], value, atol=max(1e-4, 3e-4 * scale), rtol=1e-3, equal_nan=True)
    thresholds = [state[STATE]["image"]["all"]["value"] for state in (before, again)]
    assert thresholds[1] == pytest.approx(thresholds[0], rel=1e-4)
    back = verdicts(run, tmp_path / "other", tmp_path / "third")
    assert [verdict for _, verdict in back] == [verdict for _, verdict in was]
    assert [score for score, _ in back] == pytest.approx([score for score, _ in was], rel=1e-3)
    moves = [json.loads(line) for line in (run / "learnt.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(move["verb"], len(move["images"])) for move in moves] == [("extend", 6), ("forget", 6)]
    assert (moves[0]["by"], moves[0]["why"]) == ("Ada", "light 2")
    assert len((run / "thresholds.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_what_was_added_is_evidence_as_if_it_had_not_been_learnt(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, strange = state_of(run)[STATE]["scores"], write_strange(tmp_path / "other", 13)
    assert main(["extend", f"run={run}", f"data=[{','.join(map(str, strange[:9]))}]"]) == 0
    assert "from 10 on (threshold.min_images); so far 9 are in the model" in capsys.readouterr().out
    assert len(state_of(run)[STATE]["scores"]) == len(before)
    assert main(["extend", f"run={run}", f"data={strange[9]}"]) == 0
    assert "Thresholds rest on 10 images that were added, too" in capsys.readouterr().out
    after = state_of(run)[STATE]["scores"]
    kept, own = after[: len(before)], after[len(before) :]
    assert [row[1] for row in kept] == [row[1] for row in before]
    assert [row[1] for row in own] == [0] * 10
    verdicts(run, tmp_path / "other", tmp_path / "out")
    judged = pd.read_csv(tmp_path / "out" / "predictions.csv")
    scores = dict(zip(judged["image_path"].map(lambda path: Path(path).stem), judged["score"], strict=True))
    stranger = [row[0] / scores[path.stem] for row, path in zip(own, strange, strict=False)]
    assert min(stranger) > 0.999  # none is less so; an image's worst part may be as near to another image as to itself
    assert sum(ratio > 1.02 for ratio in stranger) >= 8
    other = shutil.copytree(run, tmp_path / "copy" / "plates" / "one")
    assert main(["forget", f"run={other}", f"pictures={strange[2]}"]) == 0
    forgotten = verdicts(other, strange[2], tmp_path / "forgotten")
    # Forgetting brings no patch back that another stood for; evidence does: the nearest is then as far, and its
    # neighbourhood may be more crowded, which of 9 neighbours takes a ninth off at most.
    assert 8 / 9 * 0.999 < own[2][0] / forgotten[0][0] < 1.001
    capsys.readouterr()

    strange[0].unlink()
    assert main(["extend", f"run={run}", f"data={strange[10]}"]) == 0
    said = capsys.readouterr().out
    assert "Thresholds rest on 10 images that were added, too" in said
    assert "1 more could not be judged so" in said


def test_what_a_person_chose_holds_again_when_the_images_are_forgotten(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = write_strange(tmp_path / "other", 4)
    line = 1.25 * state_of(run)[STATE]["image"]["all"]["value"]
    assert main(["threshold", f"run={run}", f"image={line}", "by=Ada"]) == 0
    before = state_of(run)[STATE]
    was = verdicts(run, tmp_path / "other", tmp_path / "first")
    capsys.readouterr()
    assert main(["extend", f"run={run}", f"data={tmp_path / 'other'}", "by=Ben"]) == 0
    assert "The thresholds that Ada gave on" in capsys.readouterr().out
    assert state_of(run)[STATE]["image"]["all"]["value"] != pytest.approx(line, rel=1e-3)
    for part in (strange[:2], strange[2:]):
        assert main(["forget", f"run={run}", f"pictures=[{','.join(map(str, part))}]"]) == 0
    assert "those that held then" in capsys.readouterr().out
    again = state_of(run)[STATE]
    assert [again[key] for key in ("image", "pixel")] == [before[key] for key in ("image", "pixel")]
    back = verdicts(run, tmp_path / "other", tmp_path / "second")
    assert [verdict for _, verdict in back] == [verdict for _, verdict in was]
    entries = [json.loads(text) for text in (run / "thresholds.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry.get("verb") for entry in entries] == [None, "extend", "forget", "forget"]


def test_a_probability_that_labels_gave_holds_again_when_the_images_are_forgotten(
    plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"data.root={plates}", "data.image_size=[64,64]", "model=patchcore", "trainer=cpu", "data.num_workers=0"]
    words += ["report=false", f"out={tmp_path}", "name=plates", "id=one", "threshold.probability=platt"]
    assert train(words) == 0
    run, labelled = tmp_path / "plates" / "one", tmp_path / "labelled"
    labelled.mkdir()
    for index in range(30):
        assert cv2.imwrite(str(labelled / f"{index:02}.png"), draw_plate(500 + index, pit=index % 2 == 1)[0])
    rows = [f"{index:02}.png,{'defective' if index % 2 else 'good'}" for index in range(30)]
    (labelled / "labels.csv").write_text("\n".join(["image,label", *rows, ""]), encoding="utf-8")
    command = ["calibrate", f"run={run}", f"labels={labelled / 'labels.csv'}", "pool=false", "by=Ada"]
    assert main(command) == 0
    assert "was fitted anew (platt)" in capsys.readouterr().out
    before, was = state_of(run)[STATE], probabilities(run, labelled, tmp_path / "first")
    write_strange(tmp_path / "other", 4)
    assert main(["extend", f"run={run}", f"data={tmp_path / 'other'}", "by=Ben"]) == 0
    assert state_of(run)[STATE]["probability"] != before["probability"]
    assert probabilities(run, labelled, tmp_path / "second") != was
    assert main(["forget", f"run={run}", f"pictures={tmp_path / 'other'}"]) == 0
    again = state_of(run)[STATE]
    assert [again[key] for key in PROBABILITY] == [before[key] for key in PROBABILITY]
    assert probabilities(run, labelled, tmp_path / "third") == pytest.approx(was, rel=1e-3)


def test_labels_of_images_that_the_model_learnt_do_not_move_a_threshold(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = write_strange(tmp_path / "other", 6)
    assert main(["extend", f"run={run}", f"data=[{','.join(map(str, strange[:3]))}]"]) == 0
    for index in range(3):
        assert cv2.imwrite(str(tmp_path / "other" / f"p{index}.png"), draw_plate(700 + index, pit=True)[0])
    rows = [*(f"s{index}.png,good" for index in range(6)), *(f"p{index}.png,defective" for index in range(3))]
    chosen = []
    for count in (0, 3):
        labels = tmp_path / "other" / "labels.csv"
        labels.write_text("\n".join(["image,label", *rows[count:], ""]), encoding="utf-8")
        capsys.readouterr()
        assert main(["calibrate", f"run={run}", f"labels={labels}", "pool=false", "dry=true"]) == 0
        said = capsys.readouterr().out.splitlines()
        chosen.append([line for line in said if line.startswith("image threshold of all")])
        assert ("3 labels are of what the model learnt" in said[0]) == (count == 0)
    assert chosen[0] == chosen[1] != []
    labels.write_text("\n".join(["image,label", *rows[:3], ""]), encoding="utf-8")
    assert main(["calibrate", f"run={run}", f"labels={labels}"]) == 1
    assert "it learnt all 3 of them: label others" in capsys.readouterr().err


def probabilities(run: Path, source: Path, out: Path) -> list[float | None]:
    assert main(["predict", f"run={run}", f"source={source}", f"out={out}", "overlay=none", "mask=none", "page=0"]) == 0
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["probability"] for line in lines]


def test_images_of_the_training_can_be_taken_out(run: Path, plates: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = state_of(run)["_extra_state"]["learnt"]
    assert main(["forget", f"run={run}", f"pictures={before[0]}", "dry=true"]) == 0
    assert "Nothing was changed" in capsys.readouterr().out
    assert state_of(run)["_extra_state"]["learnt"] == before
    assert main(["forget", f"run={run}", f"pictures={before[0]}"]) == 0
    assert state_of(run)["_extra_state"]["learnt"] == before[1:]
    capsys.readouterr()
    assert main(["forget", f"run={run}", f"pictures={before[0]}"]) == 1
    assert "but found none called" in capsys.readouterr().err
    assert main(["forget", f"run={run}", f"pictures={plates / 'good'}"]) == 1
    said = capsys.readouterr().err
    assert "to be left, but all would be taken out" in said or "at least 2 training pictures" in said


def test_dry_runs_change_nothing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bits = (run / "checkpoints" / "best.ckpt").read_bytes()
    write_strange(tmp_path / "other", 2)
    assert main(["extend", str(run), str(tmp_path / "other"), "dry=true"]) == 0
    assert "Nothing was changed (dry=true)." in capsys.readouterr().out
    assert (run / "checkpoints" / "best.ckpt").read_bytes() == bits
    assert not (run / "learnt.jsonl").exists()


def test_without_the_calibration_images_thresholds_stay(
    run: Path, plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_strange(tmp_path / "other", 3)
    line = state_of(run)[STATE]["image"]["all"]["value"]
    plates.rename(plates.with_name("moved"))
    try:
        assert main(["extend", str(run), str(tmp_path / "other")]) == 0
    finally:
        plates.with_name("moved").rename(plates)
    assert "thresholds stay as they were" in capsys.readouterr().out
    assert state_of(run)[STATE]["image"]["all"]["value"] == line


def test_what_cannot_be_done_is_said(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extend", f"run={run}"]) == 2
    assert "Expected a value for data" in capsys.readouterr().err
    assert main(["forget", f"run={run}"]) == 2
    assert "Expected a value for pictures" in capsys.readouterr().err
    assert main(["extend", f"run={run}", f"data={tmp_path / 'nowhere'}"]) == 1
    assert "nowhere" in capsys.readouterr().err
    write_strange(tmp_path / "other", 1)
    assert main(["extend", str(run), str(tmp_path / "other")]) == 0
    assert main(["extend", str(run), str(tmp_path / "other")]) == 1
    assert "knows all 1 of them" in capsys.readouterr().err


def test_a_name_is_a_path_its_end_a_folder_or_a_glob() -> None:
    learnt = ["/data/good/1.png", "/data/good/2.png", "/other/good/1.png", "/other/good/1.png"]
    assert named("/data/good/2.png", learnt) == ["/data/good/2.png"]
    assert named("2.png", learnt) == ["/data/good/2.png"]
    assert named("/other", learnt) == ["/other/good/1.png"]
    assert named("good/*.png", learnt) == [*learnt[:3]]
    assert named("data/good/1.png", learnt) == ["/data/good/1.png"]
    with pytest.raises(DataError, match="the end of 2 paths"):
        named("1.png", learnt)
    with pytest.raises(DataError, match=r"found none called 3\.png among 3"):
        named("3.png", learnt)


def ringed(tmp_path: Path, domain: str, foreground: str) -> tuple[Path, Path]:
    """Train on drawn parts, and write some of them turned; return the run and the folder of these."""
    words = [
        "data=synthetic",
        f"data.domain={domain}",
        f"data.foreground={foreground}",
        "data.size=64",
        "data.image_size=[64,64]",
        "data.good=32",
    ]
    words += ["data.defective=16", "data.num_workers=0", f"data.root={tmp_path / 'drawn'}", "trainer=cpu"]
    words += ["model.added_ratio=1", "report=false", f"out={tmp_path}", "name=rings", "id=one"]
    assert train(words) == 0
    run, folder = tmp_path / "rings" / "one", tmp_path / "turned"
    folder.mkdir()
    tested = pd.read_csv(run / "predictions.csv")
    for index, path in enumerate(tested["image_path"][tested["label_index"] == 0][:3]):
        assert cv2.imwrite(str(folder / f"{index}.png"), np.rot90(read_image(path)))
    return run, folder


def test_the_ground_about_what_is_added_enters_no_bank(tmp_path: Path) -> None:
    run, folder = ringed(tmp_path, "oring", "plain")
    before = len(state_of(run)["model.bank_MD"])
    assert main(["extend", f"run={run}", f"data={folder}"]) == 0
    images = [network_input(read_image(path), 64, 64) for path in sorted(folder.iterdir())]
    parts = [torch.from_numpy(np.asarray(Foreground().find(image))) for image in images]
    cells = sum(int(cells_inside(part[None], 8, 8).sum()) for part in parts)
    assert len(state_of(run)["model.bank_MD"]) - before == cells < 64 * len(images)


def test_zones_that_nobody_finds_on_what_is_added_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = ringed(tmp_path, "fiber", "[1,2]")
    assert main(["extend", f"run={run}", f"data={folder}"]) == 2
    assert "data.foreground to be plain, solid or null" in capsys.readouterr().err
