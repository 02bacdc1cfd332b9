"""Zones over a data set: weights learned on it, a second decision with them, and a look at what does not belong.

Images are files, read one at a time, so that memory does not grow with their number.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError
from datamodules.files.images import read_image
from datamodules.progress import track

from .consensus import groups
from .finding import SUPPORT, TRIED, Zones, decide, detect_all
from .view import make_view
from .weights import DEFAULT_WEIGHTS, FEWEST, as_weights, learn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .prior import Prior

STEADY = 0.05  # of the median radius: a microscope that does not zoom keeps within it
FEWEST_STEADY = 5  # images of a kind and size from which their usual radius is known
MOSTLY = 0.8  # of the images that keep within it
STRAY = 0.2  # of the median radius: beyond, it is another circle


@dataclass(frozen=True)
class Face:
    """What became of one image.

    Attributes:
        path: The file.
        size: Height and width in pixels; (0, 0) where it cannot be read.
        kind: Which faces share sizes and microscope.
        zones: What was found; None where the file cannot be read.
        problem: Why nothing was found, or why it cannot be read; None where zones were found.
    """

    path: Path
    size: tuple[int, int]
    kind: str
    zones: Zones | None
    problem: UnreadableImageError | None

    @property
    def found(self) -> bool:
        """Whether there are zones to go by."""
        return self.zones is not None and self.zones.found


def find_all(
    paths: Sequence[Path],
    kinds: Sequence[str],
    priors: Mapping[str, Prior],
    weights: Mapping[str, float] | None = None,
    *,
    learning: bool = True,
) -> tuple[list[Face], dict[str, float]]:
    """Find the zones of every image.

    Args:
        paths: The files.
        kinds: Of each.
        priors: By kind.
        weights: Of the detectors to begin with; None: the default.
        learning: Learn weights on these images, and decide again with them.

    Returns:
        The faces in order, and the agreement of each detector on them; empty where they are too few to learn from.
    """
    start = DEFAULT_WEIGHTS if weights is None else weights
    first = _each(paths, kinds, priors, start)
    found = [face.zones for face in first if face.zones is not None and face.zones.found]
    if not learning or len(found) < FEWEST:
        return without_strays(first), {}
    agreement = learn([zones.detections for zones in found], [zones.in_view for zones in found])
    again = [_decide_again(face, priors[face.kind], as_weights(agreement)) for face in first]
    return without_strays(again), agreement


def _each(
    paths: Sequence[Path], kinds: Sequence[str], priors: Mapping[str, Prior], weights: Mapping[str, float]
) -> list[Face]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        faces = pool.map(lambda path, kind: find_face(path, kind, priors[kind], weights), paths, kinds)
        return list(track(faces, "finding zones", total=len(paths)))


def find_face(path: Path, kind: str, prior: Prior, weights: Mapping[str, float]) -> Face:
    """Find the zones of one file, whatever is wrong with it."""
    try:
        values = read_image(path)
    except UnreadableImageError as error:
        return Face(path, (0, 0), kind, None, error)
    view = make_view(values, prior.aspect or 1.0)
    zones = decide(view, detect_all(view), prior, weights)
    return Face(path, (values.shape[0], values.shape[1]), kind, zones, _missing(path, zones))


def _missing(path: Path, zones: Zones) -> UnreadableImageError | None:
    if zones.found:
        return None
    what = f"shows no cladding for certain (support {zones.support:.2f} of {SUPPORT:g})"
    return UnreadableImageError(path, what, "look at its overlay; clean the face, or leave the image out")


def _decide_again(face: Face, prior: Prior, weights: Mapping[str, float]) -> Face:
    """Decide with other weights; the image is read again only where that may change the answer."""
    zones = face.zones
    if zones is None:
        return face
    before, after = (groups(zones.detections, used)[:TRIED] for used in (zones.weights, weights))
    same = bool(before) and [group.methods for group in before[:1]] == [group.methods for group in after[:1]]
    if same and zones.found and zones.methods == after[0].methods and zones.support > 0:
        level = zones.support * (after[0].share / before[0].share) ** 0.5
        if level >= SUPPORT:
            return replace(face, zones=replace(zones, support=min(level, 1.0), weights=dict(weights)))
    return find_face(face.path, face.kind, prior, weights)


def without_strays(faces: Sequence[Face]) -> list[Face]:
    """Take back what does not belong: where a kind's claddings are nearly all of one size, another circle is not one.

    That is how a core under oil looks. Kinds whose images are zoomed are left alone.
    """
    radius: dict[tuple[str, tuple[int, int]], list[float]] = {}
    for face in faces:
        if face.zones is not None and face.zones.cladding is not None:
            radius.setdefault((face.kind, face.size), []).append(face.zones.cladding.radius)
    usual = {key: usual_radius(values) for key, values in radius.items()}
    return [_checked(face, usual.get((face.kind, face.size))) for face in faces]


def usual_radius(values: Sequence[float]) -> float | None:
    """Return the median radius where nearly all claddings keep to it; None where there are too few, or they differ."""
    middle = median(values)
    steady = sum(abs(value / middle - 1) <= STEADY for value in values)
    return middle if len(values) >= FEWEST_STEADY and steady >= MOSTLY * len(values) else None


def _checked(face: Face, usual: float | None) -> Face:
    zones = face.zones
    if usual is None or zones is None or zones.cladding is None or abs(zones.cladding.radius / usual - 1) <= STRAY:
        return face
    what = f"shows a circle of radius {zones.cladding.radius:.0f} pixels where its kind's cladding has {usual:.0f}"
    none = replace(zones, found=False, support=0.0, cladding=None, core=None, core_source="")
    return replace(
        face, zones=none, problem=UnreadableImageError(face.path, what, "look at it: is the face under oil?")
    )
