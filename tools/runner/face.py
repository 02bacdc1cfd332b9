"""One end face: its zones, its scale, and every scratch and defect at full resolution, with type and zone.

Letters: H and W pixels of the image without its black frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from callbacks.defects.face_zones import FaceZones
from callbacks.defects.fragments import join_fragments
from callbacks.defects.half_depth import outlines
from callbacks.defects.region_shape import RegionShape
from callbacks.defects.sizes import Scale as Units
from callbacks.defects.typing_by_shape import DefectType, type_by_shape
from datamodules.zones.finding import Zones, decide, detect_all
from datamodules.zones.scale import Scale, core_offset_um, ovality, scale_of_image
from datamodules.zones.view import make_view
from datamodules.zones.weights import DEFAULT_WEIGHTS
from models.faces.marks import Filters, Limits, Scoring, agreed, marked, responses, score_of
from models.faces.view import FaceView, noise_of, view_face

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from callbacks.defects.region_shape import Extent
    from datamodules.files.images import Array
    from datamodules.zones.ellipse import Ellipse
    from datamodules.zones.prior import Prior
    from datamodules.zones.view import View

Rings = dict[str, tuple[float, float]]
BORDER = 0.05  # of the cladding's radius: what does not count for the score where zones meet
TURNS = 720  # places on a ring at which it is asked whether the image shows it
INSIDE = 0.995  # of a ring that has to be in view: less than a pixel in two hundred is the drawing's doing


class Marks(NamedTuple):
    """What a detector says of a face.

    Attributes:
        seed_HW: Where it marks something.
        score: How much of the face stands out; raw, higher is worse.
        verdict: Of a trained model; empty where there is none.
        threshold: From which its verdict is defective.
    """

    seed_HW: npt.NDArray[np.bool_]
    score: float
    verdict: str = ""
    threshold: float | None = None


class Detector(Protocol):
    """Marks what stands out."""

    def __call__(self, values: Array, view: View, face: FaceView | None, zones: Zones) -> Marks | None:
        """Mark an image, as stored, and without its black frame; None where it cannot, as without zones."""


def classical(values: Array, view: View, face: FaceView | None, zones: Zones) -> Marks | None:
    """Mark by DO2MR and LEI, in one fixed setting, without any training."""
    del values, view, zones
    if face is None:
        return None
    regions, lines = responses(face, Filters())
    return Marks(marked(face, regions, lines, Limits()), score_of(face, agreed(regions, lines), Scoring()))


@dataclass(frozen=True, eq=False)
class FaceDefect:
    """One defect of a face.

    Attributes:
        number: From 1, from the top.
        shape: In units: micrometres where the scale is known, else pixels.
        type: By its shape and place.
        parts: How large what lies in each zone is, by the zone's name; None where nobody knows the zones.
        place: Its centre from the axis, along x and y in units; None likewise.
    """

    number: int
    shape: RegionShape
    type: DefectType
    parts: Mapping[str, Extent] | None
    place: tuple[float, float] | None

    @property
    def zone(self) -> str:
        """Name of the zone that holds most of it; empty outside all."""
        return max(self.parts, key=lambda name: self.parts[name].area) if self.parts else ""  # type: ignore[index]


@dataclass(frozen=True, eq=False)
class Face:
    """What was found on one image.

    Attributes:
        size: Height and width of the image on disk.
        corner: Left and top of what is not a black frame; shapes of defects count from there.
        zones: Found or not.
        scale: Micrometres per pixel; None where unknown.
        defects: None where nobody could look for any.
        marks: What the detector said; None likewise.
        in_view: Which part of each ring the image shows, 0 to 1.
        aspect: Of a circle in these pixels, where others than this image say it.
    """

    size: tuple[int, int]
    corner: tuple[int, int]
    zones: Zones
    scale: Scale | None
    defects: tuple[FaceDefect, ...] | None
    marks: Marks | None
    in_view: Mapping[str, float] = field(default_factory=dict)
    aspect: float | None = None

    @property
    def measures(self) -> dict[str, float | None]:
        """Of the whole face, by names that rules may use."""
        cladding, core, scale = self.zones.cladding, self.zones.core, self.scale
        if cladding is None:
            return {}
        found: dict[str, float | None] = {"ovality": ovality(cladding, self.aspect or cladding.aspect)}
        seen = core is not None and self.zones.core_source == "seen"
        offset = core_offset_um(cladding, core, scale) if core is not None and seen and scale is not None else None
        return found | {"core_offset_um": offset, "support": self.zones.support}


@dataclass(frozen=True)
class Inspection:
    """How faces are inspected.

    Attributes:
        detector: Marks what stands out.
        rings: Inner and outer diameter of zones in micrometres.
        scale: That somebody gave; None: each image's own.
        weights: Of the zone detectors; None: the default.
    """

    detector: Detector
    rings: Rings
    scale: Scale | None = None
    weights: Mapping[str, float] | None = None

    def __call__(self, values: Array, prior: Prior, usual: Scale | None = None) -> Face:
        """Inspect an image as stored, (H, W) or (H, W, 3).

        Args:
            values: The image.
            prior: What is known of its kind.
            usual: Scale of its kind; None: that of its own cladding.
        """
        view = make_view(values, prior.aspect or 1.0)
        zones = decide(view, detect_all(view), prior, self.weights or DEFAULT_WEIGHTS)
        height, width = view.grey_HW.shape
        corner = (view.left, view.top)
        cladding, core = (moved(shape, corner) for shape in (zones.cladding, zones.core))
        face = None if cladding is None else view_face(255 * view.grey_HW, cladding, core, BORDER)
        marks = self.detector(values, view, face, zones)
        scale = self.scale or usual
        if scale is None and cladding is not None:
            scale = scale_of_image(cladding, prior)
        if marks is None:
            return Face(values.shape[:2], corner, zones, scale, None, None)
        plane_HW = 255 * view.grey_HW if face is None else face.flat_HW
        shapes = shapes_of(plane_HW, marks, face, scale)
        rings = (
            None if cladding is None or scale is None else FaceZones(cladding, cladding.radius * scale.y, self.rings)
        )
        shown = {} if rings is None else {name: rings_in_view(rings, name, (height, width)) for name in self.rings}
        aspect = prior.aspect or (None if scale is None or scale.source == "image" else scale.y / scale.x)
        return Face(values.shape[:2], corner, zones, scale, _named(shapes, rings), marks, shown, aspect)


def moved(shape: Ellipse | None, corner: tuple[int, int]) -> Ellipse | None:
    """Count an ellipse from a corner."""
    return None if shape is None else shape.moved(-corner[0], -corner[1])


def shapes_of(
    plane_HW: npt.NDArray[np.float32], marks: Marks, face: FaceView | None, scale: Scale | None
) -> list[RegionShape]:
    """Find the true outlines of what is marked, and join the fragments of scratches."""
    units = Units() if scale is None else Units(scale.x, scale.y)
    faintest_HW = None if face is None else face.faintest_HW
    patches = outlines(plane_HW, marks.seed_HW, 0.0 if face is None else noise_of(face), faintest_HW)
    return join_fragments([RegionShape((patch,), plane_HW, units) for patch in patches])


def _named(shapes: Sequence[RegionShape], rings: FaceZones | None) -> tuple[FaceDefect, ...]:
    """Number shapes from the top, and say what and where they are."""
    ordered = sorted(shapes, key=lambda shape: (shape.centre[1], shape.centre[0]))
    return tuple(_defect(number, shape, rings) for number, shape in enumerate(ordered, start=1))


def _defect(number: int, shape: RegionShape, rings: FaceZones | None) -> FaceDefect:
    if rings is None:
        return FaceDefect(number, shape, type_by_shape(shape, None), None, None)
    (x, y), axis = shape.centre, rings.cladding
    place = ((x - axis.cx) * shape.scale.x, (y - axis.cy) * shape.scale.y)
    return FaceDefect(number, shape, type_by_shape(shape, rings.edge_away(shape)), rings.parts(shape), place)


def rings_in_view(zones: FaceZones, name: str, size: tuple[int, int]) -> float:
    """Return which part of a ring's outer edge, which is what leaves an image first, lies in it, 0 to 1.

    Args:
        zones: The rings.
        name: Of one.
        size: Height and width of the image, counted as the cladding is.
    """
    reach = zones.rings[name][1] / 2 / zones.radius
    x, y = zones.cladding._replace(radius=zones.cladding.radius * reach).points(np.linspace(0, 2 * np.pi, TURNS))
    return float(((x >= 0) & (x <= size[1]) & (y >= 0) & (y <= size[0])).mean())
