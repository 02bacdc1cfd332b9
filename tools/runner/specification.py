"""A bundle's ``spec.json`` and its checksums: what is believed, and what is refused."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NoReturn

from datamodules.files.regular_files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "loupe-bundle/1"
SPEC = "spec.json"
CHECKSUMS = "checksums.sha256"
CLOUD, CLOUD_FILE = "cloud", "cloud.json"  # what of spec.json says that embeddings are told, and where usual ones lie
BY_KIND = "by_kind.json"  # of several models: which folder judges which kind, and how kinds are told
LARGEST_JSON = 256 << 20  # bytes: peaks of good images make them long
_BLOCK = 1 << 20  # bytes that are hashed at a time: graphs may be larger than memory


class BundleError(ValueError):
    """The bundle, or the way it is used, does not work. The message says what was expected, found, and what to do."""


def read_spec(folder: Path) -> dict[str, Any]:
    """Read ``spec.json``.

    Raises:
        BundleError: There is no bundle, or one of another schema.
    """
    path = folder / SPEC
    if not path.is_file():
        hint = "unzip it first" if folder.suffix == ".zip" else 'give the folder that "loupe export" made'
        raise BundleError(f"Expected a bundle with {SPEC}, but found none at {folder}; {hint}.")
    spec = read_object(path)
    found = spec.get("schema")
    if found != SCHEMA:
        raise BundleError(
            f"Expected a bundle of schema {SCHEMA}, but found {found!r}; use the runner that lies in the bundle itself."
        )
    return spec


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file of keys and values.

    Raises:
        BundleError: It is not one, or holds a number that is not finite.
    """
    try:
        found = json.loads(read_regular(path, LARGEST_JSON).decode("utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as error:
        raise BundleError(f"Expected to read {path}, but: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"Expected {path} to be JSON, but {error}; if it was edited, mend the edit.") from error
    if not isinstance(found, dict):
        raise BundleError(f"Expected {path} to hold keys and values, but found a {type(found).__name__}.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, where a number has to be finite")


def read_checksums(folder: Path) -> dict[str, str]:
    """Read ``checksums.sha256``, in the form of ``sha256sum``: from file name to hash.

    Raises:
        BundleError: It is missing, or no text.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        raise BundleError(f"Expected {CHECKSUMS} in {folder}, but found none; copy the whole bundle again.")
    try:
        lines = read_regular(path, LARGEST_JSON).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"Expected {path} to be a list of checksums, but: {error}; copy the bundle again.") from error
    return {name: value for value, _, name in (line.partition("  ") for line in lines) if name}


def check_files(folder: Path, names: list[str]) -> None:
    """Refuse files that differ from what was exported.

    Raises:
        BundleError: One is missing, unknown, or another than the one that passed the parity gate.
    """
    expected = read_checksums(folder)
    for name in names:
        if not (folder / name).is_file():
            raise BundleError(f"Expected {name} in the bundle {folder}, but found none; copy the whole bundle again.")
        if expected.get(name) != hash_file(folder / name):
            raise BundleError(
                f"Expected {folder / name} to be as it was exported, but its checksum differs; copy the bundle again. "
                f"Only {SPEC} may be edited, to move a threshold."
            )


def is_edited(folder: Path) -> bool:
    """Tell whether ``spec.json`` differs from what was exported, as it does once a threshold was moved by hand."""
    return read_checksums(folder).get(SPEC) != hash_file(folder / SPEC)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
