"""The end of ``loupe demo``: a command that opens the page on what was just trained, as it is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .conftest import Running

SMALL = (
    *("data.image_size=[32,32]", "data.size=32", "data.good=30", "data.defective=14", "data.num_workers=0"),
    *("trainer=cpu", "report=false", "callbacks.evaluation.resamples=10"),
)


def test_the_command_that_the_demo_ends_with_serves_its_run(tmp_path: Path) -> None:
    beside = str(Path(sys.executable).parent)  # make leaves it out of the path, too
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != beside)
    environment = os.environ | {"PATH": path}
    demo = [sys.executable, "-m", "loupe", "demo", *SMALL]
    said = subprocess.run(demo, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    command = said.rstrip().splitlines()[-1].partition("in a browser: ")[2]
    shell = ["/bin/sh", "-c", f"exec {command} port=0"]
    process = subprocess.Popen(shell, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(" (")[0].rpartition(":")[2])
        server = Running(process, port, tmp_path / "log", tmp_path)
        assert b"Drop images" in server.get("/").body
        assert len(server.get("/models").json) == 1
    finally:
        process.terminate()
        process.wait(30)
    assert command.endswith(next(tmp_path.glob("runs/*/*/config.yaml")).parent.relative_to(tmp_path).as_posix())
