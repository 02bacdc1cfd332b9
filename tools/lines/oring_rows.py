"""From the parts of an image to rows: kinds, states, and what ``parts.csv`` says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
import yaml

from callbacks.acceptance.facts import DefectFacts, Facts
from callbacks.acceptance.judgement import Acceptance
from datamodules.layouts.words import parse_folder
from datamodules.zones.ring_parts import COLUMNS as MEASURES
from datamodules.zones.ring_parts import MORE
from tools.errors import ConfigError
from tools.runner.instance_rows import class_name

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from datamodules.samples.detections import Instance
    from datamodules.zones.ring_parts import Part

Row: TypeAlias = dict[str, Any]
CONTRACT = ("image", "part", *MEASURES)
ENDING = ("kind", "whole", "defects", "verdict", "accepted", "reasons", "error")
SEARCHED = ("defects", "verdict", "image_types", "no_image_types")  # rules that ask what a model saw
DIGITS = 4
SIZE = "outer_diameter"


@dataclass(frozen=True)
class Judge:
    """Says of parts what kind they are and which state they have.

    Attributes:
        acceptance: The rules; None: nobody judges.
        sizes: Outer diameter in the middle of its limits, by kind.
        kind: Of all parts; None: of each by its folder, or its size.
        bare_kind: Of images in folders that name none.
        notes: What a reader must know of the rules.
    """

    acceptance: Acceptance | None
    sizes: Mapping[str, float]
    kind: str | None
    bare_kind: str
    notes: tuple[str, ...] = ()

    def kind_of(self, image: str, part: Part) -> str:
        """Return the kind of a part; empty where nothing tells."""
        if self.kind is not None:
            return self.kind
        named = folder_kind(image, self.bare_kind, self.sizes)
        if named is not None and (not self.sizes or named in self.sizes):
            return named
        if not self.sizes:
            return named or ""
        size = part.measures[SIZE]
        return min(self.sizes, key=lambda kind: abs(math.log(max(size, 1e-9) / self.sizes[kind])))

    def row(self, image: str, part: Part, defects: Sequence[DefectFacts] | None) -> Row:
        """Return the row of a part."""
        kind = self.kind_of(image, part)
        row: Row = {"image": image, "part": part.number}
        row |= {name: rounded(value) for name, value in part.measures.items()}
        row |= {"kind": kind, "whole": part.ring.whole, "defects": None if defects is None else len(defects)}
        row["verdict"] = "" if defects is None else "defective" if defects else "good"
        if self.acceptance is None:
            return row | {"accepted": "", "reasons": "", "rules": []}
        judged = self.acceptance(facts_of(part, kind, defects))
        reasons = "" if judged.state == "accepted" else "; ".join(judged.reasons)
        return row | {"accepted": judged.state, "reasons": reasons, "rules": list(judged.rules)}


def facts_of(part: Part, kind: str, defects: Sequence[DefectFacts] | None) -> Facts:
    """Gather what is known of a part; one that the border cuts was not measured."""
    missing = {"zones": "the line knows none"}
    if not part.ring.whole:
        missing["part"] = "the border of the image cuts it"
    if defects is None or any(defect.type is None for defect in defects):
        missing["types"] = "no model told them"
    if not any(name.endswith("_mm") for name in part.measures):
        missing["scale"] = "nobody said how many millimetres a pixel is (mm_per_pixel)"
    return Facts(
        verdict=None if defects is None else "defective" if defects else "good",
        defects=None if defects is None else tuple(defects),
        kind=kind,
        measures={name: rounded(value) for name, value in part.measures.items()} if part.ring.whole else {},
        missing=missing,
    )


def defect_facts(number: int, one: Instance, classes: Sequence[str], mm_per_pixel: float | None) -> DefectFacts:
    """Gather what is known of a defect that a model found, in pixels of the image, and in micrometres where known."""
    row_P, column_P = np.nonzero(one.mask)
    points_P2 = np.stack([column_P, row_P], axis=1).astype(np.float32)
    _, sides, _ = cv2.minAreaRect(points_P2) if len(points_P2) else ((0, 0), (0.0, 0.0), 0)
    length, width = max(sides) + 1.0, min(sides) + 1.0
    measures: dict[str, float | None] = {
        "area": float(len(row_P)),
        "length": length,
        "width": width,
        "score": one.score,
    }
    if mm_per_pixel is not None:
        um = 1000 * mm_per_pixel
        measures |= {"area_um2": len(row_P) * um**2, "length_um": length * um, "width_um": width * um}
    return DefectFacts(number, measures, class_name(one.label, classes) if classes else None)


def folder_kind(image: str, bare_kind: str, known: Container[str] = ()) -> str | None:
    """Return the kind that the innermost folder with a verdict names, or a known one above it; None without verdict."""
    folders = PurePath(image).parts[:-1]
    for place in reversed(range(len(folders))):
        if parsed := parse_folder(folders[place]):
            above = folders[place - 1] if place else ""
            return parsed[1] or (above if above in known else bare_kind)
    return None


def rounded(value: float) -> float | None:
    """Return a value as tables have it; None where it is unknown."""
    return round(float(value), DIGITS if abs(value) >= 1 else DIGITS + 2) if math.isfinite(value) else None


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return the columns of ``parts.csv``: the contract's, then all others."""
    millimetres = sorted({name for row in rows for name in row if name.endswith(("_mm", "_mm2"))})
    return [*CONTRACT, *MORE, *millimetres, *ENDING]


def make_judge(
    limits: str | None, acceptance: Acceptance | None, kind: str | None, bare_kind: str, *, searched: bool
) -> Judge:
    """Put rules together: those of ``acceptance``, and the limits that were learned, which go before them.

    Args:
        limits: Path of a YAML file of rules.
        acceptance: Rules of the command.
        kind: Of all parts.
        bare_kind: Of images in folders that name none.
        searched: A model looks for defects; where none does, rules that ask for them are left out, and a note says so.

    Raises:
        ConfigError: The limits are not rules, or do not know the kind.
    """
    learned = None if limits is None else read_limits(limits)
    sizes = {} if learned is None else sizes_of(learned)
    if learned is not None and kind is not None and learned.kinds and kind not in learned.kinds:
        raise ConfigError(
            f"Expected kind to be one of {', '.join(learned.kinds)}, as {limits} has, but found {kind!r}."
        )
    if acceptance is None and learned is not None and searched:
        acceptance = Acceptance({"defects": {"defects": {}, "at_most": 0}})
    given = {} if acceptance is None else dict(acceptance.rules)
    left = [] if searched else [name for name, rule in given.items() if any(key in rule for key in SEARCHED)]
    rules = {
        name: {"otherwise": acceptance.otherwise if acceptance else "rejected", **rule}
        for name, rule in given.items()
        if name not in left
    }
    if learned is not None:
        limited = {rule.get("measure", name) for name, rule in learned.rules.items()}
        rules = {name: rule for name, rule in rules.items() if name not in limited}
        rules |= {name: {"otherwise": learned.otherwise, **rule} for name, rule in learned.rules.items()}
    notes = (f"No model looked for defects: {', '.join(left)} not asked; geometry alone decides.",) if left else ()
    if not rules:
        return Judge(None, sizes, kind, bare_kind, notes)
    named = acceptance or learned
    return Judge(replace(named, rules=rules) if named else None, sizes, kind, bare_kind, notes)


def read_limits(path: str) -> Acceptance:
    """Read limits as ``loupe prepare oring geometry=...`` writes them, edited or not.

    Raises:
        ConfigError: There is no such file, or it holds something else.
    """
    expected = (
        f"Expected limits to name a YAML file of rules, as loupe prepare oring geometry=sigma writes it, but {path}"
    )
    try:
        values = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{expected} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{expected} is not YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(values, dict) or not isinstance(values.get("rules"), dict):
        raise ConfigError(f"{expected} holds no rules.")
    known = ("rules", "name", "edition", "source", "otherwise")
    strange = [str(key) for key in values if key not in known]
    if strange:
        raise ConfigError(f"Expected keys {', '.join(known)} in {path}, but found {', '.join(strange)}.")
    try:
        return Acceptance(**values)
    except ValueError as error:
        raise ConfigError(f"{error} (in {path})") from error


def limits_by_kind(acceptance: Acceptance | None) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    """Return least and greatest value by kind and measure, for charts; the kind is empty where a rule is for all."""
    found: dict[tuple[str, str], tuple[float | None, float | None]] = {}
    for name, rule in ({} if acceptance is None else acceptance.rules).items():
        low, high = rule.get("min", rule.get("above")), rule.get("max", rule.get("below"))
        if low is None and high is None:
            continue
        kinds = rule.get("kinds") or [""]
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            found[str(kind), str(rule.get("measure", name))] = (low, high)
    return found


def sizes_of(learned: Acceptance) -> dict[str, float]:
    """Return the outer diameter in the middle of its limits, by kind."""
    limits = limits_by_kind(learned)
    return {
        kind: (low + high) / 2
        for (kind, measure), (low, high) in limits.items()
        if kind and measure == SIZE and low is not None and high is not None
    }
