"""Output that nobody takes: a reader that is gone ends a command quietly, a full disk in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (["--help"], ["--version"], ["train", "--help"], ["train", "--print"], ["runs", "out=."])


def run(args: list[str], output: int, unbuffered: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    try:
        return subprocess.run(
            [sys.executable, "-m", "tools", *args],
            stdout=output,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            text=True,
            check=False,
        )
    finally:
        os.close(output)


@pytest.mark.parametrize("args", COMMANDS)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_is_gone_ends_the_command_quietly(args: list[str], unbuffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = run(args, write, unbuffered)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", COMMANDS)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_on_a_full_disk_ends_in_one_sentence(args: list[str], unbuffered: str) -> None:
    ended = run(args, os.open("/dev/full", os.O_WRONLY), unbuffered)
    assert ended.returncode == 1
    assert ended.stderr.count("Expected space, but the disk is full") == 1
    assert len(ended.stderr.strip().splitlines()) == 1
