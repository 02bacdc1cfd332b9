"""Independent ways to find the circles of an end face. Each is a file with a function ``detect``; a new file joins in.

``detect(view)`` returns a ``Circle`` of the small copy, or None where it sees none.
"""

from __future__ import annotations

import time
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np

if TYPE_CHECKING:
    from datamodules.zones.ellipse import Ellipse
    from datamodules.zones.view import View


class Circle(NamedTuple):
    """What a detector returns.

    Attributes:
        cladding: The outermost circle, in pixels of the small copy.
        core_radius: Radius of a circle within it, along y, in the same pixels; None where it sees none.
        confidence: 0 to 1, by the detector's own lights.
    """

    cladding: Ellipse
    core_radius: float | None
    confidence: float


class Detection(NamedTuple):
    """What became of one detector on one image.

    Attributes:
        method: Its name.
        cladding: In pixels of the image without its frame, whole numbers at pixel centres; None where it found none.
        core_radius: Along y, in the same pixels, or None.
        confidence: 0 to 1; 0 where it found nothing.
        seconds: How long it took.
        error: Why it found nothing; empty where it did.
    """

    method: str
    cladding: Ellipse | None
    core_radius: float | None
    confidence: float
    seconds: float
    error: str


class Detector(Protocol):
    """One way to find an end face."""

    def __call__(self, view: View) -> Circle | None:
        """Find zones on an image."""


@cache
def detectors() -> dict[str, Detector]:
    """Return every detector by its name, in the order of their names."""
    names = sorted(module.name for module in iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").detect for name in names}


def run_detector(name: str, view: View) -> Detection:
    """Let one detector look at an image; whatever it fails at becomes the reason that it found nothing."""
    before = time.perf_counter()
    circle, error = None, "sees no circle"
    try:
        circle = detectors()[name](view)
    except (cv2.error, ArithmeticError, ValueError, np.linalg.LinAlgError) as problem:
        error = f"failed: {problem}"
    seconds = time.perf_counter() - before
    if circle is None:
        return Detection(name, None, None, 0.0, seconds, error)
    core = None if circle.core_radius is None else circle.core_radius / view.shrink
    return Detection(name, view.to_full(circle.cladding), core, circle.confidence, seconds, "")
