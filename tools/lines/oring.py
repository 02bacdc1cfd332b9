"""The line of o-rings: every ring found, measured and judged; one call from images to tables, overlays and a page.

It writes ``parts.csv`` (a row per part, one that says why per image without any), ``instances.csv`` and
``instances.json`` (COCO) where a model looks for defects, ``source_measures.csv`` with ``mode=source``, ``overlays/``,
``summary.json``, ``errors.csv`` where something could not be measured, and ``index.html``. The same command again goes
on where one was interrupted.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import cv2
import numpy as np

from callbacks.acceptance.judgement import Acceptance  # noqa: TC001 - typeguard reads the annotation
from callbacks.report.instance_drawing import draw_instances
from callbacks.report.ring_drawing import draw_rings
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import check_content
from datamodules.files.whole_files import write_whole
from datamodules.progress import track
from datamodules.zones.ring_parts import measure_parts
from datamodules.zones.ring_source import source_measures
from tools.errors import ConfigError
from tools.runner.instance_rows import instance_row
from tools.runner.sources import find_images, require_images

from .line import Judged
from .oring_models import Asked, Background, open_searches
from .oring_results import summary_text, write_results
from .oring_rows import Judge, defect_facts, make_judge, rounded
from .record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from callbacks.acceptance.facts import DefectFacts
    from datamodules.files.images import Array
    from datamodules.samples.detections import Instance
    from datamodules.zones.ring_parts import Part
    from tools.runner.input_image import InputImage

    from .oring_models import Searches
    from .oring_rows import Row

RECORD = "parts.jsonl"
WORKERS = 2  # images measured at a time; OpenCV and NumPy release the interpreter lock
AHEAD = 4  # images read before their turn: memory is bounded, whatever the source holds
REFUSED = ("rework", "rejected", "unknown")
Overlays = Literal["all", "refused", "none"]


@dataclass(frozen=True, kw_only=True)
class OringLine:
    """Measures and judges rings; see ``configs/line/oring.yaml`` for its keys."""

    record: ClassVar[str] = RECORD

    run: str | dict[str, str] | None = None
    bundle: str | dict[str, str] | None = None
    limits: str | None = None
    acceptance: Acceptance | None = None
    kind: str | None = None
    bare_kind: str = "model2"
    mode: Literal["robust", "source"] = "robust"
    mm_per_pixel: float | None = None
    background: Background = "auto"
    bin: int = 1
    threshold: float | None = None
    overlay: Overlays = "all"
    every: int = 1

    def __post_init__(self) -> None:
        if self.mm_per_pixel is not None and not 0 < self.mm_per_pixel < float("inf"):
            raise ConfigError(f"Expected mm_per_pixel to be above 0, or null, but found {self.mm_per_pixel}.")
        if min(self.every, self.bin) < 1:
            raise ConfigError(f"Expected every and bin to be at least 1, but found {self.every} and {self.bin}.")
        if self.threshold is not None and not 0 < self.threshold < float("inf"):
            raise ConfigError(f"Expected threshold to be above 0, or null, but found {self.threshold}.")

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Measure and judge every ring of the sources.

        Raises:
            ConfigError: The limits are none, or ``out`` holds results of something else.
            DataError: There is no image, or no ring at all.
        """
        require_images(sources)
        asked = Asked(self.background, self.bin, self.threshold)
        searches = open_searches(self.run, self.bundle, asked)
        judge = make_judge(self.limits, self.acceptance, self.kind, self.bare_kind, searched=searches is not None)
        with Record(out, RECORD, self._about(judge, searches)) as record:
            earlier = len(record.entries)
            images = find_images(sources, self.every, record.done)
            work = Work(judge, searches, out)
            entries = record.entries
            try:
                for entry in track(self._entries(images, work), "measuring rings"):
                    record.add(entry)
            finally:  # a stream ends when somebody ends it
                index = self._write(out, entries, judge, command, page=page)
        found = [entry for entry in entries if "error" not in entry]
        if not found:
            raise DataError(f"Expected rings on the images, but found none; for example: {entries[0]['error']}")
        return Judged(summary_text(entries, judge, earlier), len(entries) - len(found), index)

    def _write(
        self, out: Path, entries: Sequence[dict[str, Any]], judge: Judge, command: str, *, page: bool
    ) -> Path | None:
        """Write everything that is made of the entries, if there are any."""
        if not entries:
            return None
        return write_results(out, entries, judge, command=command, page=page, source=self.mode == "source")

    def _about(self, judge: Judge, searches: Searches | None) -> dict[str, Any]:
        """Say what decides about results, in plain values."""
        rules = None if judge.acceptance is None else judge.acceptance.to_dict()
        values = asdict(self) | {"acceptance": rules, "models": None if searches is None else dict(searches.about)}
        return {key: value for key, value in values.items() if key not in {"limits", "run", "bundle"}}

    def _entries(self, images: Iterator[InputImage], work: Work) -> Iterator[dict[str, Any]]:
        """Measure images, some ahead, in their order."""
        with ThreadPoolExecutor(WORKERS) as pool:
            waiting = deque(pool.submit(self._entry, one, work) for one in itertools.islice(images, AHEAD))
            while waiting:
                entry = waiting.popleft().result()
                waiting.extend(pool.submit(self._entry, one, work) for one in itertools.islice(images, 1))
                yield entry

    def _entry(self, image: InputImage, work: Work) -> dict[str, Any]:
        """Measure one image, whatever is wrong with it."""
        entry: dict[str, Any] = {"image": image.name}
        try:
            values = image.read()
            check_content(values, image.name)
            parts = measure_parts(values, image.name, self.mm_per_pixel)
            defects = self._search(values, parts, image, work, entry)
        except UnreadableImageError as error:
            return {"image": image.name, "error": f"{error.problem}; {error.remedy}"}
        facts = [self._facts(found, kind, work) for found, kind in defects]
        rows = [work.judge.row(image.name, part, one) for part, one in zip(parts, facts, strict=True)]
        entry |= {"parts": rows}
        if self.mode == "source":
            measured = source_measures(values)
            entry["source"] = None if measured is None else measured
        if self.overlay == "all" or (self.overlay == "refused" and any(row["accepted"] in REFUSED for row in rows)):
            found = [one for several, _ in defects for one in several or ()]
            entry["overlay"] = self._draw(values, parts, rows, found, image, work.out)
        return entry

    def _search(
        self, values: Array, parts: Sequence[Part], image: InputImage, work: Work, entry: dict[str, Any]
    ) -> list[tuple[list[Instance] | None, str]]:
        """Look for the defects of every part, each with its type's own model; write them to the entry."""
        kinds = [work.judge.kind_of(image.name, part) for part in parts]
        found: list[tuple[list[Instance] | None, str]] = [(None, kind) for kind in kinds]
        if work.searches is None:
            return found
        entry |= {"size": list(values.shape[:2]), "tiles": 0, "passed": 0, "instances": []}
        for search in {id(one): one for kind in kinds if (one := work.searches.of(kind)) is not None}.values():
            with work.lock:  # a network takes all cores for itself
                seen = search(values, image.name, [part.ring for part in parts], kinds)
            entry["tiles"] += seen.tiles
            entry["passed"] += seen.passed
            for index, kind in enumerate(kinds):
                if work.searches.of(kind) is search:
                    found[index] = seen.defects[index], kind
        for part, (several, kind) in zip(parts, found, strict=True):
            classes = work.classes(kind)
            rows = [
                {"part": part.number} | instance_row(number, one, values.shape[:2], part.measures["area"], classes)
                for number, one in enumerate(several or (), start=1)
            ]
            entry["instances"] += rows
        return found

    def _facts(self, found: list[Instance] | None, kind: str, work: Work) -> list[DefectFacts] | None:
        if found is None:
            return None
        classes = work.classes(kind)
        return [defect_facts(number, one, classes, self.mm_per_pixel) for number, one in enumerate(found, start=1)]

    @staticmethod
    def _draw(
        values: Array,
        parts: Sequence[Part],
        rows: Sequence[Row],
        found: Sequence[Instance],
        image: InputImage,
        out: Path,
    ) -> str:
        """Draw an overlay; return its path below the folder of results."""
        drawn = draw_rings(
            values,
            [(part.number, part.ring, row["accepted"], _words(row)) for part, row in zip(parts, rows, strict=True)],
        )
        draw_instances(drawn, [(f"{number}: {one.score:.2f}", one) for number, one in enumerate(found, start=1)])
        name = Path("overlays") / image.place.with_name(f"{image.place.name}.jpg")
        _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(drawn[..., ::-1]))
        write_whole(out / name, encoded.tobytes())
        return name.as_posix()


@dataclass(frozen=True)
class Work:
    """What images are judged with.

    Attributes:
        judge: Of parts.
        searches: For defects; None: geometry alone.
        out: Folder of results.
        lock: Held by whoever looks for defects.
    """

    judge: Judge
    searches: Searches | None
    out: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def classes(self, kind: str) -> Sequence[str]:
        """Return the names of labels of the model for a type."""
        search = None if self.searches is None else self.searches.of(kind)
        return () if search is None else search.classes


def _words(row: Row) -> str:
    """Say the measures that a person looks for first."""
    caption = f"D {rounded(row['outer_diameter']):.1f}  d {rounded(row['inner_diameter']):.1f}"
    return f"{caption}  off {row['centre_distance']:.1f}  t {row['min_thickness']:.1f} to {row['max_thickness']:.1f}"
