"""``loupe predict line=oring`` and ``loupe prepare oring geometry=...``: images to tables, limits, states, pages."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from datamodules.synthetic.measured_rings import MeasuredRing
from tools.predict import main
from tools.prepare import main as prepare

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = [
    "image",
    "part",
    "outer_diameter",
    "inner_diameter",
    "centre_distance",
    "mean_thickness",
    "min_thickness",
    "max_thickness",
    "ovality",
    "flash",
    "gap",
    "circularity",
    "area",
]
PLAIN = MeasuredRing(size=(300, 340), x=168.4, y=151.7, outer=110.0, inner=70.0)
SMALL = MeasuredRing(size=(300, 340), x=168.4, y=151.7, outer=80.0, inner=60.0)
KINDS = {"model1": PLAIN, "model2": SMALL}


def write(path: Path, ring: MeasuredRing) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), ring.draw())


@pytest.fixture(scope="module")
def lot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good parts of two kinds in folders that say so; parts with a shift, a fin or a gap in folders that do not."""
    root = tmp_path_factory.mktemp("rings")
    for kind, ring in KINDS.items():
        for number in range(4):
            wider = replace(ring, outer=ring.outer + 0.3 * number, inner=ring.inner - 0.2 * number, seed=number)
            write(root / "good parts" / f"{kind}good" / f"{number}.png", wider)
        write(root / "lot" / f"{kind} shifted.png", replace(ring, shift=(3.0, 2.0), seed=9))
        write(root / "lot" / f"{kind} finned.png", replace(ring, flash=9.0, seed=9))
        write(root / "lot" / f"{kind} open.png", replace(ring, gap=12.0, seed=9))
        write(root / "lot" / f"{kind} plain.png", replace(ring, outer=ring.outer + 0.4, seed=9))
    return root


@pytest.fixture(scope="module")
def limits(lot: Path) -> Path:
    out = lot / "limits" / "rings.yaml"
    assert prepare(["oring", "geometry=sigma", f"source={lot / 'good parts'}", f"out={out}"]) == 0
    return out


def test_without_a_run_geometry_alone_is_measured(lot: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["line=oring", f"source={lot / 'lot'}", f"out={out}"]) == 0
    parts = pd.read_csv(out / "parts.csv")
    assert list(parts.columns[: len(CONTRACT)]) == CONTRACT
    assert len(parts) == 8
    shifted = parts[parts["image"].str.endswith("model1 shifted.png")].iloc[0]
    assert shifted["outer_diameter"] == pytest.approx(220.0, abs=0.3)
    assert shifted["centre_distance"] == pytest.approx(math.hypot(3, 2), abs=0.2)
    assert parts["accepted"].isna().all()
    drawn = cv2.imread(str(out / "overlays" / "model1 open.png.jpg"))
    assert drawn is not None
    assert drawn.shape == (300, 340, 3)
    page = (out / "index.html").read_text()
    assert "8 parts measured; no limits were given" in page
    assert "http" not in page.replace("http-equiv", "")


def test_limits_are_the_sources_rule_and_rejudge_what_they_were_learned_from(
    lot: Path, limits: Path, tmp_path: Path
) -> None:
    learned = yaml.safe_load(limits.read_text())
    out = tmp_path / "out"
    keys = [f"limits={limits}", "acceptance=oring_rework", "overlay=none", "page=false"]
    assert main(["line=oring", *keys, f"source={lot / 'good parts'}", f"out={out}"]) == 0
    parts = pd.read_csv(out / "parts.csv")
    assert set(parts["accepted"]) == {"accepted"}
    for kind, found in parts.groupby("kind"):
        thick, deviation = found["mean_thickness"].mean(), found["mean_thickness"].std()
        rule = learned["rules"][f"{kind} mean_thickness"]
        assert rule["kinds"] == [kind]
        assert rule["min"] == pytest.approx(thick - max(2.5 * deviation, 0.8), abs=0.01)
        assert rule["max"] == pytest.approx(thick + max(2.5 * deviation, 0.8), abs=0.01)
        assert "min" not in learned["rules"][f"{kind} centre_distance"]


def test_geometry_gives_three_states_with_what_failed(lot: Path, limits: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["line=oring", f"limits={limits}", "acceptance=oring_rework", f"source={lot / 'lot'}", f"out={out}"]
    assert main(command) == 0
    parts = pd.read_csv(out / "parts.csv")
    words = parts["image"].str.extract(r"(model\d) (\w+)\.png")
    assert (parts["kind"] == words[0]).all(), "the kind is told by size"
    state = {"shifted": "rework", "finned": "rework", "open": "rejected", "plain": "accepted"}
    assert (parts["accepted"] == words[1].map(state)).all(), parts[["image", "accepted", "reasons"]]
    assert parts["reasons"][words[1] == "shifted"].str.contains("centre_distance").all()
    assert parts["reasons"][words[1] == "finned"].str.contains("flash").all()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["states"] == {"accepted": 2, "rework": 4, "rejected": 2, "unknown": 0}
    page = (out / "index.html").read_text()
    assert page.count("<svg") >= 2 * len(CONTRACT[2:])
    assert "1 part outside" in page


def test_an_interrupted_lot_goes_on_and_other_keys_are_refused(
    lot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["line=oring", f"source={lot / 'lot'}", f"out={out}", "overlay=none"]
    assert main(command) == 0
    whole = (out / "parts.csv").read_bytes()
    record = (out / "parts.jsonl").read_text().splitlines(keepends=True)
    (out / "parts.jsonl").write_text("".join(record[:5]) + record[5][:40])
    (out / "parts.csv").unlink()
    assert main(command) == 0
    assert "5 images had been measured before" in capsys.readouterr().out
    assert (out / "parts.csv").read_bytes() == whole
    assert main([*command, "kind=model1"]) == 2
    assert "other keys" in capsys.readouterr().err


def test_a_video_that_is_ended_leaves_tables_of_what_was_seen_and_goes_on(tmp_path: Path) -> None:
    source, out, frames = tmp_path / "line.avi", tmp_path / "out", 120
    image = cv2.cvtColor(PLAIN.draw(), cv2.COLOR_GRAY2BGR)
    video = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"MJPG"), 10, (340, 300))
    for _ in range(frames):
        video.write(image)
    video.release()
    command = [sys.executable, "-m", "tools", "predict", "line=oring", f"source={source}", f"out={out}"]
    with subprocess.Popen([*command, "overlay=none"], stderr=subprocess.PIPE, text=True) as process:
        seen = 0
        while seen < 3 and process.poll() is None:
            time.sleep(0.05)
            seen = len((out / "parts.jsonl").read_bytes().splitlines()) if (out / "parts.jsonl").is_file() else 0
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert f"the same command with out={out} goes on" in said
    done = len((out / "parts.jsonl").read_text().splitlines())
    assert 3 <= done < frames
    assert len(pd.read_csv(out / "parts.csv")) == done
    assert (out / "index.html").is_file()
    assert main(["line=oring", f"source={source}", f"out={out}", "overlay=none"]) == 0
    parts = pd.read_csv(out / "parts.csv")
    assert parts["image"].tolist() == [f"{source}#{number}" for number in range(frames)]


def test_what_shows_no_ring_is_a_row_that_says_so(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    write(source / "a.png", PLAIN)
    assert cv2.imwrite(str(source / "b.png"), np.full((200, 200), 90, np.uint8))
    (source / "c.png").write_bytes(b"no image")
    command = ["line=oring", f"source={source}", "overlay=none", "page=false"]
    assert main([*command, f"out={out}"]) == 1
    parts = pd.read_csv(out / "parts.csv")
    assert parts["part"].fillna(0).tolist() == [1, 0, 0]
    assert parts["error"].notna().tolist() == [False, True, True]
    assert len(pd.read_csv(out / "errors.csv")) == 2
    assert main([*command, f"out={tmp_path / 'again'}", "errors=ok"]) == 0


def test_the_sources_eleven_measures_stand_beside_ours(lot: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["line=oring", f"source={lot / 'lot' / 'model1 plain.png'}", "mode=source", "mm_per_pixel=0.02"]
    assert main([*command, f"out={out}", "page=false"]) == 0
    source = pd.read_csv(out / "source_measures.csv").iloc[0]
    assert {"center_dist", "thickness_ratio", "eccentricity_pct", "circularity_outer"} <= set(source.index)
    parts = pd.read_csv(out / "parts.csv").iloc[0]
    assert parts["outer_diameter_mm"] == pytest.approx(parts["outer_diameter"] * 0.02, rel=1e-3)


def test_limits_are_learned_from_a_table_too_by_quantiles(lot: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    keys = [f"source={lot / 'good parts'}", f"out={out}", "overlay=none", "page=false"]
    assert main(["line=oring", *keys]) == 0
    table = tmp_path / "limits.yaml"
    assert prepare(["oring", "geometry=quantiles", "tail=0.1", f"source={out / 'parts.csv'}", f"out={table}"]) == 0
    learned = yaml.safe_load(table.read_text())
    good = pd.read_csv(out / "parts.csv").query("kind == 'model1'")["outer_diameter"]
    assert learned["rules"]["model1 outer_diameter"]["max"] == pytest.approx(
        max(good.quantile(0.9), good.mean() + 0.6), abs=0.01
    )


def test_two_parts_are_too_few(lot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["geometry=sigma", "limit=2", f"source={lot / 'good parts' / 'model1good'}", f"out={tmp_path}"]
    assert prepare(["oring", *keys]) == 1
    assert "at least 3 good parts of the kind model1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["limits=nowhere.yaml"], "cannot be read"),
        (["mm_per_pixel=0"], "mm_per_pixel to be above 0"),
        (["every=0"], "every and bin to be at least 1"),
        (["overlay=some"], "overlay"),
        (["acceptance=oring_rewrk"], "did you mean"),
        (["lmits=a"], "did you mean"),
    ],
)
def test_values_that_mean_nothing_are_refused(
    lot: Path, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["line=oring", f"source={lot}", f"out={tmp_path / 'out'}", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_line_without_parts_takes_no_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["line=meta_atom", "acceptance=oring_rework", f"source={tmp_path}"]) == 2
    assert "judges no parts" in capsys.readouterr().err
