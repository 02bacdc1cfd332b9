"""The interface against its own OpenAPI, by schemathesis where that is installed (it is no dependency: pipx has it)."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Running

NOT_FOR_FORMS = "negative_data_rejection"  # a form's file is bytes, whatever they are: no type of JSON is wrong there


def test_answers_are_those_that_openapi_announces(server: Running, tmp_path: Path) -> None:
    program = shutil.which("schemathesis")
    if program is None:
        pytest.skip("needs schemathesis")
    command = [program, "run", f"{server.address}/openapi.json", "--seed", "1", "--exclude-checks", NOT_FOR_FORMS]
    found = subprocess.run(
        [*command, "--max-examples", "30"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stdout[-4000:]
    assert "Tested: 4" in found.stdout
