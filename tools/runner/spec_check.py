"""What ``spec.json`` must hold before anything is judged by it: a slip of an edit must not call a defect good."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.acceptance.judgement import Acceptance
from callbacks.statistics.usual import Usual
from datamodules.files.fitting import FITS, SQUASH
from datamodules.zones.foreground import Foreground

from .specification import BundleError
from .zoning import Zoning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LARGEST = float(np.finfo(np.float32).max)
LARGEST_SIDE = 1 << 16
SCOPES = ("kind", "zone")
_FILE = re.compile(r"[\w][\w.\-]*")  # in the bundle itself: no folders, and nothing above them


class Spec:
    """Values of a spec, each asked for by its dotted key.

    Args:
        values: The content.
        path: Of the file, for errors.
    """

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self._values, self._path = values, path

    def value(self, key: str) -> Any:
        """Return what stands at a key.

        Raises:
            BundleError: Nothing does.
        """
        found: Any = self._values
        for name in key.split("."):
            if not isinstance(found, dict) or name not in found:
                raise self.refuse(key, "to be there", "none")
            found = found[name]
        return found

    def mapping(self, key: str) -> dict[str, Any]:
        """Return keys and values."""
        found = self.value(key)
        if not isinstance(found, dict):
            raise self.refuse(key, "to hold keys and values", repr(found))
        return found

    def number(self, key: str, low: float = -LARGEST, high: float = LARGEST, *, optional: bool = False) -> None:
        """Require a finite number that float32 can hold, or null where that means something."""
        self.check_number(self.value(key), key, low, high, optional=optional)

    def check_number(
        self, found: Any, key: str, low: float = -LARGEST, high: float = LARGEST, *, optional: bool = False
    ) -> None:
        """Do the same for a value that is at hand."""
        if found is None and optional:
            return
        if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
            within = "" if (low, high) == (-LARGEST, LARGEST) else f" from {low:g} to {high:g}"
            raise self.refuse(key, f"to be a finite number{within}{' or null' if optional else ''}", repr(found))

    def numbers(self, key: str, count: int | None = None) -> list[float]:
        """Require a list of finite numbers."""
        found = self.value(key)
        if not isinstance(found, list) or (count is not None and len(found) != count):
            raise self.refuse(key, f"to be a list of {'' if count is None else f'{count} '}numbers", repr(found))
        for index, entry in enumerate(found):
            self.check_number(entry, f"{key}.{index}")
        return found

    def refuse(self, key: str, expected: str, found: str) -> BundleError:
        """Say what is wrong with a key."""
        return BundleError(
            f"Expected {key} in {self._path} {expected}, but found {found[:80]}; mend the edit, or copy "
            "the bundle again."
        )


def check_spec(values: Mapping[str, Any], path: Path) -> None:
    """Refuse a spec in which a key is missing or holds what means nothing.

    Raises:
        BundleError: Names the key.
    """
    spec = Spec(values, path)
    if not isinstance(spec.value("name"), str):
        raise spec.refuse("name", "to be text", repr(spec.value("name")))
    for side in ("height", "width"):
        spec.number(f"input.resize.{side}", 1, LARGEST_SIDE)
    resize = spec.mapping("input.resize")
    if (fit := resize.get("fit", SQUASH)) not in FITS:
        raise spec.refuse("input.resize.fit", f"to be one of {', '.join(FITS)}", repr(fit))
    if resize.get("square") is not None:
        spec.number("input.resize.square", 1, LARGEST_SIDE)
    spec.number("input.white_level", float(np.finfo(np.float32).tiny), optional=True)
    spec.mapping("composition")
    spec.value("composition.kind")
    _check_forms(spec)
    for level in ("image", "pixel"):
        _check_thresholds(spec, f"thresholds.{level}")
    spec.numbers("thresholds.map_range", 2)
    for rule, low in (("min_area", 0.0), ("erode", 0.0), ("usual", -LARGEST)):
        spec.number(f"thresholds.regions.{rule}", low)
    spec.number("thresholds.regions.low", optional=True)
    _check_probability(spec)
    _check_good_scores(spec)
    _check_defects(spec)
    _check_parts(spec, values)


def _check_parts(spec: Spec, values: Mapping[str, Any]) -> None:
    """Check what a bundle may lack: rules, sizes, and what is usual."""
    if values.get("acceptance"):  # rules, which a person may edit
        try:
            Acceptance(**spec.mapping("acceptance"))
        except (TypeError, ValueError) as error:
            raise spec.refuse("acceptance", "to hold rules that mean something", str(error)) from error
    for name in ("zoning", "end_faces"):
        if values.get(name):
            try:
                Zoning(**spec.mapping(name)).check()
            except (TypeError, ValueError) as error:
                raise spec.refuse(name, "to hold sizes in micrometres", str(error)) from error
    if spec.mapping("input").get("foreground"):  # bundles of earlier versions hold none
        try:
            Foreground(**spec.mapping("input.foreground"))
        except (TypeError, ValueError) as error:
            raise spec.refuse("input.foreground", "to say how a part is found", str(error)) from error
    if values.get("usual") is not None:  # bundles of earlier versions hold none
        try:
            Usual.from_dict(spec.mapping("usual"))
        except ValueError as error:
            raise spec.refuse("usual", "to be as it was exported", str(error)) from error


def _check_forms(spec: Spec) -> None:
    forms = spec.value("forms")
    if not isinstance(forms, list) or not forms:
        raise spec.refuse("forms", "to list what can be run", repr(forms))
    for index, form in enumerate(forms):
        entries = form if isinstance(form, dict) else {}
        files = entries.get("files")
        if set(entries) != {"runtime", "precision", "files"} or not isinstance(files, dict):
            raise spec.refuse(f"forms.{index}", "to hold runtime, precision and files", repr(form))
        for name, file in files.items():
            if not isinstance(file, str) or not _FILE.fullmatch(file):
                raise spec.refuse(f"forms.{index}.files.{name}", "to name a file of the bundle itself", repr(file))


def _check_thresholds(spec: Spec, key: str) -> None:
    spec.number(f"{key}.all.value")
    scopes = spec.mapping(key)
    for scope in (scope for scope in SCOPES if scope in scopes):
        for name, entry in spec.mapping(f"{key}.{scope}").items():
            found = entry.get("value") if isinstance(entry, dict) else entry
            spec.check_number(found, f"{key}.{scope}.{name}.value")
            if scope == "zone" and not name.isdecimal():
                raise spec.refuse(f"{key}.zone", "to have zone ids for keys", repr(name))


def _check_probability(spec: Spec) -> None:
    if spec.value("thresholds.probability") is None:
        return
    method = spec.value("thresholds.probability.method")
    if method == "platt":
        spec.number("thresholds.probability.slope")
        spec.number("thresholds.probability.offset")
    elif method == "isotonic":
        scores = spec.numbers("thresholds.probability.scores")
        spec.numbers("thresholds.probability.probabilities", len(scores))
    else:
        raise spec.refuse("thresholds.probability.method", "to be platt or isotonic", repr(method))


def _check_good_scores(spec: Spec) -> None:
    if "good_scores" not in spec.mapping("thresholds"):
        return  # bundles of earlier versions hold none
    spec.numbers("thresholds.good_scores.all")
    for kind, scores in spec.mapping("thresholds.good_scores.kind").items():
        for entry in scores if isinstance(scores, list) else [scores]:
            spec.check_number(entry, f"thresholds.good_scores.kind.{kind}")


def _check_defects(spec: Spec) -> None:
    spec.mapping("defects.rules")
    spec.numbers("defects.good_peaks")
    spec.number("defects.um_per_pixel", float(np.finfo(np.float32).tiny), optional=True)


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Say of whatever else a spec or a graph ends in, in a sentence, that the bundle is not as it was exported.

    Raises:
        BundleError: In place of any other error.
    """
    try:
        yield
    except (BundleError, MemoryError, OSError):
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        found = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        raise BundleError(
            f"Expected the bundle of {path} to be as it was exported, but found {found}; mend the edit, or copy the "
            "bundle again."
        ) from error


def require_finite(value: Any, key: str) -> float | None:
    """Return a threshold that was given, in float32's range; None where none was.

    Raises:
        BundleError: It is no finite number: everything would be called good, or everything defective.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise BundleError(f"Expected {key} to be a finite number, with a point and no comma, but found {value!r}.")
    return float(value)


def require_kind(kind: Any, known: list[str]) -> None:
    """Refuse a sub-population that nothing was calibrated for.

    Raises:
        BundleError: Names those that there are.
    """
    if kind and kind not in known:
        there = f"there are: {', '.join(known)}" if known else "there are none: the thresholds of all images hold"
        raise BundleError(f"Expected kind to be one that has thresholds of its own, but found {kind!r}; {there}.")
