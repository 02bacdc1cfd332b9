"""What a run and its export leave is readable by whoever the umask lets read: a colleague, a service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_every_file_and_folder_has_the_mode_of_the_umask(run: Path, exported: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    paths = [path for path in run.rglob("*") if not path.is_symlink()]
    assert any(exported in path.parents for path in paths)
    modes = {str(path.relative_to(run)): path.stat().st_mode & 0o777 for path in paths}
    due = {str(path.relative_to(run)): (0o777 if path.is_dir() else 0o666) & ~umask for path in paths}
    wrong = {name: oct(mode) for name, mode in modes.items() if mode != due[name]}
    assert wrong == {}
