"""The zones of one image: detectors, their consensus, and one robust fit at full resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .consensus import AGREE, Group, groups
from .core import find_core
from .detectors import Detection, detectors, run_detector
from .ellipse import overlap
from .prior import Prior
from .rays import RingFit, fit_ring
from .view import View, make_view
from .weights import DEFAULT_WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datamodules.files.images import Array

    from .ellipse import Ellipse

SUPPORT = 0.5  # below this the answer is "not found"; chosen on drawn images and a part of the real ones
SMALLEST = 10.0  # radius in pixels
STRETCHED = 1.5  # aspect of the least square pixels
SLANTED = 0.12  # skew of the most tilted face
TRIED = 2  # groups of detections that get a fit


@dataclass(frozen=True)
class Zones:
    """What was found in one image, in its pixels on disk, where (0, 0) is the outer corner of the first one.

    Attributes:
        found: Whether the rest is to be believed: ``support`` reached ``SUPPORT``.
        support: 0 to 1: how much the detectors agree with the fit, and how much of the circle the image shows.
        cladding: The outermost circle; None where not found.
        core: None where unknown.
        core_source: ``seen``, ``given`` (by the size of its kind), or empty.
        methods: The detectors that agree.
        detections: What every detector said, in pixels of the image without its black frame.
        in_view: The cladding in those pixels.
        weights: How much each detector's word counted.
    """

    found: bool
    support: float
    cladding: Ellipse | None
    core: Ellipse | None
    core_source: Literal["seen", "given", ""]
    methods: tuple[str, ...]
    detections: tuple[Detection, ...]
    in_view: Ellipse | None
    weights: Mapping[str, float]


def find_zones(values: Array, prior: Prior | None = None, weights: Mapping[str, float] | None = None) -> Zones:
    """Find cladding and core of a fiber's end face.

    Args:
        values: The image (H, W) or (H, W, 3), uint8, uint16, or float32 whose largest value means white.
        prior: What is known of its kind.
        weights: How much each detector's word counts; None: what they earned on drawn images.
    """
    prior = Prior() if prior is None else prior
    view = make_view(values, prior.aspect or 1.0)
    return decide(view, detect_all(view), prior, DEFAULT_WEIGHTS if weights is None else weights)


def detect_all(view: View) -> tuple[Detection, ...]:
    """Let every detector look at an image."""
    return tuple(run_detector(name, view) for name in detectors())


def decide(view: View, detections: Sequence[Detection], prior: Prior, weights: Mapping[str, float]) -> Zones:
    """Make one answer of what detectors say."""
    fits: list[tuple[float, RingFit | None, Group | None]] = [
        (support(group, fit), fit, group)
        for group in groups(detections, weights)[:TRIED]
        if (fit := _final(view, group, prior)) is not None
    ]
    level, fit, group = max(fits, key=lambda entry: entry[0], default=(0.0, None, None))
    if fit is None or group is None or level < SUPPORT:
        methods = () if group is None else group.methods
        return Zones(False, level, None, None, "", methods, tuple(detections), None, dict(weights))
    core = find_core(view.grey_HW, fit.shape, fit.contrast, prior.core_ratio)
    return Zones(
        found=True,
        support=level,
        cladding=view.on_disk(fit.shape),
        core=None if core is None else view.on_disk(core.shape),
        core_source="" if core is None else core.source,
        methods=group.methods,
        detections=tuple(detections),
        in_view=fit.shape,
        weights=dict(weights),
    )


def _is_round(shape: Ellipse) -> bool:
    """Tell whether a fiber can look like this: noise gives small and slanted ellipses."""
    return shape.radius >= SMALLEST and 1 / STRETCHED <= shape.aspect <= STRETCHED and abs(shape.skew) <= SLANTED


def support(group: Group, fit: RingFit) -> float:
    """Return 0 to 1: the geometric mean of the detectors' agreement, and of how much there is to be seen of the edge.

    The latter counts the share of the rays that see it, how much of the turn they cover, and whether it is an edge at
    all, or a slope that goes on as in a film of oil. A disc that is brighter than what surrounds it is a lit core whose
    cladding nobody sees, as under oil.
    """
    shown = min(max((fit.share - 0.35) / 0.5, 0.0), 1.0)
    seen = min(1.0, 0.4 + 1.5 * fit.arc)
    sharp = min(max((fit.sharp - 0.3) / 0.15, 0.0), 1.0)
    return float((group.share * shown * seen * sharp) ** 0.5) * (1.0 if fit.disc > 0 else 0.4)


def _final(view: View, group: Group, prior: Prior) -> RingFit | None:
    """Fit the group's circle at full resolution; None where there is no such ring."""
    fits = [(sign, fit_ring(view.grey_HW, group.cladding, sign, prior.aspect)) for sign in (1.0, -1.0)]
    # The far side of a bright rim has the wrong sign: farther out it is brighter than within all the same.
    near = [
        fit
        for sign, fit in fits
        if fit is not None
        and sign * fit.contrast > 0
        and overlap(fit.shape, group.cladding) >= AGREE
        and _is_round(fit.shape)
    ]
    return max(near, key=lambda fit: fit.share * abs(fit.contrast), default=None)
