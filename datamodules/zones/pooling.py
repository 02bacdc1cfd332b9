"""Scale and aspect over a data set: each face's own, or the median over its kind and image size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scale import Scale, scale_of_image, scale_of_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .many import Face
    from .prior import Prior


def scales_of(faces: Sequence[Face], priors: Mapping[str, Prior], *, by_kind: bool) -> list[Scale | None]:
    """Return the scale of every face; without zones, that of its kind, where it is asked for and known."""
    own = [_own_scale(face, priors) for face in faces]
    if not by_kind:
        return own
    together: dict[tuple[str, tuple[int, int]], list[Scale]] = {}
    for face, scale in zip(faces, own, strict=True):
        if scale is not None:
            together.setdefault((face.kind, face.size), []).append(scale)
    pooled = {key: scale_of_kind(scales) for key, scales in together.items()}
    return [pooled.get((face.kind, face.size)) or scale for face, scale in zip(faces, own, strict=True)]


def _own_scale(face: Face, priors: Mapping[str, Prior]) -> Scale | None:
    cladding = None if face.zones is None else face.zones.cladding
    return None if cladding is None else scale_of_image(cladding, priors[face.kind])


def usual_aspects(faces: Sequence[Face], priors: Mapping[str, Prior]) -> dict[tuple[str, tuple[int, int]], float]:
    """Return a circle's aspect by kind and image size: given, or the median where there are enough images."""
    scales = scales_of(faces, priors, by_kind=True)
    return {
        (face.kind, face.size): priors[face.kind].aspect or scale.y / scale.x
        for face, scale in zip(faces, scales, strict=True)
        if scale is not None and (scale.source == "kind" or priors[face.kind].aspect)
    }
