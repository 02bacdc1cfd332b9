"""A training in one pass that is killed while it collects goes on, and becomes the one that nobody touched."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.faults.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Keeps what was collected after every batch, since these are too few for a minute, and ends without a word at one.
KILLED = """
import os, signal, sys
import models.components.unfinished as unfinished
from models.one_pass import OnePassModel
from tools.cli import main

unfinished.EVERY, unfinished.SHARE = 0.0, 1e9
collect, seen = OnePassModel.collect_batch, []

def counted(self, batch):
    collect(self, batch)
    seen.append(batch)
    if len(seen) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

OnePassModel.collect_batch = counted
sys.exit(main(sys.argv[2:]))
"""
SMALL = ("data=synthetic", "data.good=60", "data.defective=16", "data.size=64", "data.image_size=[64,64]")
KEYS = (*SMALL, "data.batch_size=4", "model=patchcore", "model.bank_size=200", "report=false", "name=a")


def ran(*words: str) -> int:
    return subprocess.run([sys.executable, "-c", KILLED, *words], cwd=ROOT, capture_output=True, check=False).returncode


def test_a_training_that_is_killed_while_it_collects_becomes_the_one_that_nobody_touched(tmp_path: Path) -> None:
    keys = (*KEYS, f"data.root={tmp_path / 'drawn'}", f"out={tmp_path}")
    whole, ended = tmp_path / "a" / "whole", tmp_path / "a" / "ended"
    assert ran("0", "train", *keys, "id=whole") == 0
    assert ran("2", "train", *keys, "id=ended") == -9
    assert [path.name for path in (ended / "checkpoints").iterdir()] == ["collected.pt"]
    assert ran("0", "train", f"resume={ended}") == 0
    assert sorted(path.name for path in (ended / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    for name in ("calibration.json", "predictions.csv", "metrics.json"):
        assert (ended / name).read_bytes() == (whole / name).read_bytes(), name
