"""Where a layer of a print belongs: its machine, job, build and number, read from the path of its file.

This file needs no torch: it ships with bundles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

COLUMNS = ("machine", "job", "build", "layer")


class LayerPlace(NamedTuple):
    """Where a layer belongs; what its path does not say is empty.

    Attributes:
        machine: That prints it.
        job: The print job; the build without its machine, where no job is named.
        build: The folders that hold it, without those that say what it is.
        layer: Its number from the bottom; None where its name has none.
    """

    machine: str
    job: str
    build: str
    layer: int | None


@dataclass(frozen=True)
class LayerPlaces:
    """Reads the place of a layer.

    Attributes:
        layer_pattern: Regular expression; what its first group matches in a file's stem is the layer's number.
        build_pattern: What its first group matches in a file's path names the build; None: folders do.
        machine_pattern: Likewise the machine; None: nothing does.
        job_pattern: Likewise the job; None, or where it matches nothing: the build without its machine.
        classes: Names of folders that say whether a layer is good, in lower case: no builds.
    """

    layer_pattern: str
    build_pattern: str | None = None
    machine_pattern: str | None = None
    job_pattern: str | None = None
    classes: Sequence[str] = ()

    def of(self, path: PurePosixPath, folders: Sequence[str]) -> LayerPlace:
        """Read the place of a layer from its path below the root of its data.

        Args:
            path: Of the file.
            folders: That name the build.
        """
        text = path.as_posix()
        build = "/".join(folders) if self.build_pattern is None else first_group(self.build_pattern, text)
        machine = first_group(self.machine_pattern, text)
        job = first_group(self.job_pattern, text) or build.removeprefix(f"{machine}/" if machine else "")
        number = first_group(self.layer_pattern, path.stem)
        return LayerPlace(machine, job, build, int(number) if number.isdecimal() else None)

    def __call__(self, name: str, place: PurePosixPath) -> LayerPlace:
        """Read the place of a layer that is predicted.

        Args:
            name: Its path as it was given, which says what folders above the source say.
            place: Its path below the source.
        """
        found = self.of(place, self._builds(place.parts[:-1]))
        above = name.replace("\\", "/")
        machine = found.machine or last_group(self.machine_pattern, above)
        build = found.build or last_group(self.build_pattern, above)
        if not build and self.build_pattern is None:
            build = next(iter(self._builds(above.split("/")[:-1][::-1])), "")
        job = first_group(self.job_pattern, place.as_posix()) or last_group(self.job_pattern, above)
        job = job or build.removeprefix(f"{machine}/" if machine else "")
        return LayerPlace(machine, job, build, found.layer)

    def _builds(self, folders: Sequence[str]) -> list[str]:
        return [folder for folder in folders if folder.strip(".") and folder.lower() not in self.classes]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``read_places``."""
        patterns = ("layer_pattern", "build_pattern", "machine_pattern", "job_pattern")
        return {name: getattr(self, name) for name in patterns} | {"classes": list(self.classes)}


def read_places(values: Mapping[str, Any] | None) -> LayerPlaces | None:
    """Read what ``to_dict`` wrote; None where there was nothing."""
    return LayerPlaces(**values) if values else None


def first_group(pattern: str | None, text: str) -> str:
    """Return what the first group of ``pattern`` matches in ``text``; empty where it matches nowhere."""
    match = re.search(pattern, text) if pattern is not None else None
    return (match[1] or "") if match else ""


def last_group(pattern: str | None, text: str) -> str:
    """Return what the first group of ``pattern`` matches where it matches last; empty where it matches nowhere."""
    found = [match[1] or "" for match in re.finditer(pattern, text)] if pattern is not None else []
    return found[-1] if found else ""
