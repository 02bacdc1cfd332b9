"""The line of o-rings: every ring found, measured and judged; one call from images to tables, overlays and a page.

It writes ``parts.csv`` (a row per part, one that says why per image without any), ``source_measures.csv`` with
``mode=source``, ``overlays/``, ``summary.json``, ``errors.csv`` where something could not be measured, and
``index.html``. The same command again goes on where one was interrupted.
"""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import cv2
import numpy as np

from callbacks.acceptance.judgement import Acceptance  # noqa: TC001 - typeguard reads the annotation
from callbacks.report.ring_drawing import draw_rings
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import check_content
from datamodules.files.whole_files import write_whole
from datamodules.progress import track
from datamodules.zones.ring_parts import measure_parts
from datamodules.zones.ring_source import source_measures
from tools.errors import ConfigError
from tools.runner.sources import find_pictures, require_pictures

from .line import Judged
from .oring_record import RECORD, Record
from .oring_results import summary_text, write_results
from .oring_rows import Judge, make_judge, rounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datamodules.files.images import Array
    from datamodules.zones.ring_parts import Part
    from tools.runner.picture import Picture

    from .oring_rows import Row

WORKERS = 2  # images measured at a time; OpenCV and NumPy release the interpreter lock
AHEAD = 4  # images read before their turn: memory is bounded, whatever the source holds
REFUSED = ("rework", "rejected", "unknown")
Overlays = Literal["all", "refused", "none"]


@dataclass(frozen=True, kw_only=True)
class OringLine:
    """Measures and judges rings; see ``configs/line/oring.yaml`` for its keys."""

    record: ClassVar[str] = RECORD

    limits: str | None = None
    acceptance: Acceptance | None = None
    kind: str | None = None
    bare_kind: str = "model2"
    mode: Literal["robust", "source"] = "robust"
    mm_per_pixel: float | None = None
    overlay: Overlays = "all"
    every: int = 1

    def __post_init__(self) -> None:
        if self.mm_per_pixel is not None and not 0 < self.mm_per_pixel < float("inf"):
            raise ConfigError(f"Expected mm_per_pixel to be above 0, or null, but found {self.mm_per_pixel}.")
        if self.every < 1:
            raise ConfigError(f"Expected every to be at least 1, but found {self.every}.")

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Measure and judge every ring of the sources.

        Raises:
            ConfigError: The limits are none, or ``out`` holds results of something else.
            DataError: There is no image, or no ring at all.
        """
        require_pictures(sources)
        judge = make_judge(self.limits, self.acceptance, self.kind, self.bare_kind, searched=False)
        with Record(out, self._about(judge)) as record:
            earlier = len(record.entries)
            pictures = find_pictures(sources, self.every, record.done)
            for entry in track(self._entries(pictures, judge, out), "measuring rings"):
                record.add(entry)
            entries = record.entries
        found = [entry for entry in entries if "error" not in entry]
        index = write_results(out, entries, judge, command=command, page=page, source=self.mode == "source")
        if not found:
            raise DataError(f"Expected rings on the images, but found none; for example: {entries[0]['error']}")
        return Judged(summary_text(entries, judge, earlier), len(entries) - len(found), index)

    def _about(self, judge: Judge) -> dict[str, Any]:
        """Say what decides about results, in plain values."""
        rules = None if judge.acceptance is None else judge.acceptance.to_dict()
        values = asdict(self) | {"acceptance": rules}
        return {key: value for key, value in values.items() if key != "limits"}

    def _entries(self, pictures: Iterator[Picture], judge: Judge, out: Path) -> Iterator[dict[str, Any]]:
        """Measure images, some ahead, in their order."""
        with ThreadPoolExecutor(WORKERS) as pool:
            waiting = deque(pool.submit(self._entry, one, judge, out) for one in itertools.islice(pictures, AHEAD))
            while waiting:
                entry = waiting.popleft().result()
                waiting.extend(pool.submit(self._entry, one, judge, out) for one in itertools.islice(pictures, 1))
                yield entry

    def _entry(self, picture: Picture, judge: Judge, out: Path) -> dict[str, Any]:
        """Measure one image, whatever is wrong with it."""
        entry: dict[str, Any] = {"image": picture.name}
        try:
            values = picture.read()
            check_content(values, picture.name)
            parts = measure_parts(values, picture.name, self.mm_per_pixel)
        except UnreadableImageError as error:
            return entry | {"error": f"{error.problem}; {error.remedy}"}
        rows = [judge.row(picture.name, part, None) for part in parts]
        entry |= {"parts": rows}
        if self.mode == "source":
            measured = source_measures(values)
            entry["source"] = None if measured is None else measured
        if self.overlay == "all" or (self.overlay == "refused" and any(row["accepted"] in REFUSED for row in rows)):
            entry["overlay"] = self._draw(values, parts, rows, picture, out)
        return entry

    @staticmethod
    def _draw(values: Array, parts: Sequence[Part], rows: Sequence[Row], picture: Picture, out: Path) -> str:
        """Draw an overlay; return its path below the folder of results."""
        drawn = draw_rings(
            values,
            [(part.number, part.ring, row["accepted"], _words(row)) for part, row in zip(parts, rows, strict=True)],
        )
        name = Path("overlays") / picture.place.with_name(f"{picture.place.name}.jpg")
        _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(drawn[..., ::-1]))
        write_whole(out / name, encoded.tobytes())
        return name.as_posix()


def _words(row: Row) -> str:
    """Say the measures that a person looks for first."""
    said = f"D {rounded(row['outer_diameter']):.1f}  d {rounded(row['inner_diameter']):.1f}"
    return f"{said}  off {row['centre_distance']:.1f}  t {row['min_thickness']:.1f} to {row['max_thickness']:.1f}"
