"""Where configs lie: Loupe's own, and those of a folder of one's own, which ``--config-dir=DIR`` names.

The folder is laid out as Loupe's ``configs`` is: ``model/NAME.yaml`` is chosen by ``model=NAME``, and may extend one of
Loupe's by ``defaults: [patchcore]``. Of two files of one name, Loupe's own counts.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from configs import CONFIG_DIR
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FLAG = "--config-dir"
_STATE = "LOUPE_CONFIG_DIR"  # in the environment, so that the processes of a sweep know, too


def take_config_dir(args: Sequence[str]) -> tuple[list[str], Path | None]:
    """Take ``--config-dir=DIR`` or ``--config-dir DIR`` out of the arguments of a command; of several, the last counts.

    Raises:
        ConfigError: There is no such folder, or it is without a config in a folder that is named as a group is.
    """
    rest, found, waiting = [], None, False
    for arg in args:
        if waiting or arg.startswith(f"{FLAG}="):
            found, waiting = arg.removeprefix(f"{FLAG}="), False
        elif arg == FLAG:
            waiting = True
        else:
            rest.append(arg)
    if waiting or found == "":
        raise ConfigError(f"Expected {FLAG}=DIR, a folder of configs, but found no folder.")
    return rest, None if found is None else _checked(Path(found).expanduser().resolve())


@contextmanager
def searching(folder: Path | None) -> Iterator[None]:
    """Let the configs of a folder be chosen inside the block; None: those of the folder that is searched already."""
    before = os.environ.get(_STATE)
    if folder is not None:
        os.environ[_STATE] = str(folder)
    try:
        yield
    finally:
        if before is not None:
            os.environ[_STATE] = before
        elif folder is not None:
            del os.environ[_STATE]


def own_folder() -> Path | None:
    """Return the folder of one's own configs, if there is one."""
    found = os.environ.get(_STATE)
    return Path(found) if found else None


def config_folders() -> list[Path]:
    """List the folders of configs, Loupe's first."""
    own = own_folder()
    return [CONFIG_DIR] if own is None else [CONFIG_DIR, own]


def choice_file(group: str, choice: str) -> Path:
    """Return the file of a choice that there is."""
    files = [folder / group / f"{choice}.yaml" for folder in config_folders()]
    return next((file for file in files if file.is_file()), files[0])


def _checked(folder: Path) -> Path:
    known = sorted(path.name for path in CONFIG_DIR.iterdir() if path.is_dir() and any(path.glob("*.yaml")))
    if not folder.is_dir():
        raise ConfigError(f"Expected {FLAG} to be a folder of configs, but found none at {folder}.")
    if not any(any((folder / group).glob("*.yaml")) for group in known):
        raise ConfigError(
            f"Expected {FLAG} to be a folder with configs such as model/NAME.yaml, but {folder} has none in a folder "
            f"of these names: {', '.join(known)}."
        )
    return folder
