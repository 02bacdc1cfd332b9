"""What a config asks for under ``data.enhance``, and its application to an image, zone by zone.

An entry is a name (``clahe``), or keys: ``{name: clahe, clip: 2.0, core: {clip: 4.0}}``. Parameters named under a zone
(``core``, ``cladding``, ``ferrule``) hold there, where the image's zones are known.
"""

from __future__ import annotations

import difflib
import inspect
import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from datamodules.errors import DataError
from datamodules.files.images import Array, scale

from .filters import FILTERS, WHITE, Bytes, luma

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EnhanceAs: TypeAlias = Literal["replace", "channels"]

ZONES = {"core": 1, "cladding": 2, "ferrule": 3}
BY_ZONE: dict[str, dict[str, dict[str, float]]] = {  # of the system that this replaces
    "clahe": {"core": {"clip": 2.0}},
    "canny": {"core": {"low": 100.0, "high": 200.0}, "cladding": {"low": 50.0, "high": 150.0}},
}
CHANNELS = 3


class _Limits(NamedTuple):
    """Values that a parameter may have: from ``low`` to ``high``, whole and odd where that is asked for."""

    low: float
    high: float
    whole: bool = False
    odd: bool = False


LIMITS = {
    "adaptive.block": _Limits(3, 999, whole=True, odd=True),
    "adaptive.offset": _Limits(-WHITE, WHITE),
    "gaussian.size": _Limits(1, 999, whole=True, odd=True),
    "gaussian.sigma": _Limits(0, 999),
    "median.size": _Limits(3, 255, whole=True, odd=True),
    "clahe.clip": _Limits(0.01, 1000),
    "clahe.tiles": _Limits(1, 64, whole=True),
    "canny.low": _Limits(0, 10_000),
    "canny.high": _Limits(0, 10_000),
    "sobel_x.size": _Limits(1, 7, whole=True, odd=True),
    "bilateral.size": _Limits(1, 99, whole=True),
    "bilateral.colour": _Limits(0.01, 1000),
    "bilateral.space": _Limits(0.01, 1000),
    "flatten.share": _Limits(0.001, 1),
    "gradient.sigma": _Limits(0, 999),
    "gamma.gamma": _Limits(0.01, 100),
}


class Step(NamedTuple):
    """One enhancement.

    Attributes:
        name: Of ``FILTERS``.
        parameters: That differ from its own, sorted by name.
        zones: By zone, those that hold there alone.
    """

    name: str
    parameters: tuple[tuple[str, float], ...] = ()
    zones: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()

    def apply(self, values: Bytes, zones_HW: Bytes | None) -> Bytes:
        """Enhance an image (H, W) or (H, W, 3), zone by zone where ``zones_HW`` says which pixels lie where."""
        plain = FILTERS[self.name](values, **dict(self.parameters))
        if zones_HW is None or not self.zones:
            return plain
        done = plain.copy()
        for zone, own in self.zones:
            inside = zones_HW == ZONES[zone]
            if inside.any():
                done[inside] = FILTERS[self.name](values, **{**dict(self.parameters), **dict(own)})[inside]
        return done


class Enhancement(NamedTuple):
    """What happens to every image of a data set, at training, test and prediction alike.

    Attributes:
        steps: One after the other.
        mode: ``replace``: each step works on what the one before gave, and the last takes the image's place.
            ``channels``: each works on the original, and their grey values become the channels, after the original's
            where they are fewer than three.
    """

    steps: tuple[Step, ...] = ()
    mode: EnhanceAs = "replace"

    def __bool__(self) -> bool:
        """Tell whether anything is done."""
        return bool(self.steps)

    @property
    def by_zone(self) -> bool:
        """Whether it matters where zones lie."""
        return any(step.zones for step in self.steps)

    def __call__(self, values: Array, white_level: float | None = None, zones_HW: Bytes | None = None) -> Array:
        """Enhance an image.

        Args:
            values: As stored, (H, W) or (H, W, 3).
            white_level: Stored value that means white; None: what the type can hold.
            zones_HW: Zone ids of its pixels; None: nobody knows.

        Returns:
            uint8, (H, W) or (H, W, 3); the values themselves where nothing is to be done.
        """
        if not self.steps:
            return values
        eight = _eight_bits(values, white_level)
        if self.mode == "channels":
            return _stacked(eight, [step.apply(eight, zones_HW) for step in self.steps])
        for step in self.steps:
            eight = step.apply(eight, zones_HW)
        return eight

    def to_plain(self) -> dict[str, Any]:
        """Return plain values, that ``read_enhancement`` takes."""
        entries = [
            {"name": step.name, **dict(step.parameters), **{zone: dict(own) for zone, own in step.zones}}
            for step in self.steps
        ]
        return {"entries": entries, "mode": self.mode}


def read_enhancement(entries: Sequence[str | Mapping[str, Any]], mode: str = "replace") -> Enhancement:
    """Read what a config asks for.

    Raises:
        DataError: A name, a parameter or a value is wrong.
    """
    if mode not in ("replace", "channels"):
        raise DataError(f"Expected data.enhance_as to be replace or channels, but found {mode!r}.")
    steps = tuple(_step({"name": entry} if isinstance(entry, str) else entry) for entry in entries)
    if mode == "channels" and len(steps) > CHANNELS:
        raise DataError(
            f"Expected at most {CHANNELS} enhancements for data.enhance_as=channels, since models see so many "
            f"channels, but found {len(steps)}: {', '.join(step.name for step in steps)}."
        )
    return Enhancement(steps, "channels" if mode == "channels" else "replace")


def _step(entry: Mapping[str, Any]) -> Step:
    name = str(entry.get("name"))
    if name not in FILTERS:
        raise DataError(
            f"Expected every entry of data.enhance to name an enhancement, but found {name!r}; {_near(name, FILTERS)}"
        )
    zones = {zone: {**own} for zone, own in BY_ZONE.get(name, {}).items()}
    common: dict[str, float] = {}
    for key, value in entry.items():
        if key in ZONES:
            if not hasattr(value, "items"):
                raise DataError(f"Expected {key} of {name} in data.enhance to hold parameters, but found {value!r}.")
            zones[key] = zones.get(key, {}) | {own: _checked(name, own, number) for own, number in value.items()}
        elif key != "name":
            common[key] = _checked(name, key, value)
    if common:  # what was asked for everywhere goes before what is usual in a zone
        zones = {zone: own for zone, own in zones.items() if zone in entry}
    return Step(
        name,
        tuple(sorted(common.items())),
        tuple((zone, tuple(sorted(own.items()))) for zone, own in sorted(zones.items()) if own),
    )


def _checked(name: str, key: str, value: Any) -> float:
    """Return the value of a parameter.

    Raises:
        DataError: There is no such parameter, or the value is out of its range.
    """
    known = [own for own in inspect.signature(FILTERS[name]).parameters if own != "values"]
    if key not in known:
        raise DataError(f"No parameter {key!r} of {name} in data.enhance; {_near(key, [*known, *ZONES])}")
    low, high, whole, odd = LIMITS[f"{name}.{key}"]
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not low <= number <= high or (whole and number != int(number)) or (odd and number % 2 == 0):
        kind = "an odd number" if odd else "a whole number" if whole else "a number"
        raise DataError(
            f"Expected {key} of {name} in data.enhance to be {kind} from {low:g} to {high:g}, but found {value!r}."
        )
    return int(number) if whole else number


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}."


def _stacked(eight: Bytes, planes: Sequence[Bytes]) -> Bytes:
    """Make three channels of one to three planes: the original first where there is room, the last one again."""
    three = planes if len(planes) == CHANNELS else [eight, *planes, planes[-1]][:CHANNELS]
    return np.stack([luma(plane) for plane in three], axis=2)


def _eight_bits(values: Array, white_level: float | None) -> Bytes:
    scaled = scale(values, white_level)
    if scaled.dtype == np.uint8:
        return np.asarray(scaled, dtype=np.uint8)
    return np.asarray(np.rint(scaled * WHITE), dtype=np.uint8)
