"""The line of 3D prints: layers judged by a run or a bundle, then a page for each job with its layers in order.

It writes what ``loupe predict`` writes (``predictions.csv`` with machine, job, build and layer of images, overlays),
``jobs.csv`` (a row per job), ``jobs/`` with a page for each, and ``index.html``, which lists them. The same command
again goes on where one was interrupted.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from datamodules.layer_places import LayerPlaces
from datamodules.print3d import JOB, MACHINE
from tools.errors import ConfigError
from tools.runner import Bundle, BundleError
from tools.runner.predicting import Options, check_call, predict
from tools.runner.specification import SPEC
from tools.runner.writing import RECORD
from tools.runs.tables import verdict_table

from .line import Judged
from .print3d_pages import write_pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.runner.judge import Judge

LAYER = r"(\d+)(?!.*\d)"
CLASSES = (
    "no_defect",
    "good",
    "ok",
    "normal",
    "holdout",
    "unknown",
    "unlabelled",
    "unlabeled",
    "defect",
    "defective",
    "bad",
)


@dataclass(frozen=True, kw_only=True)
class Print3dLine:
    """Judges layers; see ``configs/line/print3d.yaml`` for its keys."""

    record: ClassVar[str] = RECORD

    run: str | None = None
    bundle: str | None = None
    table: str | None = None
    layers: int | dict[str, int] | None = None
    layer_um: float | None = None
    kind: str = ""
    threshold: float | None = None
    layer_pattern: str | None = None
    job_pattern: str | None = None
    machine_pattern: str | None = None
    batch_size: int = 8

    def __post_init__(self) -> None:
        if (self.run is None) == (self.bundle is None):
            raise ConfigError("Expected run= or bundle=, one of both: a model that learned from layers judges them.")
        if self.batch_size < 1:
            raise ConfigError(f"Expected batch_size to be at least 1, but found {self.batch_size}.")
        if self.layer_um is not None and not 0 < self.layer_um < float("inf"):
            raise ConfigError(f"Expected layer_um to be above 0, or null, but found {self.layer_um}.")
        totals = self.layers.values() if isinstance(self.layers, dict) else [self.layers] if self.layers else []
        if any(total < 1 for total in totals) or self.layers == 0:
            raise ConfigError(f"Expected layers to be a number from 1, or {{JOB: NUMBER}}, but found {self.layers}.")

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Judge every layer of the sources, and write the pages of their jobs.

        Raises:
            ConfigError: The model cannot be used, or ``out`` holds results of something else.
            DataError: There is no image.
        """
        try:
            judge, model = self._judge()
            judge.places = self._places(judge.places)
            options = Options(kind=self.kind, batch_size=self.batch_size, errors="ok")
            check_call(judge, sources, options)
            sha256 = str(judge.about.get("sha256", judge.about.get("spec_sha256", "")))
            opened = nullcontext() if self.table is None else verdict_table(self.table, model, sha256, out)
            with opened as table:
                summary = predict(judge, sources, out, options, table)
        except BundleError as error:
            raise ConfigError(str(error)) from error
        jobs, index = write_pages(out, self._total, self.layer_um, command, pages=page)
        found = "\n".join(
            f"{job.title}{f' on {job.machine}' if job.machine else ''}: {job.progress}, "
            f"{len(job.suspects)} potential defects."
            for job in jobs
        )
        return Judged(f"{summary}\n{found}", summary.failed, index)

    def _total(self, job: str) -> int | None:
        return self.layers.get(job) if isinstance(self.layers, dict) else self.layers

    def _judge(self) -> tuple[Judge, str]:
        """Open the model; return it with its name."""
        word = str(self.bundle if self.run is None else self.run)
        thresholds: Mapping[str, Any] = {"image_threshold": self.threshold}
        if self.bundle is not None or (Path(word).expanduser() / SPEC).is_file():
            return Bundle(Path(word).expanduser(), **thresholds), str(Path(word).expanduser().resolve())
        from tools.configuring.positions import quoted  # noqa: PLC0415 - a bundle does without torch
        from tools.runs.predicting import judge_of  # noqa: PLC0415
        from tools.runs.reading import reading_of  # noqa: PLC0415
        from tools.runs.trained import find_trained  # noqa: PLC0415

        words = [f"run={quoted(word)}", *(f"{name}={value}" for name, value in thresholds.items() if value is not None)]
        trained = find_trained("predict", words, changeable=("data",))
        name = trained.folder.path if trained.folder is not None else trained.checkpoint.resolve()
        return judge_of(trained, reading_of(trained.config.data)), str(name)

    def _places(self, known: LayerPlaces | None) -> LayerPlaces:
        """Read places as the training did, or as the keys of the line say."""
        found = known or LayerPlaces(LAYER, None, MACHINE, JOB, CLASSES)
        own = {
            "layer_pattern": self.layer_pattern,
            "job_pattern": self.job_pattern,
            "machine_pattern": self.machine_pattern,
        }
        return LayerPlaces(**found.to_dict() | {name: value for name, value in own.items() if value is not None})
