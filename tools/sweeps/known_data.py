"""Hashes of data sets: read again only where their files look other than they did."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .journal import Journal

    Identify = Callable[[dict[str, Any]], tuple[str, list[str]]]


class KnownData:
    """Knows the content of data by hash, from the journal of earlier commands where nothing has changed since.

    Args:
        journal: Remembers.
        identify: Reads the data of a config; returns the hash, and the files and folders that it depends on.
    """

    def __init__(self, journal: Journal, identify: Identify) -> None:
        self._journal, self._identify = journal, identify
        self._noted = journal.data
        self._hashes: dict[str, str] = {}
        self._refused: dict[str, ValueError] = {}
        self._before: dict[tuple[str, ...], str] = {}
        self._now: dict[tuple[str, ...], str] = {}

    def knows(self, config: dict[str, Any]) -> bool:
        """Tell whether a config's data need not be read."""
        about = about_data(config)
        return about in self._hashes or about in self._refused or bool(self._remembered(about))

    def of(self, config: dict[str, Any]) -> str:
        """Return the hash of a config's data.

        Raises:
            DataError, ConfigError: As reading it does; once refused, it is not read again.
        """
        about = about_data(config)
        if about in self._refused:
            raise self._refused[about]
        if about not in self._hashes:
            self._hashes[about] = self._remembered(about) or self._read(about, config)
        return self._hashes[about]

    def _remembered(self, about: str) -> str:
        noted = self._noted.get(about)
        if noted is None or not noted["places"]:
            return ""
        places = tuple(noted["places"])
        if places not in self._before:
            self._before[places] = fingerprint(places)
        return str(noted["data"]) if self._before[places] == noted["seen"] else ""

    def _read(self, about: str, config: dict[str, Any]) -> str:
        try:
            data, found = self._identify(config)
        except ValueError as error:  # the kinds that say what is wrong with data or config
            self._refused[about] = error
            raise
        places = tuple(found)
        if places:
            if places not in self._now:
                self._now[places] = fingerprint(places)
            self._journal.note_data(about, data, self._now[places], found)
        return data


def about_data(config: dict[str, Any]) -> str:
    """Name what a config says about its data, and the version that reads it."""
    about = json.dumps([importlib.metadata.version("loupe-inspect"), config["data"]], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def fingerprint(places: Sequence[str]) -> str:
    """Hash names, sizes and times of change of files: nothing is read, so that it takes no time."""
    hashed = hashlib.sha256()
    for place in places:
        for path in sorted(_files(Path(place))):
            try:
                seen = path.stat()
            except OSError:
                continue
            line = f"{path}\0{seen.st_size}\0{seen.st_mtime_ns}\0{seen.st_ctime_ns}\n"
            hashed.update(line.encode("utf-8", "surrogateescape"))
    return hashed.hexdigest()[:16]


def _files(place: Path) -> Iterator[Path]:
    """List a file, or all that lie under a folder, links followed once."""
    if place.is_file():
        yield place
    seen: set[str] = set()
    for folder, folders, names in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(folder) / name for name in names)
