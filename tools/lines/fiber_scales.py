"""Micrometres per pixel by kind and image size, over a lot: looked at once before it is inspected."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from datamodules.errors import UnreadableImageError
from datamodules.progress import track
from datamodules.zones.finding import find_zones
from datamodules.zones.scale import scale_of_image, scale_of_kind
from tools.runner.sources import find_images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datamodules.zones.prior import Prior
    from datamodules.zones.scale import Scale
    from tools.runner.input_image import InputImage

Key: TypeAlias = tuple[str, int, int]
"""Kind, and height and width of the image on disk: one microscope at one magnification."""


def kind_of(image: InputImage) -> str:
    """Return the kind of an image: its folder below what the sources share; empty at the top."""
    folder = image.place.parent.as_posix()
    return "" if folder == "." else folder


def usual_scales(
    sources: Sequence[str], every: int, prior_of: Callable[[str], Prior], weights: Mapping[str, float] | None
) -> dict[Key, Scale]:
    """Return the median scale of every kind and image size that has enough claddings."""
    found: dict[Key, list[Scale]] = {}
    for image in track(find_images(sources, every), "measuring scales"):
        kind = kind_of(image)
        try:
            values = image.read()
        except UnreadableImageError:
            continue
        prior = prior_of(kind)
        zones = find_zones(values, prior, weights)
        if zones.cladding is not None:
            key = (kind, values.shape[0], values.shape[1])
            found.setdefault(key, []).append(scale_of_image(zones.cladding, prior))
    pooled = {key: scale_of_kind(scales) for key, scales in found.items()}
    return {key: scale for key, scale in pooled.items() if scale is not None}
