"""Full disks and small shared memory, in mounts of their own where the machine allows them (root, on Linux)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch

from tests.faults.harness import ROOT, Tally

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.mounts import Answer

KEYS = (
    *("data=synthetic", "data.good=24", "data.defective=8", "data.size=64", "trainer=cpu", "model=conv_ae_small"),
    *("callbacks.evaluation.resamples=20", "out=/mnt", "name=runs"),
)

pytestmark = pytest.mark.slow


def in_mounts(kind: str, folder: Path, *keys: str) -> list[Answer]:
    """Run trainings in mounts that nobody else sees; return what became of each."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() or subprocess.run([unshare, "-m", "true"], check=False).returncode:
        pytest.skip("mounts of one's own need root on Linux, and a container that allows them")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [unshare, "-m", sys.executable, "-m", "tests.faults.mounts", kind, str(folder), *KEYS, *keys]
    subprocess.run([*command, f"data.root={folder / 'drawn'}"], cwd=ROOT, env=environment, check=True, timeout=1800)
    answers: list[Answer] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return answers


def differing(run: Path, whole: Path) -> list[str]:
    """Name what differs from a run that had space; everything must be readable."""
    for path in run.rglob("*.csv"):
        pd.read_csv(path)
    for path in run.glob("checkpoints/*.ckpt"):
        torch.load(path, weights_only=True)
    names = ("metrics.json", "history.csv", "predictions.csv", "calibration.json")
    return [f"{run.name}/{name}" for name in names if (run / name).read_bytes() != (whole / name).read_bytes()]


def test_a_full_disk_is_said_in_a_sentence_and_the_run_goes_on_when_there_is_space(tmp_path: Path) -> None:
    """Disks of every size from a few pages to almost enough, and of few inodes."""
    small = ("data.image_size=[64,64]", "data.batch_size=4", "data.num_workers=0", "trainer.max_epochs=3", "id=small")
    whole, *answers = in_mounts("disks", tmp_path, *small)
    assert whole["status"] == 0, whole["err"]
    tally = Tally("full disk, no inodes")
    for number, answer in enumerate(answers):
        tally.tried += 1
        status, said = answer["first"]["status"], answer["first"]["err"]
        if status not in {0, 1, 2} or (status and "loupe train: Expected" not in said):
            tally.lost.append(f"{answer['size']}: status {status}: {said[-800:]}")
        tally.tracebacks += [said] if "Traceback" in said else []
        if answer["second"]["status"]:
            tally.lost.append(f"{answer['size']} did not go on: {answer['second']['err']}")
        else:
            tally.lost += differing(tmp_path / str(number), tmp_path / "whole")
    assert sum(answer["first"]["status"] != 0 for answer in answers) > len(answers) / 2  # or they were not small disks
    tally.check()


def test_small_shared_memory_neither_hangs_nor_fails(tmp_path: Path) -> None:
    large = ("data.image_size=[512,512]", "data.num_workers=4", "data.batch_size=8", "trainer.max_steps=2")
    answers = in_mounts("memory", tmp_path, *large, "report=false")
    tally = Tally("small shared memory", tried=len(answers))
    for answer in answers:
        if answer["status"] or "not by 4 processes" not in answer["err"]:
            tally.lost.append(answer["err"][-800:])
    tally.check()
