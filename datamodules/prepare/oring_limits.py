"""Limits of good rings, learned from good parts, in one YAML file that an inspector reads and edits.

The file is a set of acceptance rules (``callbacks/acceptance/reading.py``): one per measure and kind, each with the
numbers that it was learned from beside it.
"""

from __future__ import annotations

import math
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import yaml

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image
from datamodules.files.walking import walk_images
from datamodules.files.whole_files import write_whole
from datamodules.layouts.label_table import read_text_table
from datamodules.progress import track
from datamodules.zones.ring_parts import measure_parts, with_millimetres

from .preparation import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from datamodules.zones.ring_parts import Measures

Method: TypeAlias = Literal["sigma", "quantiles"]
METHODS: tuple[str, ...] = get_args(Method)
MIN_PARTS = 3  # the source's own: fewer have no spread
STEADY = 30  # parts from which a standard deviation is known to an eighth of itself
WORKERS = 2
NAME = "limits.yaml"


class Limited(NamedTuple):
    """How a measure is limited.

    Attributes:
        low: There is a least value.
        high: There is a greatest value.
        floor: A limit is at least so far from the mean, in pixels or in the measure's own unit: what measuring itself
            varies by.
        state: What a part is that lies outside.
    """

    low: bool
    high: bool
    floor: float
    state: Literal["rework", "rejected"] = "rework"


LIMITED: Mapping[str, Limited] = {
    "outer_diameter": Limited(low=True, high=True, floor=0.6),
    "inner_diameter": Limited(low=True, high=True, floor=0.6),
    "centre_distance": Limited(low=False, high=True, floor=0.6),
    "mean_thickness": Limited(low=True, high=True, floor=0.8),
    "min_thickness": Limited(low=True, high=False, floor=1.4),
    "max_thickness": Limited(low=False, high=True, floor=1.4),
    "ovality": Limited(low=False, high=True, floor=1.2),
    "flash": Limited(low=False, high=True, floor=3.0),
    "gap": Limited(low=False, high=True, floor=2.0, state="rejected"),
    "circularity": Limited(low=True, high=False, floor=0.002),
    "area": Limited(low=True, high=True, floor=0.004),  # of the mean
}


@dataclass(frozen=True)
class Learned:
    """What was learned of one measure of one kind.

    Attributes:
        measure: Its name, with its unit where that is not a pixel.
        limited: How it is limited.
        low: Least value, or None.
        high: Greatest value, or None.
        mean: Of the good parts.
        deviation: Sample standard deviation of the good parts.
    """

    measure: str
    limited: Limited
    low: float | None
    high: float | None
    mean: float
    deviation: float


@dataclass(frozen=True)
class OringLimits:
    """Learns limits.

    Attributes:
        method: ``sigma``: mean and ``k`` standard deviations; ``quantiles``: the middle ``1 - 2 tail`` of the parts.
        k: Standard deviations.
        tail: Share of good parts that may lie beyond a limit.
        mm_per_pixel: Of all images; None: limits in pixels.
    """

    method: Method = "sigma"
    k: float = 2.5
    tail: float = 0.01
    mm_per_pixel: float | None = None

    def write(
        self, images: Sequence[tuple[Path, str]], out: Path, left_out: Sequence[UnreadableImageError]
    ) -> Prepared:
        """Measure good parts and write their limits.

        Args:
            images: Path and kind of every image of good parts.
            out: File to write.
            left_out: What could not be used before.

        Raises:
            DataError: A kind has too few parts.
        """
        measured, problems = measure_images(images, self.mm_per_pixel)
        prepared = self.write_from(measured, out)
        return replace(prepared, images=len(images), left_out=[*left_out, *problems])

    def write_from(self, measured: Mapping[str, Sequence[Measures]], out: Path) -> Prepared:
        """Write the limits of good parts that were measured, by kind.

        Raises:
            DataError: A kind has too few parts, or there are none.
        """
        if not measured:
            raise DataError("Expected good parts to learn limits from, but found none on the images.")
        learned = {kind: self.learn(kind, parts) for kind, parts in sorted(measured.items())}
        counts = {kind: len(parts) for kind, parts in sorted(measured.items())}
        write_whole(out, self._text(learned, counts).encode())
        few = [kind or "all" for kind, count in counts.items() if count < STEADY]
        note = f"Few parts ({', '.join(few)}): limits from fewer than {STEADY} move with every part; measure more."
        counted = ", ".join(f"{count} of {kind}" if kind else f"{count}" for kind, count in counts.items())
        return Prepared(
            out=out,
            images=0,
            tiles={},
            left_out=[],
            next_step=f"loupe predict line=oring {shlex.quote(f'limits={out}')} source=PATH out=DIR",
            summary=f"Learned limits from {sum(counts.values())} good parts ({counted}) into {out}",
            notes=[note] if few else [],
        )

    def learn(self, kind: str, parts: Sequence[Measures]) -> list[Learned]:
        """Learn the limits of one kind.

        Raises:
            DataError: There are too few parts.
        """
        if len(parts) < MIN_PARTS:
            named = f" of the kind {kind}" if kind else ""
            raise DataError(
                f"Expected at least {MIN_PARTS} good parts{named} to learn limits from, but found {len(parts)}; "
                f"{STEADY} or more make limits that last."
            )
        return [self._limits(name, limited, parts) for name, limited in LIMITED.items()]

    def _limits(self, name: str, limited: Limited, parts: Sequence[Measures]) -> Learned:
        floor = limited.floor
        if self.mm_per_pixel is not None and name != "circularity":
            name = f"{name}_mm2" if name == "area" else f"{name}_mm"
            floor = floor if limited.floor == LIMITED["area"].floor else floor * self.mm_per_pixel
        value_N = np.asarray([part[name] for part in parts], dtype=np.float64)
        mean, deviation = float(value_N.mean()), float(value_N.std(ddof=1))
        floor = floor * mean if name.startswith("area") else floor
        if self.method == "sigma":
            low, high = mean - self.k * deviation, mean + self.k * deviation
        else:
            low, high = (float(value) for value in np.quantile(value_N, [self.tail, 1 - self.tail]))
        low, high = max(min(low, mean - floor), 0.0), max(high, mean + floor)
        return Learned(name, limited, low if limited.low else None, high if limited.high else None, mean, deviation)

    def _text(self, learned: Mapping[str, list[Learned]], counts: Mapping[str, int]) -> str:
        """Write the file: rules, and beside each what it was learned from."""
        how = (
            f"mean and {self.k:g} standard deviations"
            if self.method == "sigma"
            else f"all but {self.tail:.2%} each way"
        )
        unit = "millimetres" if self.mm_per_pixel is not None else "pixels of the image on disk"
        lines = [
            f"# Limits of good o-rings in {unit}: {how} of good parts.",
            "# A part whose measure lies outside is what `otherwise` says: rework, or rejected.",
            "# Edit freely: a rule that is deleted asks for nothing; loupe predict line=oring limits=THIS_FILE",
            "name: o-ring limits",
            "otherwise: rework",
            "rules:",
        ]
        for kind, entries in learned.items():
            lines.append(f"  # {kind or 'all kinds'}, learned from {counts[kind]} good parts")
            lines += [_rule(kind, entry) for entry in entries]
        return "\n".join(lines) + "\n"


def _rule(kind: str, entry: Learned) -> str:
    """Write one rule as a line."""
    name = f"{kind} {entry.measure}" if kind else entry.measure
    digits = min(max(2, 3 - math.floor(math.log10(max(abs(entry.mean), 1e-6)))), 4)
    bounds = [f"min: {entry.low:.{digits}f}"] if entry.low is not None else []
    bounds += [f"max: {entry.high:.{digits}f}"] if entry.high is not None else []
    more = [f"measure: {entry.measure}", *bounds]
    more += [f"kinds: [{yaml_word(kind)}]"] if kind else []
    more += [f"otherwise: {entry.limited.state}"] if entry.limited.state != "rework" else []
    note = f"mean {entry.mean:.{digits}f}, standard deviation {entry.deviation:.{digits + 1}f}"
    return f"  {yaml_word(name)}: {{{', '.join(more)}}}  # {note}"


def yaml_word(word: str) -> str:
    """Write a name as YAML reads it back."""
    return str(yaml.safe_dump(word, default_flow_style=True, width=10_000)).removesuffix("\n...\n").strip()


def measure_images(
    images: Sequence[tuple[Path, str]], mm_per_pixel: float | None
) -> tuple[dict[str, list[Measures]], list[UnreadableImageError]]:
    """Measure the parts of images by kind; those cut by an image's border are left out, as what cannot be read."""
    measured: dict[str, list[Measures]] = {}
    problems: list[UnreadableImageError] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [(path, kind, pool.submit(_measured, path, mm_per_pixel)) for path, kind in images]
        for path, kind, job in track(jobs, "measuring good parts", total=len(jobs)):
            try:
                parts, cut = job.result()
            except UnreadableImageError as error:
                problems.append(error)
                continue
            measured.setdefault(kind, []).extend(parts)
            if cut:
                problems.append(UnreadableImageError(path, f"cuts {cut} rings at its border", "show them whole"))
    return measured, problems


def _measured(path: Path, mm_per_pixel: float | None) -> tuple[list[Measures], int]:
    parts = measure_parts(read_image(path), str(path), mm_per_pixel)
    whole = [part.measures for part in parts if part.ring.whole]
    return whole, len(parts) - len(whole)


def plain_images(source: Path) -> tuple[list[tuple[Path, str]], list[UnreadableImageError]]:
    """List the images of a folder that says nothing of them: all show good parts of one kind.

    Raises:
        DataError: There are none.
    """
    problems: list[UnreadableImageError] = []
    found = [(path, "") for path in walk_images(source, problems)]
    if not found:
        raise DataError(f"Expected images of good parts under {source}, but found none.")
    return found, problems


def table_parts(path: Path, kind: str | None, mm_per_pixel: float | None) -> dict[str, list[Measures]]:
    """Read the measures of good parts back from a ``parts.csv``, by kind; those cut by a border are left out.

    Args:
        path: The table.
        kind: Only parts of this kind; None: all.
        mm_per_pixel: Of the images, where limits are wanted in millimetres.

    Raises:
        DataError: A column is missing, or a cell holds no number.
    """
    table = read_text_table(path, "the columns of a parts.csv").replace("", None)
    missing = [name for name in LIMITED if name not in table]
    if missing:
        raise DataError(f"Expected {path} to have the columns of a parts.csv, but {', '.join(missing)} are missing.")
    try:
        values = table[[*LIMITED]].astype(float)
    except ValueError as error:
        raise DataError(f"Expected numbers in the columns of measures of {path}, but found: {error}.") from error
    whole = table["whole"].str.lower() != "false" if "whole" in table else values.notna().all(axis=1)
    kinds = (table["kind"] if "kind" in table else values["area"].map(lambda _: None)).fillna("")
    measured: dict[str, list[Measures]] = {}
    for one, row, usable in zip(kinds, values.to_dict("records"), whole & values.notna().all(axis=1), strict=True):
        if usable and kind in {None, one}:
            measures = {str(name): float(value) for name, value in row.items()}
            measured.setdefault(one, []).append(with_millimetres(measures, mm_per_pixel))
    return measured
