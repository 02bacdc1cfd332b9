"""Every command of the pages about tasks as it is written, in its order, in a folder of drawn images of its own.

Words in capitals are what a reader puts in, as in ``tests.commands``; what a page takes for granted is done before: a
run, its bundle, predictions, a sweep. Who labels says something. Nothing is left out but a camera, which no test has.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import cv2
import pandas as pd
import pytest
import timm
from safetensors.torch import save_file

from datamodules.synthetic.write import write_dataset
from tests.commands import ROOT, SERVED, commands, draw_folder, say, serve_and_end
from tests.commands import SMALL as SMALL_FIRST
from tests.conftest import draw_plate
from tools.cli import main

DISTILLED = ["rounds=1", "crops=4", "passes=1", "held_out_crops=2", "batch_size=2", "limit=6", "crop_size=48"]
SMALL = {**SMALL_FIRST, "distill": [*DISTILLED, "device=cpu"]}
LOUPE = [sys.executable, "-c", "import sys; from tools.cli import main; sys.exit(main())"]
ACTIONS = ("show", "resume", "best")  # of a sweep that is there
NEVER = "rtsp://CAMERA/STREAM"  # no test has a camera
TASKS = ("doctor", "thresholds", "sweep", "inspector", "serve", "patchcore", "distill", "weights")
BEFORE = {  # what a page takes for granted: a run stands for all that have none here
    "docs/inspector.md": ["export latest precisions=[fp32]", "predict latest new out=predictions"],
    "docs/serve.md": ["export latest precisions=[fp32]"],
    "docs/sweep.md": ["sweep data=folder,fiber data.root=parts,ends sweep.pair=[data,data.root] name=lines"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands are typed."""
    draw_folder(tmp_path)
    for place, seeds in {
        "new/good": range(64, 72),
        "new/scratch": range(72, 78),
        "new_microscope": range(80, 84),
    }.items():
        (tmp_path / place).mkdir(parents=True)
        for seed in seeds:
            image, _ = draw_plate(seed, pit=place.endswith("scratch"))
            assert cv2.imwrite(str(tmp_path / place / f"{seed:03}.png"), image)
    assert cv2.imwrite(str(tmp_path / "false_alarm.png"), draw_plate(90, pit=False)[0])
    good = [f"parts/good/{seed:03}.png,good,random" for seed in range(12)]
    bad = [f"parts/scratch/{seed:03}.png,bad,random" for seed in range(40, 44)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label,picked", *good, *bad, ""]), encoding="utf-8")
    write_dataset(tmp_path / "ends", "fiber", 64, 24, 12, 0)
    ends = pd.read_csv(tmp_path / "ends" / "samples.csv").rename(columns={"image_path": "image"})
    ends["label"] = ends["label_index"].map({0: "good", 1: "defective"})
    ends[["image", "label"]].to_csv(tmp_path / "ends" / "labels.csv", index=False)
    (tmp_path / "weights").mkdir()
    return tmp_path


def weights_of(name: str, here: Path) -> str:
    """Write weights of a network of timm as nobody trained them; a file of them stands in for one of the hub."""
    path = here / "weights" / f"{name}.safetensors"
    if not path.exists():
        save_file(timm.create_model(name, pretrained=False).state_dict(), path)
    return str(path)


def filled_in(words: list[str], here: Path) -> list[str]:
    """Put folders, files and runs where a page has words in capitals."""
    found = [path.parents[1] for path in here.glob("runs/*/*/checkpoints/best.ckpt")]
    runs = sorted(found, key=lambda path: (path / "samples.csv").stat().st_mtime)
    meanings = {"PATH": "ends" if "data=fiber" in words else "parts", "MORE": "more", "ARRAYS": "arrays"}
    meanings |= {"FACES": "faces", "PICTURES": "parts", "NEW_IMAGES": "new", "DIR": "new", "PREDICTIONS": "predictions"}
    meanings |= {"BUNDLE": str(next(here.glob("runs/*/*/bundle"), here / "none"))}
    if teacher := next((word.partition("=")[2] for word in words if word.startswith("teacher=")), ""):
        meanings["FILE"] = weights_of({"mobilenetv2": "mobilenetv2_100"}.get(teacher, teacher), here)
    own = runs[-1] if runs and "pictures=new_microscope" in words else next(iter(runs), here)  # that which learnt them
    given, seen = [], 0
    for word in words:
        if twice := word == "RUN":
            seen += 1
        run = runs[-1] if twice and seen == 2 else own
        given.append(put_in(word, meanings | {"RUN": str(run), "OTHER": str(runs[-1] if runs else here)}))
    if "good/017.png" in given:  # an image that the run learnt
        samples = pd.read_csv(runs[-1] / "samples.csv", keep_default_na=False)
        learnt = samples[(samples["split"] == "train") & samples["image_path"].str.contains("/parts/good/")]
        given[given.index("good/017.png")] = "/".join(Path(learnt["image_path"].iloc[0]).parts[-2:])
    elsewhere = {
        "data.root=...": "data.root=ends",
        "out=/tmp/runs": "out=elsewhere",
    }
    small = [] if words[1] in ACTIONS else SMALL.get(words[0], [])
    if "model=efficient_ad_s" in words:
        small = [*small, "data.image_size=64"]  # its networks take no smaller ones
    return [elsewhere.get(word, word) for word in given] + small


def put_in(word: str, meanings: dict[str, str]) -> str:
    """Put what is meant where a word has capitals."""
    return re.sub(r"\b[A-Z_]{3,}\b", lambda match: meanings.get(match[0], match[0]), word)


def serve(words: list[str], here: Path) -> int:
    """Serve from this checkout until the address is there, and label where that is what the page is for."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(here)}
    return serve_and_end([*LOUPE, *words], here, environment, say if words[0] == "label" else None)


@pytest.mark.slow
@pytest.mark.parametrize("page", [f"docs/{task}.md" for task in TASKS])
def test_every_command_of_a_page_about_a_task_runs(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOUPE_WEIGHTS", str(folder / "weights"))  # stands in for packages that are not installed
    written = [words for words in commands(page) if not any(NEVER in word for word in words)]
    assert main(["train", "parts", *SMALL["train"]]) == 0
    if page == "docs/weights.md":
        weights_of("efficientnet_lite0", folder)
    for command in BEFORE.get(page, []):
        words = shlex.split(command)
        assert main([*words, *SMALL.get(words[0], [])]) == 0, command
    ended = {}
    for words in written:
        given = filled_in(words, folder)
        ended[shlex.join(given)] = serve(given, folder) if words[0] in SERVED else main(given)
    assert {command: status for command, status in ended.items() if status not in {0, 130}} == {}
