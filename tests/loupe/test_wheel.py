"""The wheel: whole, and at work in any folder, also one that holds packages named as Loupe's rooms are."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from loupe._rooms import ROOMS
from tests.commands import SERVED, commands, draw_folder, filled_in, serve_and_end

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("loupe", *ROOMS)
SHIPPED = {".html", ".py", ".yaml", ".j2", ".css", ".js", ".safetensors", ".typed"}
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
COMMAND = ("-c", "import sys; from loupe.__main__ import main; sys.exit(main())")
SMALL = (
    *("data=synthetic", "data.size=64", "data.image_size=[64,64]", "data.good=24", "data.defective=12"),
    *("data.num_workers=0", "trainer=cpu", "callbacks.evaluation.resamples=10"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since setuptools leaves folders beside the sources."""
    pytest.importorskip("setuptools")
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=copy, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and this one's packages without the checkout."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    (site,) = home.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in ("purelib", "platlib"):  # appended, so that .pth files there, such as the checkout's, are not read
        (site / f"{name}.pth").write_text(f"import sys; sys.path.append({sysconfig.get_path(name)!r})\n")
    for place in Path(sysconfig.get_path("purelib")).glob("*.pth"):  # packages of an environment below this one
        for line in place.read_text(encoding="utf-8").splitlines():
            if line.endswith("site-packages"):
                (site / f"{place.stem}_more.pth").write_text(f"import sys; sys.path.append({line!r})\n")
    return python


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder that holds packages named as Loupe's are."""
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise ImportError('a package of somebody else')\n")
    return tmp_path


def loupe(python: Path, cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command where every way leads to the packages of that folder first."""
    command = [str(python), *COMMAND, *args]
    return subprocess.run(command, cwd=cwd, env=environment(cwd), capture_output=True, text=True, check=False)


def environment(cwd: Path) -> dict[str, str]:
    """Return variables with which a folder's own packages are found first."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOUPE"))}
    return others | {"PYTHONPATH": str(cwd), "OMP_NUM_THREADS": "1"}


def test_the_wheel_is_whole(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        (points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "loupe = loupe.__main__:main" in archive.read(points).decode()
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        assert "Project-URL: " in archive.read(metadata).decode()
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix in SHIPPED]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    assert len(expected) > 400
    assert packed == expected
    assert {f"{name}/py.typed" for name in PACKAGES} <= packed


def test_it_works_where_packages_have_the_same_names(fresh: Path, crowded: Path) -> None:
    done = loupe(fresh, crowded, "train", "data=synthetic", "--print")
    assert done.stdout.startswith("data:"), done.stderr
    code = "import loupe, models.errors, tools; print(loupe.DataError.__module__, tools.__file__)"
    command, bare = [str(fresh), "-c", code], environment(crowded)
    done = subprocess.run(command, cwd=crowded, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    module, place = done.stdout.split()
    assert module == "datamodules.errors"
    assert Path(place).is_relative_to(fresh.parents[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("demo", *SMALL),
        ("sweep", *SMALL, "model.num_neighbors=1,3", "sweep.workers=1"),
    ],
)
def test_commands_run_there(fresh: Path, crowded: Path, command: tuple[str, ...]) -> None:
    done = loupe(fresh, crowded, *command, f"out={crowded / 'out'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((crowded / "out").rglob("metrics.json"))


@pytest.mark.slow
def test_every_command_of_the_readme_runs_there(fresh: Path, crowded: Path) -> None:
    draw_folder(crowded)
    failed = {}
    for words in commands("README.md"):
        given = filled_in(words, crowded)
        if given[0] in SERVED:
            status, told = serve_and_end([str(fresh), *COMMAND, *given], crowded, environment(crowded)), ""
        else:
            done = loupe(fresh, crowded, *given)
            status, told = done.returncode, done.stderr
        if status not in {0, 130}:
            failed[shlex.join(given)] = (status, told[-500:])
    assert failed == {}
