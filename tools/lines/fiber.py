"""The line of fiber end faces: zones, micrometres, every scratch and defect, and a verdict, from the first image on.

It writes ``predictions.csv`` (a row per image), ``defects.csv`` (a row per scratch or defect), ``reports/`` (a JSON
file per image, with time stamp), ``overlays/``, ``summary.json``, ``errors.csv`` where something could not be read,
and ``index.html`` for the lot. The same command again goes on where one was interrupted.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import cv2
import numpy as np

from callbacks.acceptance.judgement import Acceptance  # noqa: TC001 - typeguard reads the annotation
from callbacks.report.face_drawing import draw_face
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import check_content
from datamodules.files.whole_files import write_whole
from datamodules.progress import track
from datamodules.zones.kinds import Sizes, size_of
from datamodules.zones.prior import Prior
from datamodules.zones.scale import Scale
from datamodules.zones.weights_file import read_weights
from tools.errors import ConfigError
from tools.runner.face import Inspection, classical
from tools.runner.sources import find_images, require_images

from .fiber_results import summary_text, write_results
from .fiber_rows import entry_of
from .fiber_rules import asked_zones, rings_of
from .fiber_scales import kind_of, usual_scales
from .line import Judged
from .record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from datamodules.files.images import Array
    from tools.runner.face import Detector, Face
    from tools.runner.input_image import InputImage

    from .fiber_rows import Row
    from .fiber_scales import Key

RECORD = "predictions.jsonl"
WORKERS = 2  # images inspected at a time; OpenCV and NumPy release the interpreter lock
AHEAD = 4  # images read before their turn: memory is bounded, whatever the source holds
REFUSED = ("rework", "rejected", "unknown")


@dataclass(frozen=True, kw_only=True)
class FiberLine:
    """Inspects end faces; see ``configs/line/fiber.yaml`` for its keys."""

    record: ClassVar[str] = RECORD

    acceptance: Acceptance | None = None
    core_um: Sizes = None
    cladding_um: Sizes = None
    um_per_pixel: float | None = None
    aspect: float | None = None
    scale: Literal["image", "kind"] = "image"
    weights: str | None = None
    run: str | None = None
    overlay: Literal["all", "refused", "none"] = "all"
    every: int = 1

    def __post_init__(self) -> None:
        if self.um_per_pixel is not None and not 0 < self.um_per_pixel < float("inf"):
            raise ConfigError(f"Expected um_per_pixel to be above 0, or null, but found {self.um_per_pixel}.")
        if self.every < 1:
            raise ConfigError(f"Expected every to be at least 1, but found {self.every}.")
        named = {kind for sizes in (self.core_um, self.cladding_um) if isinstance(sizes, dict) for kind in sizes}
        try:  # before any image is read
            _ = [self.prior_of(kind) for kind in ("", *named)]
        except DataError as error:
            raise ConfigError(str(error)) from error

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Inspect every end face of the sources.

        Raises:
            ConfigError: The run or the weights cannot be used, or ``out`` holds results of something else.
            DataError: There is no image that can be read.
        """
        require_images(sources)
        detector, about = self._detector()
        given = None if self.um_per_pixel is None else Scale(*self._given(self.um_per_pixel), "given")
        weights = None if self.weights is None else read_weights(Path(self.weights).expanduser())
        inspect = Inspection(detector, rings_of(self.acceptance), given, weights)
        usual = usual_scales(sources, self.every, self.prior_of, weights) if self.scale == "kind" else {}
        about |= {"usual": {str(key): list(scale) for key, scale in usual.items()}, "weights": weights}
        with Record(out, RECORD, self._about() | about) as record:
            earlier = len(record.entries)
            images = find_images(sources, self.every, record.done)
            for entry in track(self._entries(images, inspect, usual, out), "inspecting end faces"):
                record.add(entry)
            entries = record.entries
        index = write_results(out, entries, self.acceptance, command=command, page=page)
        failed = [entry for entry in entries if "error" in entry]
        if len(failed) == len(entries):
            raise DataError(f"Expected images of end faces, but could read none; for example: {entries[0]['error']}")
        return Judged(summary_text(entries, self.acceptance, earlier), len(failed), index)

    def prior_of(self, kind: str) -> Prior:
        """Return what is known of a kind, which is the folder of its images."""
        return Prior(size_of(self.core_um, kind), size_of(self.cladding_um, kind), self.aspect)

    def _given(self, um_per_pixel: float) -> tuple[float, float]:
        """Return what somebody gave along x and y: it is that along y, where pixels are not square."""
        return um_per_pixel / (self.aspect or 1.0), um_per_pixel

    def _detector(self) -> tuple[Detector, dict[str, Any]]:
        """Return what marks, and what tells it from others."""
        if self.run is None:
            return classical, {}
        from .fiber_models import model_detector  # noqa: PLC0415 - torch takes seconds, and most calls do without

        return model_detector(self.run)

    def _about(self) -> dict[str, Any]:
        """Say what decides about results, in plain values."""
        rules = None if self.acceptance is None else self.acceptance.to_dict()
        return {key: value for key, value in asdict(self).items() if key not in ("weights", "run")} | {
            "acceptance": rules
        }

    def _entries(
        self, images: Iterator[InputImage], inspect: Inspection, usual: Mapping[Key, Scale], out: Path
    ) -> Iterator[Row]:
        """Inspect images, some ahead, in their order."""
        with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
            waiting = deque(
                pool.submit(self._entry, one, inspect, usual, out) for one in itertools.islice(images, AHEAD)
            )
            while waiting:
                entry = waiting.popleft().result()
                waiting.extend(
                    pool.submit(self._entry, one, inspect, usual, out) for one in itertools.islice(images, 1)
                )
                yield entry

    def _entry(self, image: InputImage, inspect: Inspection, usual: Mapping[Key, Scale], out: Path) -> Row:
        """Inspect one image, whatever is wrong with it; write its report and its overlay."""
        kind, time = kind_of(image), datetime.now().astimezone().isoformat(timespec="seconds")
        try:
            values = image.read()
            check_content(values, image.name)
        except UnreadableImageError as error:
            reason = f"{error.problem}; {error.remedy}"
            entry: Row = {"image": image.name, "time": time, "kind": kind, "error": reason}
            if self.acceptance is not None:
                judged = self.acceptance.unjudged(reason)
                entry |= {"accepted": judged.state, "reasons": judged.text}
            return self._reported(entry, image, out)
        face = inspect(values, self.prior_of(kind), usual.get((kind, values.shape[0], values.shape[1])))
        entry = entry_of(face, image.name, kind, time, self.acceptance, asked_zones(self.acceptance))
        if self.overlay == "all" or (self.overlay == "refused" and entry["accepted"] in REFUSED):
            entry["overlay"] = self._draw(values, face, inspect, entry, image, out)
        return self._reported(entry, image, out)

    @staticmethod
    def _draw(values: Array, face: Face, inspect: Inspection, entry: Row, image: InputImage, out: Path) -> str:
        """Draw an overlay; return its path below the folder of results."""
        drawn = draw_face(
            values, face.zones, face.corner, face.defects or (), entry["accepted"], inspect.rings, face.scale
        )
        name = Path("overlays") / image.place.with_name(f"{image.place.name}.jpg")
        _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(drawn[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])
        write_whole(out / name, encoded.tobytes())
        return name.as_posix()

    @staticmethod
    def _reported(entry: Row, image: InputImage, out: Path) -> Row:
        """Write the report of an image; return its entry with the path of it."""
        name = Path("reports") / image.place.with_name(f"{image.place.name}.json")
        entry["report"] = name.as_posix()
        write_whole(out / name, (json.dumps(entry, indent=2, allow_nan=False) + "\n").encode())
        return entry
