"""A bundle, ready to judge."""

from __future__ import annotations

from pathlib import Path

from callbacks.acceptance.judgement import Acceptance
from callbacks.statistics.cloud import Cloud
from callbacks.statistics.usual import EMBEDDING, Usual
from datamodules.enhancing.enhancement import read_enhancement
from datamodules.files.fitting import SQUASH
from datamodules.kinds import read_finder
from datamodules.layer_places import read_places
from datamodules.zones.foreground import Foreground

from .arrays import WithinArrays
from .composition import HYBRID, INSTANCES, LAYERED, compose, compose_distances, compose_views
from .decision import Decision
from .face_inspector import inspector_of
from .judge import Judge
from .measuring import Measuring
from .network import choose_form, open_graphs
from .searching import open_arrays
from .spec_check import check_spec, explaining
from .specification import BY_KIND, CLOUD, CLOUD_FILE, SPEC, check_files, hash_file, is_edited, read_object, read_spec
from .zoning import Zoning

PRECISE = frozenset({"fp32", "fp16"})  # forms whose embeddings are near enough to those that were learned from


class Bundle(Judge):
    """An exported detector; or several, one for all images and others for kinds of them.

    Args:
        folder: The bundle.
        runtime: ``onnxruntime`` or ``openvino``; None: whichever is installed, in the order of ``spec.json``.
        precision: ``fp32``, or ``fp16`` and ``int8`` where they were exported.
        threads: For the graphs, and for a search of a large bank; None: as many as the runtime thinks best, and all.
        image_threshold: In place of every threshold for images, in raw score units.
        pixel_threshold: In place of every threshold for pixels.

    Attributes:
        spec: The content of ``spec.json``.
        edited: Whether somebody changed ``spec.json`` since the export, to move a threshold.

    Raises:
        BundleError: The bundle is not whole, or no runtime is installed that it was exported for.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        runtime: str | None = None,
        precision: str = "fp32",
        threads: int | None = None,
        image_threshold: float | None = None,
        pixel_threshold: float | None = None,
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.spec = read_spec(self.folder)
        check_spec(self.spec, self.folder / SPEC)
        self.edited = is_edited(self.folder)
        self.form = choose_form(self.spec, runtime, precision)
        with explaining(self.folder / SPEC):
            self._set_up(threads, image_threshold, pixel_threshold)
        by_kind = read_object(self.folder / BY_KIND) if (self.folder / BY_KIND).is_file() else {}
        self.find_kind = read_finder(by_kind.get("finder"))
        self.places = read_places(self.spec.get("layers"))
        self.members = {
            kind: Bundle(
                self.folder / place,
                runtime=runtime,
                precision=precision,
                threads=threads,
                image_threshold=image_threshold,
                pixel_threshold=pixel_threshold,
            )
            for kind, place in by_kind.get("own", {}).items()
        }

    def _read_cloud(self) -> Cloud | None:
        """Read where the embeddings of usual images lie; None where the form's graph gives none that compare."""
        if CLOUD not in self.spec or self.form.precision not in PRECISE:
            return None
        check_files(self.folder, [CLOUD_FILE])
        return Cloud.from_dict(read_object(self.folder / CLOUD_FILE))

    def _set_up(self, threads: int | None, image_threshold: float | None, pixel_threshold: float | None) -> None:
        """Open the graphs, and become a judge by them."""
        resize = self.spec["input"]["resize"]
        enhance = self.spec["input"].get("enhance", {"entries": []})  # earlier bundles have none
        graphs = open_graphs(self.folder, self.form, threads)
        arrays = open_arrays(self.folder, self.spec["composition"])
        usual = Usual.from_dict(self.spec["usual"]) if self.spec.get("usual") else None
        cloud = self._read_cloud()
        acceptance = Acceptance(**self.spec["acceptance"]) if self.spec.get("acceptance") else None
        measuring = Measuring.read(self.spec["defects"])
        super().__init__(
            infer=compose_distances(compose(self.spec, graphs, arrays, threads), cloud),
            decision=Decision(self.spec["thresholds"], image_threshold, pixel_threshold),
            size=(resize["height"], resize["width"]),
            white_level=self.spec["input"]["white_level"],
            about={
                "bundle": self.spec["name"],
                "spec_sha256": hash_file(self.folder / SPEC),
                "form": f"{self.form.runtime} {self.form.precision}",
            },
            measuring=measuring,
            usual=usual if usual is None or cloud is not None else usual.without(EMBEDDING),
            enhance=read_enhancement(**enhance),
            classes=self.spec.get("classes") or (),
            views=compose_views(self.spec, graphs),
            zoning=Zoning(**self.spec["zoning"]) if self.spec.get("zoning") else None,
            fit=resize.get("fit", SQUASH),  # earlier bundles know no other
            instances=self.spec["composition"]["kind"] in {INSTANCES, HYBRID},
            acceptance=acceptance,
            inspector=inspector_of(acceptance, measuring, **self.spec.get("end_faces") or {}),
        )
        self.marks_padding = bool(self.spec["input"].get("marked_padding", False))  # earlier graphs know none
        self.square = resize.get("square")
        if foreground := self.spec["input"].get("foreground"):
            self.foreground = Foreground(**foreground)
        if self.spec["composition"]["kind"] == LAYERED:
            self.arrays = WithinArrays(self.spec["composition"]["factors"], self.white_level, self.enhance)
