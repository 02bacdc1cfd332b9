"""What a bundle ships: the files of the repository, byte for byte, that find each other and nothing of a customer's."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import pytest

from datamodules.files.own_process import settle_process
from tools.bundles.imports import imported, reached
from tools.bundles.shipping import PREDICT, ROOT, load_runner, shipped, write_checksums, write_runner
from tools.runner.specification import read_checksums

ALLOWED = {"numpy", "cv2", "PIL", "onnxruntime", "openvino"}
LATE = {  # by functions that only some bundles call, whose requirements.txt names it, or that no bundle calls
    "callbacks/defects/merging.py": {"scipy"},
    **{f"datamodules/arrays/{name}.py": {"scipy"} for name in ("cells", "lattice", "repeats")},
    "models/components/inpainting.py": {"skimage"},  # biharmonic: bundles refuse it
    "searching.py": {"threadpoolctl"},
}
MODULES = {place: source for place, source in shipped().items() if source.suffix == ".py"}
ROOMS = ("callbacks", "configs", "datamodules", "models", "tools")

# Imports every shipped module where nothing can be had but the standard library and what requirements.txt names.
IMPORTING = """
import importlib, pkgutil, sys
from importlib.abc import MetaPathFinder

class Nothing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {allowed!r} | sys.stdlib_module_names:
            raise ModuleNotFoundError(f"Expected nothing beyond the requirements, but {{name}} was imported")

sys.meta_path.insert(0, Nothing())
sys.path.insert(0, {folder!r})
import loupe_runner
names = ["loupe_runner", *(found.name for found in pkgutil.walk_packages(loupe_runner.__path__, "loupe_runner."))]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""

# A customer's process: packages of its own bear the names of Loupe's rooms; OpenCV and warnings are set as it likes.
CUSTOMER = """
import sys, warnings
import cv2
import {rooms}
cv2.setNumThreads(2)
before = (list(sys.path), list(warnings.filters), cv2.getNumThreads(), cv2.utils.logging.getLogLevel())
from loupe_runner import Bundle, BundleError, Result
import loupe_runner.command
from loupe_runner.datamodules.errors import UnreadableImageError
assert before == (list(sys.path), list(warnings.filters), cv2.getNumThreads(), cv2.utils.logging.getLogLevel())
assert loupe_runner.judge.UnreadableImageError is UnreadableImageError
for room in "{rooms}".split(", "):
    assert sys.modules[room].MINE == room
    assert not [name for name in sys.modules if name.startswith(room + ".")]
import models.errors
assert models.errors.MINE == "errors"
"""


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A bundle with no model in it."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_runner(folder, merging=False)
    return folder


def isolated(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def test_what_is_shipped_is_the_repository_byte_for_byte(runner: Path) -> None:
    files = {
        path.relative_to(runner / "loupe_runner") for path in (runner / "loupe_runner").rglob("*") if path.is_file()
    }
    assert files == {Path(place) for place in shipped()}
    for place in files:
        source = ROOT / "tools" / "runner" / place if place.parent == Path() else ROOT / place
        assert (runner / "loupe_runner" / place).read_bytes() == source.read_bytes(), place
    assert (runner / "predict.py").read_text(encoding="utf-8") == PREDICT


def test_what_is_shipped_needs_only_what_its_requirements_name() -> None:
    known = sys.stdlib_module_names | ALLOWED | {*ROOMS}
    for place, source in MODULES.items():
        foreign = {name.partition(".")[0] for name in imported(source, ROOT)} - known
        assert foreign <= LATE.get(place.as_posix(), set()), f"{place} imports {foreign}"


def test_it_imports_where_nothing_else_can_be_had(runner: Path, tmp_path: Path) -> None:
    code = IMPORTING.format(allowed=ALLOWED | {"loupe_runner"}, folder=str(runner))
    done = isolated(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(MODULES)


def test_it_does_not_look_at_packages_of_the_same_names_and_leaves_the_process_as_it_is(runner: Path) -> None:
    for room in ROOMS:
        (runner / room).mkdir()
        (runner / room / "__init__.py").write_text(f"MINE = {room!r}\n")
        (runner / room / "errors.py").write_text("MINE = 'errors'\n")
    code = f"import sys; sys.path.insert(0, {str(runner)!r})\n" + CUSTOMER.format(rooms=", ".join(ROOMS))
    done = isolated(code, runner)
    assert done.returncode == 0, done.stderr
    started = subprocess.run(
        [sys.executable, "predict.py", "--help"], cwd=runner, capture_output=True, text=True, check=False
    )
    assert started.stdout.startswith("usage: predict.py"), started.stderr
    started = subprocess.run(
        [sys.executable, "-m", "loupe_runner"], cwd=runner, capture_output=True, text=True, check=False
    )
    assert started.stderr.startswith("predict: Expected a source"), started.stderr


def test_bundles_of_two_versions_live_in_one_process(tmp_path: Path) -> None:
    runners = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_runner(tmp_path / name, merging=False)
        errors = tmp_path / name / "loupe_runner" / "datamodules" / "errors.py"
        errors.write_text(errors.read_text(encoding="utf-8") + f"VERSION = {name!r}\n", encoding="utf-8")
        runners.append(load_runner(tmp_path / name))
    versions = [sys.modules[runner.judge.UnreadableImageError.__module__].VERSION for runner in runners]
    assert versions == ["one", "other"]
    finders = len(sys.meta_path)
    assert load_runner(tmp_path / "one").Bundle is not runners[0].Bundle  # read anew
    assert len(sys.meta_path) == finders


def test_a_bundle_holds_sources_only(runner: Path) -> None:
    write_checksums(runner)
    load_runner(runner)
    held = {path.relative_to(runner).as_posix() for path in runner.rglob("*") if path.is_file()}
    assert held == {*read_checksums(runner), "checksums.sha256"}


def test_a_traceback_shows_the_shipped_line(runner: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(runner)!r})\n"
        "from loupe_runner.datamodules.files.images import read_image\nread_image('absent.png')"
    )
    done = isolated(code, runner)
    place = runner / "loupe_runner" / "datamodules" / "files" / "images.py"
    lines = place.read_text(encoding="utf-8").splitlines()
    shown = [line for line in done.stderr.splitlines() if str(place) in line]
    numbers = [int(line.split("line ")[1].split(",")[0]) for line in shown]
    assert numbers
    assert all(lines[number - 1].strip() in done.stderr for number in numbers)


def test_imports_are_followed_to_their_ends(tmp_path: Path) -> None:
    sources = {
        "a/__init__.py": "",
        "a/b.py": "from typing import TYPE_CHECKING\nfrom . import c\nif TYPE_CHECKING:\n    import a.never\n",
        "a/c.py": "def f():\n    from d.e import g, name\n    import d.h as x\n",
        "a/never.py": "",
        "d/__init__.py": "",
        "d/e/__init__.py": "try:\n    import numpy\nexcept ImportError:\n    from ..i import j\n",
        "d/e/g.py": "",
        "d/h.py": "",
        "d/i.py": "",
        "d/other.py": "import a.b",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {path.relative_to(tmp_path).as_posix() for path in reached([tmp_path / "a" / "b.py"], tmp_path)}
    assert found == sources.keys() - {"a/never.py", "d/other.py"}


def test_a_command_settles_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cv2.getNumThreads(), cv2.utils.logging.getLogLevel()
    for name in ("OPENCV_FOR_THREADS_NUM", "OPENCV_LOG_LEVEL", "OPENCV_FFMPEG_LOGLEVEL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "DEBUG")
    try:
        with warnings.catch_warnings():
            cv2.setNumThreads(2)
            settle_process()
            assert cv2.getNumThreads() == 1
            assert os.environ["OPENCV_FOR_THREADS_NUM"] == "1"
            assert os.environ["OPENCV_LOG_LEVEL"] == "DEBUG"
            assert warnings.filters[0][0] == "ignore"
    finally:
        cv2.setNumThreads(before[0])
        cv2.utils.logging.setLogLevel(before[1])
