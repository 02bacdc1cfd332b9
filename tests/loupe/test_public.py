"""``import loupe``: one file with the public names, loaded when they are asked for, whoever else has such rooms."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import loupe
from loupe._rooms import ROOMS

ROOT = Path(__file__).resolve().parents[2]

LIGHT = """
import json, sys, time
before = set(sys.modules)
started = time.process_time()
import loupe
took = time.process_time() - started
heavy = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
loupe.Bundle, loupe.DataError
print(json.dumps([took, heavy, sorted({"torch", "pandas", "hydra"} & set(sys.modules))]))
"""


def run(code: str, cwd: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *flags, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def test_what_checkers_see_is_what_is_loaded() -> None:
    tree = ast.parse(Path(loupe.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == loupe._HOMES
    assert set(loupe.__all__) == set(seen)


@pytest.mark.parametrize("name", loupe.__all__)
def test_every_name_is_there(name: str) -> None:
    value = getattr(loupe, name)
    assert value.__name__ == name
    assert name in dir(loupe)


def test_all_data_modules_and_models_of_the_configs_are_public() -> None:
    named = {
        line.rpartition(".")[2].strip()
        for group in ("data", "model")
        for path in (ROOT / "configs" / group).glob("*.yaml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("_target_:")
    }
    assert len(named) > 15
    assert named <= set(loupe.__all__)


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'PatchKore'"):
        _ = loupe.PatchKore


def test_importing_it_loads_nothing(tmp_path: Path) -> None:
    done = run(LIGHT, tmp_path)
    assert done.returncode == 0, done.stderr
    took, modules, heavy = json.loads(done.stdout)
    assert took < 0.2
    assert set(modules) <= {"loupe", *sys.stdlib_module_names}
    assert not heavy  # a bundle needs no torch


def test_rooms_are_loupes_in_a_folder_that_holds_others(tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("MINE = True\n")
    code = "import loupe, models, tools.errors; print(models.__file__, hasattr(models, 'MINE'))"
    done = run(code, tmp_path)
    assert done.stdout.split() == [str(ROOT / "models" / "__init__.py"), "False"], done.stderr
    shown = subprocess.run(
        [sys.executable, "-m", "loupe", "train", "data=synthetic", "--print"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.stdout.startswith("data:"), shown.stderr


def test_a_strangers_package_that_is_imported_already_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    done = run("import models\nimport loupe", tmp_path)
    said = f"Expected the name 'models' to be free for Loupe, but {tmp_path / 'models'} was imported by it"
    assert said in done.stderr
