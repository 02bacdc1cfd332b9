"""``loupe calibrate``: thresholds from labels given since, told, kept and taken back; nothing is trained."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from callbacks.decisions.choosing import Seen as Judged
from datamodules.errors import DataError
from tests.conftest import draw_plate
from tools.cli import main
from tools.labelling.entries import Mark, Seen
from tools.labelling.journal import Journal
from tools.runner import Bundle
from tools.runs.calibrating import Labelled, evened, read_wanted, worth
from tools.train import main as train

if TYPE_CHECKING:
    from pathlib import Path

STATE = "post_processor._extra_state"


def write_labels(folder: Path, count: int = 16, *, label: str = "good") -> Path:
    """Write images that no run has seen, every other one with a pit, and labels of them."""
    lines = ["image,label,picked"]
    for index in range(count):
        values, _ = draw_plate(500 + index, pit=index % 2 == 1)
        assert cv2.imwrite(str(folder / f"n{index:02}.png"), values)
        lines.append(f"n{index:02}.png,{'defective' if index % 2 else label},{'random' if index < 12 else 'near'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    root = folder / "plates"
    for index in range(30):
        kind = "pit" if index >= 20 else "good"
        (root / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / kind / f"{index:03}.png"), draw_plate(index, pit=index >= 20)[0])
    words = [f"data.root={root}", "data.image_size=[64,64]", "model=conv_ae_small", "trainer=cpu", "data.num_workers=0"]
    words += ["trainer.max_epochs=2", "report=false", f"out={folder}", "name=plates", "id=one"]
    assert train(words) == 0
    return folder / "plates" / "one"


def thresholds(run: Path) -> tuple[float, float]:
    """Return the thresholds of images and pixels, which table and checkpoint must agree on."""
    table = json.loads((run / "calibration.json").read_text(encoding="utf-8"))
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"][STATE]
    found = tuple(float(table[level]["all"]["value"]) for level in ("image", "pixel"))
    assert found == tuple(state[level]["all"]["value"] for level in ("image", "pixel"))
    return found[0], found[1]


def test_thresholds_follow_the_labels_and_can_be_taken_back(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = thresholds(run)
    weights = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    labels = write_labels(tmp_path)
    words = [str(run), str(labels), "threshold=normal", "pool=false", "by=Ada"]
    assert main(["calibrate", *words, "dry=true"]) == 0
    assert thresholds(run) == before
    assert "Nothing was changed" in capsys.readouterr().out
    assert main(["calibrate", *words]) == 0
    said = capsys.readouterr().out
    assert "8 good and 8 defective labels, and nothing else." in said
    assert "4 of 16 labels were not picked at random" in said
    table = pd.read_csv(run / "calibration_labels.csv")
    good = table.loc[table["label_index"] == 0, "score"]
    after = thresholds(run)
    assert after != before
    assert good.max() * 0.95 <= after[0] <= good.max() * 1.2  # a high quantile of eight good ones
    now = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(now[key], value) for key, value in weights.items() if key.startswith("model."))
    assert float(now["post_processor.image_threshold"]) == pytest.approx(after[0])
    assert main(["predict", str(run), str(tmp_path / "n00.png"), f"out={tmp_path / 'p'}"]) == 0
    assert pd.read_csv(tmp_path / "p" / "predictions.csv")["threshold"][0] == pytest.approx(after[0])
    assert main(["threshold", str(run), "undo=true"]) == 0
    assert thresholds(run) == before


def test_labels_and_calibration_images_are_pooled(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(tmp_path)
    assert main(["calibrate", str(run), str(labels), "use=random", "dry=true"]) == 0
    said = capsys.readouterr().out
    known = json.loads((run / "calibration.json").read_text(encoding="utf-8"))["pictures"]
    assert f"6 good and 6 defective labels, beside {sum(known.values())} calibration images" in said
    assert "picked at random" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na.png,perhaps\n", "to be good or defective, but found 'perhaps' for a.png"),
        ("image,label\na.png,\n", "to hold labels that are good or defective, but found none"),
        ("image\na.png\n", "to have a column label"),
    ],
)
def test_labels_that_mean_nothing_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_wanted(path, random=False)


def test_only_what_was_picked_at_random_counts_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,label,picked\na.png,ok,Random\nb.png,ng,near\nc.png,good,\n", encoding="utf-8")
    assert list(read_wanted(path, random=True)["image"]) == ["a.png"]
    assert list(read_wanted(path, random=False)["label_index"]) == [0, 1, 0]


def test_a_label_of_no_image_names_it(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.csv").write_text("image,label\nnowhere.png,good\n", encoding="utf-8")
    before = thresholds(run)
    assert main(["calibrate", str(run), str(tmp_path / "labels.csv")]) == 1
    assert "Expected to judge every image that is labelled, but nowhere.png" in capsys.readouterr().err
    assert thresholds(run) == before


def desk_labels(folder: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Label forty new images as the page does, by what they are; return the journal."""
    (folder / "new").mkdir()
    for index in range(40):
        values, _ = draw_plate(900 + index, pit=index % 4 == 3)
        assert cv2.imwrite(str(folder / "new" / f"n{index:02}.png"), values)
    words = [f"run={run}", f"source={folder / 'new'}", f"out={folder / 'labels'}", "random=0.3"]
    assert main(["label", *words, "show=queue"]) == 0
    said = capsys.readouterr().out
    order = [line.split(",") for line in said[said.index("image,score,threshold") :].splitlines()[1:]]
    assert {row[3] for row in order} == {"nearest", "random"}
    journal = Journal(folder / "labels" / "journal.jsonl")
    for name, score, threshold, picked, _ in order[:30]:
        verdict = "defective" if int(name[-6:-4]) % 4 == 3 else "good"
        journal.mark(name, "Ada", name, Mark(verdict), Seen("", float(score), float(threshold), picked))
    journal.close()
    return folder / "labels" / "journal.jsonl"


def test_a_journal_calibrates_by_how_each_image_was_picked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = thresholds(run)
    journal = desk_labels(tmp_path, run, capsys)
    words = [f"run={run}", f"journal={journal}", "threshold=normal", "pool=false", "by=Ada"]
    assert main(["calibrate", *words]) == 0
    said = capsys.readouterr().out
    assert "(column weight): 40 in all; that is worth" in said
    assert "of all images that they stand for" in said
    table = pd.read_csv(run / "calibration_labels.csv")
    assert table["weight"].sum() == pytest.approx(40, rel=1e-4)
    assert table.loc[table["picked"] == "random", "weight"].max() > 1
    assert thresholds(run) != before
    assert main(["threshold", str(run), "undo=true"]) == 0
    assert thresholds(run) == before
    assert main(["calibrate", *words, "use=random", "dry=true"]) == 0
    assert "(column weight)" not in capsys.readouterr().out
    assert main(["calibrate", f"run={run}"]) == 2
    assert "Expected labels= or journal=, one of both" in capsys.readouterr().err


def test_weights_make_a_sample_like_one_at_random() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, 4000)
    near = scores > 1.2
    labelled = [Labelled("", "", Judged(float(score), 0, 0.0), 1.0) for score in scores[near]]
    drawn = rng.choice(scores[~near], 150, replace=False)
    labelled += [Labelled("", "", Judged(float(score), 0, 0.0), (~near).sum() / 150) for score in drawn]
    sample = np.array([seen.score for seen in evened(labelled)])
    assert len(sample) == pytest.approx(worth(np.array([one.weight for one in labelled])), abs=1)
    assert 150 < len(sample) < 250
    for share in (0.1, 0.5, 0.9, 0.97):
        assert np.quantile(sample, share) == pytest.approx(np.quantile(scores, share), abs=0.25)


def test_a_bundle_takes_new_thresholds_without_a_new_graph(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    labels = write_labels(tmp_path)
    assert main(["calibrate", str(run), str(labels), "into_bundle=true"]) == 2
    assert "run: loupe export" in capsys.readouterr().err
    assert main(["export", str(run), "pictures=4", "samples=2"]) == 0
    bundle = run / "bundle"
    graphs = {path.name: path.read_bytes() for path in bundle.iterdir() if path.suffix in {".onnx", ".safetensors"}}
    before = json.loads((bundle / "spec.json").read_text(encoding="utf-8"))
    assert main(["calibrate", str(run), str(labels), "threshold=normal", "pool=false", "into_bundle=true"]) == 0
    after = json.loads((bundle / "spec.json").read_text(encoding="utf-8"))
    image, pixel = thresholds(run)
    assert (after["thresholds"]["image"]["all"]["value"], after["thresholds"]["pixel"]["all"]["value"]) == (
        image,
        pixel,
    )
    assert json.loads((run / "bundle.spec.before.json").read_text(encoding="utf-8")) == before
    assert all((bundle / name).read_bytes() == data for name, data in graphs.items())
    judge = Bundle(bundle)
    assert not judge.edited
    assert float(judge.decision.image["all"]) == pytest.approx(image)
    checked = subprocess.run(
        [sys.executable, "predict.py", "--check"], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{image:.6g}"[:6] in (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
