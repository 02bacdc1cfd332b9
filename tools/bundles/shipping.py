"""What makes a folder a bundle: the runner's code, checksums, and one zip."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from callbacks.report.assets import FOLDER
from callbacks.report.lot_page import FILES
from tools.runner.specification import CHECKSUMS, hash_file

from .imports import reached

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
RUNNER = "loupe_runner"
REQUIREMENTS = """# What predict.py needs: the first three, and one of the two runtimes.
numpy>=2.0
opencv-python-headless>=4.10
pillow>=11.0
onnxruntime>=1.22   # or: openvino>=2025.2
"""
SCIPY = "scipy>=1.14   # {}\n"
THREADPOOLCTL = "threadpoolctl>=3.5   # searches a large bank\n"
MERGING = "merges fragments of defects, as callbacks.evaluation.defects.merge_gap of the run asks for"
ARRAYS = "finds the lattices of arrays"
PREDICT = '''"""Judges pictures with this bundle: python predict.py SOURCE ..."""

import sys

from loupe_runner.command import main

if __name__ == "__main__":
    sys.exit(main())
'''


def write_runner(folder: Path, *, merging: bool, arrays: bool = False, searching: bool = False) -> None:
    """Put the runner into a bundle, with all of Loupe that it imports, byte for byte: they judge by the same code.

    Args:
        folder: The bundle.
        merging: Whether fragments of defects are merged, which takes SciPy.
        arrays: Whether it judges cells within their arrays, which takes SciPy, too.
        searching: Whether it searches a large bank, which takes threadpoolctl.
    """
    for place, source in shipped().items():
        target = folder / RUNNER / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (folder / "predict.py").write_text(PREDICT, encoding="utf-8")
    uses = [use for use, needed in ((MERGING, merging), (ARRAYS, arrays)) if needed]
    requirements = REQUIREMENTS + (SCIPY.format("; ".join(uses)) if uses else "")
    requirements += THREADPOOLCTL if searching else ""
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")


@cache
def shipped() -> Mapping[PurePosixPath, Path]:
    """Say which files a bundle holds below ``loupe_runner``, by their places there.

    Those of ``tools/runner`` lie at the top, and the rooms that they import from below it, as in the repository;
    ``tools.runner.rooms`` lets them find each other.

    Raises:
        RuntimeError: The runner leans on another part of ``tools``: it could not be shipped.
    """
    home = ROOT / "tools" / "runner"
    files: dict[PurePosixPath, Path] = {}
    for source in reached(sorted(home.glob("*.py")), ROOT):
        if source.parent == home:
            files[PurePosixPath(source.name)] = source
        elif source.is_relative_to(ROOT / "tools"):
            if source != ROOT / "tools" / "__init__.py":
                raise RuntimeError(f"Expected tools/runner to stand on its own, but it imports {source}.")
        else:
            files[PurePosixPath(source.relative_to(ROOT).as_posix())] = source
    pages = PurePosixPath(FOLDER.relative_to(ROOT).as_posix())
    return files | {pages / name: FOLDER / name for name in FILES}


def load_runner(folder: Path) -> ModuleType:
    """Import the runner that lies in a bundle, under a name of its own: what is judged is what is shipped."""
    name = f"{RUNNER}_{abs(hash(str(folder)))}"
    for known in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
        del sys.modules[known]
    path = folder / RUNNER / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)])
    if spec is None or spec.loader is None:
        raise ImportError(f"Expected a runner at {path}, but found none.")
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a bundle holds sources only
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module  # type: ignore[no-any-return]  # found at run time


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file, in the form that ``sha256sum --check`` reads."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != CHECKSUMS and "__pycache__" not in path.parts
    )
    lines = [f"{hash_file(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def write_zip(folder: Path) -> Path:
    """Pack a bundle into one zip beside it, all below one folder."""
    path = folder.with_name(f"{folder.name}.zip")
    part = path.with_name(f".{path.name}")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, Path(folder.name) / file.relative_to(folder))
    part.replace(path)
    return path
