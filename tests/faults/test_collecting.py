"""A training in one pass that is killed while it collects goes on, and becomes the one that nobody touched."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.faults.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Keeps what was collected after every batch, since these are too few for a minute, and ends without a word at one.
# Every command is a process of its own, forked where all that is heavy is loaded already. What is printed: how each of
# them ended, and which checkpoints there were then.
KILLED = """
import json, os, signal, sys
import tools.runs.resuming, tools.runs.training
import models.components.unfinished as unfinished
from models.one_pass import OnePassModel
from tools.cli import main

unfinished.EVERY, unfinished.SHARE = 0.0, 1e9
collect, seen, folder = OnePassModel.collect_batch, [], sys.argv[1]

def ended(batches, words):
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def counted(self, batch):
        collect(self, batch)
        seen.append(batch)
        if len(seen) == batches:
            os.kill(os.getpid(), signal.SIGKILL)

    OnePassModel.collect_batch, status = counted, 1
    os.dup2(2, 1)
    try:
        status = main(words)
    finally:
        os._exit(status)

commands = json.loads(sys.argv[2])
left = lambda: sorted(os.listdir(folder)) if os.path.isdir(folder) else []
print(json.dumps([[ended(batches, words), left()] for batches, words in commands]))
"""
SMALL = ("data=synthetic", "data.good=60", "data.defective=16", "data.size=64", "data.image_size=[64,64]")
KEYS = (
    *(*SMALL, "data.batch_size=4", "data.num_workers=1"),  # loaders outlive a killed training by some seconds
    *("model=patchcore", "model.bank_size=200", "report=false", "name=a"),
)


def test_a_training_that_is_killed_while_it_collects_becomes_the_one_that_nobody_touched(tmp_path: Path) -> None:
    keys = (*KEYS, f"data.root={tmp_path / 'drawn'}", f"out={tmp_path}")
    whole, ended = tmp_path / "a" / "whole", tmp_path / "a" / "ended"
    commands = [(0, ["train", *keys, "id=whole"]), (2, ["train", *keys, "id=ended"]), (0, ["train", f"resume={ended}"])]
    words = [sys.executable, "-c", KILLED, str(ended / "checkpoints"), json.dumps(commands)]
    said = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    assert json.loads(said) == [[0, []], [-9, ["collected.pt"]], [0, ["best.ckpt", "last.ckpt"]]]
    for name in ("calibration.json", "predictions.csv", "metrics.json"):
        assert (ended / name).read_bytes() == (whole / name).read_bytes(), name
