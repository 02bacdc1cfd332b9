"""Graphs that come and go leave a process that outlives its next signal."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import openvino
import pytest
from openvino import opset13

from tools.bundles.shipping import ROOT, write_checksums

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import gc, os, signal, sys
from pathlib import Path
from tools.runner.network import Form, open_graphs

def opened():
    return open_graphs(Path(sys.argv[1]), Form("openvino", "fp32", {"model": "model.xml"}), 1)

for _ in range(3):
    first, second = opened(), opened()
    del first  # in the order in which they came
    gc.collect()
    del second
    gc.collect()
heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
print("heard", len(heard))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_process_outlives_signals_after_graphs_are_gone(tmp_path: Path) -> None:
    image = opset13.parameter([-1, 3, 8, 8], name="image")
    model = openvino.Model([opset13.relu(image)], [image], "relu")
    openvino.save_model(model, str(tmp_path / "model.xml"), compress_to_fp16=False)
    write_checksums(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "heard 1\n"), done.stderr
