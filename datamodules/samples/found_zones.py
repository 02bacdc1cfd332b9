"""Zones found on the images of a sample table: columns that say what was found, and samples that carry it.

Columns: ``found_zones`` (a line of JSON, empty where nothing was found), ``zone_support``, ``um_per_pixel`` along y and
``um_per_pixel_x``, and ``um_source``: ``given``, this ``image``'s own cladding, or the median of its ``kind``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from datamodules.zones.ellipse import Ellipse
from datamodules.zones.kinds import Sizes, priors_by_kind
from datamodules.zones.many import Face, find_all
from datamodules.zones.masks import fitted_zones, zone_map
from datamodules.zones.pooling import scales_of

from .dataset import InspectionDataset, Reading
from .survey import file_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datamodules.files.images import Array
    from datamodules.zones.finding import Zones

    from .batch import Sample

FIND = "find"


class ZonedDataset(InspectionDataset):
    """Samples with the zones that were found, drawn at the size of the sample; zones on disk go before.

    Args:
        table: Rows of a complete sample table, with ``found_zones``, ``height`` and ``width``.
        reading: How to read them.
    """

    def __init__(self, table: pd.DataFrame, reading: Reading) -> None:
        super().__init__(table, reading)
        sizes = zip(table["height"].astype(int), table["width"].astype(int), strict=True)
        self.found = list(zip(table["found_zones"].astype(str), sizes, strict=True))

    def read(self, index: int) -> Sample:
        """Read one image, and draw its zones."""
        sample = super().read(index)
        text, size = self.found[index]
        if sample.zones is not None or not text:
            return sample
        cladding, core = from_text(text)
        return replace(sample, zones=torch.from_numpy(fitted_zones(cladding, core, self.reading.placement(size))))

    def zones_on_disk(self, index: int, size: tuple[int, ...]) -> Array | None:
        """Return the zone ids of an image's own pixels, as found, unless a file has them."""
        given, (text, _) = super().zones_on_disk(index, size), self.found[index]
        if given is not None or not text or not self.reading.enhance.by_zone:
            return given
        return zone_map(*from_text(text), (size[0], size[1]))


def found_on(table: pd.DataFrame, core_um: Sizes, cladding_um: Sizes) -> pd.DataFrame:
    """Add what is found on the images of a surveyed table, and micrometres per pixel where nobody gave them.

    Raises:
        DataError: A size is not valid, or is for a kind that no image has.
    """
    priors = priors_by_kind(table["kind"], core_um, cladding_um, None)
    faces = _found(
        tuple((path, file_state(path)) for path in table["image_path"]),
        tuple(table["kind"]),
        tuple(sorted(priors.items())),
    )
    source = table.get("um_source", pd.Series("given", index=table.index))
    given = pd.to_numeric(table["um_per_pixel"], errors="coerce").where(source.isin(["given", ""]))
    own, pooled = (scales_of(faces, priors, by_kind=by_kind) for by_kind in (False, True))
    columns: dict[str, list[Any]] = {"um_per_pixel": [], "um_per_pixel_x": [], "um_source": []}
    for known, scale, of_kind in zip(given, own, pooled, strict=True):
        found = scale or of_kind
        square = known * (1.0 if scale is None else scale.x / scale.y)
        columns["um_per_pixel"].append(known if pd.notna(known) else None if found is None else found.y)
        columns["um_per_pixel_x"].append(square if pd.notna(known) else None if found is None else found.x)
        columns["um_source"].append("given" if pd.notna(known) else "" if found is None else found.source)
    return table.assign(
        found_zones=[to_text(face.zones) for face in faces],
        zone_support=[0.0 if face.zones is None else round(face.zones.support, 4) for face in faces],
        **columns,
    )


@lru_cache(maxsize=4)
def _found(
    files: tuple[tuple[str, tuple[int, ...]], ...], kinds: tuple[str, ...], priors: tuple[tuple[str, Any], ...]
) -> tuple[Face, ...]:
    """Find zones once in a process: the runs of a sweep look at the same files.

    Detectors count as by default: what an image's zones are must not depend on which others lie beside it.
    """
    faces, _ = find_all([Path(path) for path, _ in files], kinds, dict(priors), learning=False)
    return tuple(faces)


def zone_notes(samples: pd.DataFrame) -> list[str]:
    """Say in how many images no zones were found, if in any."""
    if "found_zones" not in samples:
        return []
    without = (samples["found_zones"] == "") & (samples["zones_path"] == "")
    effect = "they have no zones, and are judged by the common threshold"
    return (
        [f"No cladding was found on {int(without.sum())} of {len(samples)} images: {effect}."] if without.any() else []
    )


def to_text(zones: Zones | None) -> str:
    """Write cladding and core as a line of JSON; empty where nothing was found."""
    if zones is None or zones.cladding is None:
        return ""
    shapes = {"cladding": _plain(zones.cladding), "core": None if zones.core is None else _plain(zones.core)}
    return json.dumps(shapes | {"core_source": zones.core_source})


def from_text(text: str) -> tuple[Ellipse, Ellipse | None]:
    """Read cladding and core back."""
    values = json.loads(text)
    return Ellipse(*values["cladding"]), None if values["core"] is None else Ellipse(*values["core"])


def _plain(shape: Ellipse) -> Sequence[float]:
    return [round(float(value), 5) for value in shape]
