"""What makes a folder a bundle: the runner's code, checksums, and one zip."""

from __future__ import annotations

import importlib.util
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.runner.specification import CHECKSUMS, hash_file

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
RUNNER = "loupe_runner"
BESIDE = (  # what the runner takes from the rest of Loupe: none of it imports torch
    "datamodules/files/appearance.py",
    "datamodules/enhancing/enhancement.py",
    "datamodules/enhancing/filters.py",
    "datamodules/samples/detections.py",
    "datamodules/files/csv_text.py",
    "datamodules/files/regular_files.py",
    "datamodules/files/costs.py",
    "datamodules/files/images.py",
    "datamodules/errors.py",
    "datamodules/files/headers.py",
    "datamodules/files/suffixes.py",
    "callbacks/defects/measured.py",
    "callbacks/defects/merging.py",
    "callbacks/statistics/regions.py",
    "callbacks/defects/severity.py",
    "callbacks/report/pictures.py",
    "callbacks/statistics/drift.py",
    "callbacks/statistics/examined.py",
    "callbacks/statistics/novelty.py",
    "callbacks/statistics/usual.py",
    "models/components/joining.py",
    "models/components/laying.py",
)
REQUIREMENTS = """# What predict.py needs: the first three, and one of the two runtimes.
numpy>=2.0
opencv-python-headless>=4.10
pillow>=11.0
onnxruntime>=1.22   # or: openvino>=2025.2
"""
SCIPY = "scipy>=1.14   # merges fragments of defects, as callbacks.evaluation.defects.merge_gap of the run asks for\n"
PREDICT = '''"""Judges pictures with this bundle: python predict.py SOURCE ..."""

import sys

from loupe_runner.command import main

if __name__ == "__main__":
    sys.exit(main())
'''


def write_runner(folder: Path, *, merging: bool) -> None:
    """Put the runner into a bundle: Loupe's own reading and resizing, file by file, so that they cannot differ.

    Args:
        folder: The bundle.
        merging: Whether fragments of defects are merged, which takes SciPy.
    """
    target = folder / RUNNER
    target.mkdir()
    sources = [*sorted((ROOT / "tools" / "runner").glob("*.py")), *(ROOT / name for name in BESIDE)]
    for source in sources:
        (target / source.name).write_text(make_relative(source.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "predict.py").write_text(PREDICT, encoding="utf-8")
    requirements = REQUIREMENTS + (SCIPY if merging else "")
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")


def make_relative(code: str) -> str:
    """Turn imports from the rest of Loupe into relative ones: in a bundle, all files lie in one folder."""
    found = r"^(\s*)from (?:datamodules|callbacks|models)(?:\.\w+)*\.(\w+) import"
    return re.sub(found, r"\1from .\2 import", code, flags=re.MULTILINE)


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
