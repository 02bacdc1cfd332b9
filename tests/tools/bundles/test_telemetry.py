"""Nothing is told to the makers of libraries: OpenVINO and NNCF are imported without their telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import socket, sys
calls = []
socket.socket.connect = lambda self, address: calls.append(address)
{imports}
import openvino, openvino.tools.ovc.telemetry_utils as used
assert used.tm.__name__ == "openvino.tools.ovc.telemetry_stub", used.tm
assert "openvino_telemetry" not in sys.modules
assert not calls, calls
"""


@pytest.mark.parametrize(
    "imports", ["from tools.runner.network import openvino_core; openvino_core()", "import tools.bundles.graphs"]
)
def test_openvino_tells_nothing(imports: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "TF_BUILD", "JENKINS_URL"}}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(imports=imports)],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()


def test_a_process_that_asked_for_telemetry_keeps_it() -> None:
    script = (
        "import openvino_telemetry as mine, sys\n"
        "from tools.runner.network import without_telemetry\n"
        "with without_telemetry():\n    assert sys.modules['openvino_telemetry'] is mine\n"
        "assert sys.modules['openvino_telemetry'] is mine\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
