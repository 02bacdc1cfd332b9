"""What docs/extend.md shows works as it stands there: its files in a folder of their own, its commands beside them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import pandas as pd
import pytest

from tests.conftest import draw_plate
from tools.cli import main

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "extend.md").read_text(encoding="utf-8")
SMALL = [
    *("data.good=32", "data.defective=16", "data.size=32", "data.image_size=[32,32]", "data.num_workers=0"),
    *("trainer=cpu", "callbacks.evaluation.resamples=20", "callbacks.evaluation.examples=1", "out=runs"),
]


def blocks(section: str, language: str) -> list[str]:
    """List the blocks of a language under a heading."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that Python finds packages in, and that commands are called from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_files(folder: Path, section: str) -> None:
    """Write every file of a section, which its first line names."""
    for code in blocks(section, "python"):
        path = folder / code.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")


def run_commands(section: str) -> list[Path]:
    """Run every command of a section, on a few small images; return the runs."""
    for line in "".join(blocks(section, "sh")).splitlines():
        assert main([*shlex.split(line)[1:], *SMALL]) == 0
    return sorted(path.parent for path in Path("runs").glob("*/*/config.yaml"))


def test_a_measure_of_ones_own_is_one_target(stranger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(stranger, "A measure")
    (run,) = run_commands("A measure")
    metrics = json.loads((run / "metrics.json").read_text())
    predictions, table = (pd.read_csv(run / name) for name in ("predictions.csv", "scores_by_group.csv"))
    assert metrics["brightest"]["images"] == len(predictions)
    assert 0.3 < metrics["brightest"]["level"] <= 1
    medians = predictions.groupby("group")["score"].median()
    assert metrics["groups"] == {"groups": len(medians), "highest_median": pytest.approx(medians.max())}
    assert table["median"].tolist() == pytest.approx(sorted(medians, reverse=True))
    page = (run / "report" / "index.html").read_text()
    for shown in ("<h3>Brightest</h3>", "<h3>Groups</h3>", "<h3>Scores by group</h3>", "A step at the left"):
        assert shown in page
    assert main(["test", str(run), "report=false"]) == 2
    assert "trust=true" in capsys.readouterr().err
    assert main(["test", str(run), "report=false", "trust=true"]) == 0


def test_a_data_set_of_ones_own(stranger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(stranger, "A data set")
    (stranger / "trays").mkdir()
    for index in range(60):
        tray, place = divmod(index, 3)
        image, _ = draw_plate(index, pit=tray % 3 == 2)
        cv2.imwrite(f"trays/{tray:02}_{place}_{'scratch' if tray % 3 == 2 else 'ok'}.png", image)
    (command,) = "".join(blocks("A data set", "sh")).splitlines()
    words = [*shlex.split(command)[1:], *SMALL[3:]]
    assert main(words) == 0
    (run,) = Path("runs").glob("trays-padim/*/")
    samples = pd.read_csv(run / "samples.csv")
    assert len(samples) == 60
    assert samples.groupby("group")["split"].nunique().max() == 1
    assert set(samples["defect"].dropna()) == {"scratch"}
    assert main([*words, "data={_target_: shop.trays.Trays, root: trays, god: fine}"]) == 2
    assert "good" in capsys.readouterr().err


def test_a_model_of_ones_own(stranger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(stranger, "A model")
    (run,) = run_commands("A model")
    assert run.parent.name == "synthetic-fiber-levels"
    table = pd.read_csv(run / "predictions.csv")
    assert main(["predict", str(run), str(table["image_path"][0]), "out=told"]) == 2
    assert "trust=true" in capsys.readouterr().err
    assert main(["predict", str(run), str(table["image_path"][0]), "out=told", "trust=true"]) == 0
    assert pd.read_csv("told/predictions.csv")["score"][0] == pytest.approx(table["score"][0], rel=1e-6)
    for model, expected in (
        ("{_target_: shop.levels.Levels, smooth: 4}", "Expected model.smooth to be odd, but found 4"),
        ("{_target_: shop.levels.Levels, smoth: 3}", "smooth"),
        ("{smooth: 3}", "package.module.Class"),
    ):
        assert main(["train", "data=synthetic", f"model={model}", *SMALL]) == 2
        assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("shop.levels.Levels", "Expected model.smooth to be odd, but found 4"),
        ("shp.levels.Levels", "no package 'shp' in"),
    ],
)
def test_the_installed_command_finds_packages_where_it_is_called(stranger: Path, target: str, expected: str) -> None:
    write_files(stranger, "A model")
    command = [sys.executable, "-P", "-c", "import sys; from tools.cli import main; sys.exit(main())"]  # -P: not Python
    words = ["train", "data=synthetic", f"model={{_target_: {target}, smooth: 4}}"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert expected in done.stderr


def test_a_policy_of_ones_own(stranger: Path) -> None:
    write_files(stranger, "A policy")
    (run,) = run_commands("A policy")
    chosen = json.loads((run / "calibration.json").read_text())["image"]["all"]
    assert chosen["policy"] == "AboveAllGood(margin=0.2)"
    assert chosen["promise"].startswith("It lies 0.2 of the range of")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{_target_: gauges.groups.ByGroup, at_leest: 1}", "at_least"),
        ("{_target_: gauges.groups.Chart}", "callbacks.evaluation.measures.own"),
        ("{_target_: gauges.nowhere.Thing}", "gauges"),
    ],
)
def test_a_slip_is_named_before_anything_is_trained(
    stranger: Path, capsys: pytest.CaptureFixture[str], entry: str, expected: str
) -> None:
    write_files(stranger, "A measure")
    assert main(["train", "data=synthetic", "model=padim", *SMALL, f"+callbacks.evaluation.measures.own={entry}"]) == 2
    found = capsys.readouterr()
    assert expected in found.err
    assert "Epoch" not in found.out
    assert not list(Path("runs").glob("*/*/metrics.json"))
