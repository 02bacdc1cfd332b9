"""Runs trainings on small disks and with small shared memory; the mounts are nobody else's.

``unshare -m python -m tests.faults.mounts disks FOLDER KEYS...`` as root. Leaves ``answers.json`` in FOLDER, and what
each disk held in the end in folders of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.faults.warm import become

PLACE = Path("/mnt")
ROOMY = "size=64m,nr_inodes=9000"
DISKS = (
    *(f"size={kib}k,nr_inodes=2000" for kib in (8, 24, 60, 120, 200, 280, 360, 440, 520, 600, 800, 1000, 1400)),
    *(f"size=64m,nr_inodes={count}" for count in (4, 6, 8, 10, 12, 14, 17, 20)),
)
SHARED = ("8m", "64m", "128m")

Answer = dict[str, Any]


def mount(place: str | Path, options: str) -> None:
    """Mount a disk of memory over a folder, or change the one that is there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)  # noqa: S607 - the system's


def loupe(folder: Path, *args: str) -> Answer:
    """Run a command in a process that has everything loaded; return its status, and what it said."""
    out, err = folder / "out.txt", folder / "err.txt"
    child = os.fork()
    if not child:
        become(list(args), str(folder), str(out), str(err))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"status": status, "out": out.read_text(encoding="utf-8"), "err": err.read_text(encoding="utf-8")}


def full_disks(folder: Path, keys: list[str]) -> list[Answer]:
    """Train on each small disk, make it roomy, and go on."""
    mount(PLACE, ROOMY)
    answers = [loupe(folder, "train", *keys)]
    run = PLACE / "runs" / "small"
    shutil.copytree(run, folder / "whole")
    for number, size in enumerate(DISKS):
        mount(PLACE, size)
        first = loupe(folder, "train", *keys)
        mount(PLACE, f"remount,{ROOMY}")
        begun = (run / "config.yaml").is_file()
        if not begun:
            shutil.rmtree(PLACE / "runs", ignore_errors=True)
        second = loupe(folder, "train", *([f"resume={run}"] if begun else keys))
        shutil.copytree(run, folder / str(number))
        answers.append({"size": size, "first": first, "second": second})
    return answers


def small_memory(folder: Path, keys: list[str]) -> list[Answer]:
    """Train with each small shared memory."""
    mount(PLACE, "size=512m")
    answers = []
    for size in SHARED:
        mount("/dev/shm", f"size={size}")  # noqa: S108 - that is what is small
        answers.append(loupe(folder, "train", *keys, f"id=with-{size}"))
    return answers


if __name__ == "__main__":
    import tools.runs.repeating
    import tools.runs.resuming  # noqa: F401 - loaded once for all

    kind, folder, *keys = sys.argv[1:]
    answers = {"disks": full_disks, "memory": small_memory}[kind](Path(folder), keys)
    (Path(folder) / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
