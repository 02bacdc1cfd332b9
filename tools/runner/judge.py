"""From files to verdicts, in four stages that the parity gate compares: read, prepare, infer, decide.

Letters: B batch, H and W height and width of the model's images.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.acceptance.inspecting import Marked
from callbacks.report.layers import preview
from callbacks.statistics.usual import EMBEDDING, LEVEL, Usual
from datamodules.enhancing.enhancement import Enhancement
from datamodules.errors import UnreadableImageError
from datamodules.files.appearance import appearance
from datamodules.files.fitting import (
    OWN,
    SQUASH,
    Fit,
    Placement,
    fit_zones,
    mark_ground,
    mark_padding,
    network_input,
    place,
)
from datamodules.files.images import Array, check_content, check_white_level, read_image, read_zones, scale
from datamodules.samples.detections import counted, type_of, union

from .accepting import accept
from .input_image import InputImage
from .prepared import Prepared
from .result import Result
from .stream import in_batches, read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from callbacks.acceptance.facts import Measures
    from callbacks.acceptance.inspecting import Inspected, Inspector
    from callbacks.acceptance.judgement import Acceptance
    from datamodules.layer_places import LayerPlaces
    from datamodules.zones.foreground import Foreground

    from .arrays import WithinArrays
    from .decision import Decision
    from .measuring import Measuring
    from .result import Prediction
    from .zoning import Zoned, Zoning

NOT_FINITE = (
    "has a score or a map that is not finite, and so no verdict; the model's weights or the image's values are beyond "
    "what it can compute with: look at both"
)


class Judge:
    """Judges images by whatever turns a batch of them into raw scores and maps.

    Args:
        infer: From images (B, 3, H, W) in [0, 1] to raw scores and maps.
        decision: The thresholds.
        size: Height and width of what ``infer`` takes, unless ``fit`` is ``own``.
        white_level: Stored value that means white; None: what the file's type can hold.
        about: What judges, in plain values: results of different judges are not mixed in one folder.
        measuring: How defects are listed; None: they are not.
        usual: What images of the training are like; None: nobody noted it.
        enhance: What happens to an image before it is resized.
        acceptance: The rules that accept a part or do not; None: there are none.
        classes: Names of the labels of detections, from label 1; none: no types are told.
        instances: Whether detections are instances, which are the defects then; otherwise they say types alone.
        measure_part: Measures the part on an image, as stored (H, W) or (H, W, 3), for these rules; None: nobody does.
        views: From images (B, 3, H, W) to what the model went by, by name: ``reconstruction`` (B, C, H, W) in [0, 1],
            ``bottleneck`` (B, Z, h, w); None: it shows nothing.
        zoning: Finds the zones of images that come without any; None: nobody does.
        fit: How images of other proportions are brought to ``size``.
        inspector: Looks at parts on their images, for these rules; None: maps tell all that they ask for.

    Attributes:
        shows: Pixels along the longer side of what a page shows of images; 0: no page does. Set by who makes one.
        members: By kind, who judges its images instead, from the same input; set by whoever has such models.
        find_kind: Tells the kind of an image of which nobody says it, from its name, its stored values and
            ``white_level``; None: nobody can.
        places: Tells machine, job, build and number of a layer by its path; None: images are no layers of prints.
        square: Side of the squares of larger images that the model learnt from, in pixels; None: from whole images.
        arrays: Judges cells within their arrays, once these have met; None: every image is judged alone. Set by whoever
            has such a model.
        foreground: Finds the part that alone counts, by whoever has a model that leaves the ground out; None: nobody.
    """

    def __init__(
        self,
        infer: Callable[[Array], Prediction],
        decision: Decision,
        size: tuple[int, int],
        white_level: float | None,
        about: dict[str, Any],
        measuring: Measuring | None = None,
        usual: Usual | None = None,
        enhance: Enhancement = Enhancement(),  # noqa: B008 - immutable
        acceptance: Acceptance | None = None,
        measure_part: Callable[[Array], Measures] | None = None,
        classes: Sequence[str] = (),
        *,
        views: Callable[[Array], dict[str, Array]] | None = None,
        zoning: Zoning | None = None,
        instances: bool = False,
        fit: Fit = SQUASH,
        inspector: Inspector | None = None,
    ) -> None:
        self.infer = infer
        self.decision = decision
        self.size = size
        self.white_level = white_level
        self.about = about
        self.measuring = measuring
        self.usual = usual
        self.enhance = enhance
        self.acceptance = acceptance
        self.measure_part = measure_part
        self.classes = tuple(classes)
        self.views = views
        self.zoning = zoning
        self.instances = instances
        self.fit: Fit = fit
        self.marks_padding = True  # what judges is told which pixels are padding
        self.inspector = inspector
        self.shows = 0
        self.members: dict[str, Judge] = {}
        self.square: int | None = None
        self.arrays: WithinArrays | None = None
        self.foreground: Foreground | None = None
        self.find_kind: Callable[[str, Array, float | None], str] | None = None
        self.places: LayerPlaces | None = None

    def __call__(self, image: str | Path | Array, *, kind: str = "", zones: str | Path | Array | None = None) -> Result:
        """Judge one image: a path, or an array (H, W) or (H, W, 3) RGB of 8 or 16 bits.

        Args:
            image: What to judge.
            kind: The sub-population whose threshold holds.
            zones: Zone ids of the image (H, W) uint8, or a file with them, where thresholds differ by zone.

        Raises:
            UnreadableImageError: The image cannot be read.
        """
        values = image if isinstance(image, np.ndarray) else self.read(image)
        name = "" if isinstance(image, np.ndarray) else str(image)
        prepared = self._prepared(name, PurePosixPath(name), values, kind)
        return self.judge([prepared], [kind], [None if zones is None else self.prepare_zones(zones)])[0]

    def stream(
        self,
        images: Iterable[str | Path | Array | InputImage],
        *,
        kind: str = "",
        batch_size: int = 1,
        readers: int = 0,
    ) -> Iterator[Result]:
        """Judge images one after the other, in bounded memory; one that cannot be read yields a result that says why.

        Args:
            images: Paths, arrays (frames of a camera, say), or what ``find_images`` yields; may be endless.
            kind: The sub-population whose threshold holds.
            batch_size: Images that are judged together.
            readers: Threads that read ahead; 0: an image is asked for only when it is needed, for live cameras.
        """
        for prepared in self.batches(images, batch_size, readers, kind):
            yield from self.judge(prepared, [kind] * len(prepared))

    def batches(
        self, images: Iterable[str | Path | Array | InputImage], batch_size: int, readers: int, kind: str = ""
    ) -> Iterator[list[Prepared]]:
        """Read and resize images of a kind, in batches."""
        batch_size = 1 if self.fit == OWN else batch_size  # images of several sizes make no batch
        named = (_named(image, index) for index, image in enumerate(images))
        return in_batches(read_ahead(named, partial(self.read_named, kind=kind), readers, 2 * batch_size), batch_size)

    def read(self, image: str | Path) -> Array:
        """Read an image as stored: (H, W) grey or (H, W, 3) RGB.

        Raises:
            UnreadableImageError: It cannot be read.
        """
        return read_image(image)

    def read_named(self, image: InputImage, kind: str = "") -> Prepared:
        """Read and resize an image, or say why it cannot be."""
        try:
            values = image.read()
            prepared = self._prepared(image.name, image.place, values, kind)
            return prepared._replace(read=image.read, shown=self._preview(values))
        except UnreadableImageError as error:
            problem = f"{error.problem}; {error.remedy}"
        except MemoryError:
            problem = "is too large for the memory; cut it into tiles"
        return Prepared(image.name, image.place, None, error=problem)

    def prepare(self, values: Array, name: str = "", zoned: Zoned | None = None) -> Array:
        """Turn stored values (H, W) or (H, W, 3) into what the graph takes: (3, H, W) float32 in [0, 1]."""
        check_white_level(values, name, self.white_level)
        check_content(values, name)
        zones_HW = None
        if zoned is not None and self.enhance.by_zone:
            zones_HW = zoned.drawn()
        enhanced = self.enhance(values, self.white_level, zones_HW)
        return network_input(enhanced, *self.size, None if self.enhance else self.white_level, self.fit)

    def prepare_zones(self, zones: str | Path | Array) -> Array:
        """Turn zone ids (H, W), or a file with them, into ids at the model's size."""
        zones_HW = zones if isinstance(zones, np.ndarray) else read_zones(zones)
        return fit_zones(zones_HW, self.placement((zones_HW.shape[0], zones_HW.shape[1])))

    def placement(self, size: tuple[int, int]) -> Placement:
        """Say how an image of a size lies in what the model sees."""
        return place(size, self.size, self.fit)

    def judge(
        self, images: Sequence[Prepared], kinds: Sequence[str], zones: Sequence[Array | None] | None = None
    ) -> list[Result]:
        """Judge prepared images, all in one batch.

        Args:
            images: What was read.
            kinds: The sub-population of each.
            zones: Zone ids of each, as ``prepare_zones`` gives them; None where there are none but those found.
        """
        kinds = [kind or image.kind for kind, image in zip(kinds, images, strict=True)]
        zones = zones or [None] * len(images)
        judges = [self.responsible(kind) for kind in kinds]
        results: dict[int, Result] = {}
        for judge in dict.fromkeys(judges):
            rows = [row for row, one in enumerate(judges) if one is judge]
            own = [images[row] for row in rows], [kinds[row] for row in rows], [zones[row] for row in rows]
            found = judge.judge_alone(*own)
            results.update(zip(rows, found if judge is self else map(judge.measured, found), strict=True))
        return [self._placed(results[row]) for row in range(len(images))]

    def responsible(self, kind: str) -> Judge:
        """Return who judges images of a kind: its own model, or this one."""
        return self.members.get(kind, self)

    def own_thresholds(self) -> dict[str, tuple[float, str]]:
        """Give thresholds for images, and what they promise, of the kinds that have their own, by kind."""
        judges = {kind: self.responsible(kind) for kind in sorted({*self.members, *self.decision.kinds})}
        return {
            kind: (float(judge.decision.threshold(kind)), judge.decision.promise_of(kind))
            for kind, judge in judges.items()
            if judge is not self or judge.decision.tells(kind)
        }

    def measured(self, result: Result) -> Result:
        """List the defects of an image, where anybody measures them and nobody has."""
        if self.measuring is None or result.error or result.defects is not None:
            return result
        return replace(result, defects=tuple(self.measuring(result)))

    def _placed(self, result: Result) -> Result:
        """Say where a layer belongs, where images are layers."""
        return result if self.places is None else replace(result, layer=self.places(result.name, result.place))

    def judge_alone(
        self, prepared: Sequence[Prepared], kinds: Sequence[str], zones: Sequence[Array | None]
    ) -> list[Result]:
        """Judge by this judge's own model, whatever the kinds; arguments as in ``judge``."""
        if self.fit == OWN and len(prepared) > 1:
            each = zip(prepared, kinds, zones, strict=True)
            return [self.judge_alone([image], [kind], [own])[0] for image, kind, own in each]
        zones = [self._zones_of(image, own) for image, own in zip(prepared, zones, strict=True)]
        parts = [self._part_of(image, own) for image, own in zip(prepared, zones, strict=True)]
        seen = [pair for pair in zip(prepared, parts, strict=True) if pair[0].image_3HW is not None]
        found = self.infer(np.stack([self._marked(*pair) for pair in seen])) if seen else None
        if found is not None and self.arrays is not None:
            found = self.arrays.within([one.name for one in prepared if one.image_3HW is not None], found)
        results, row = [], 0
        for image, kind, zones_HW, part_HW in zip(prepared, kinds, zones, parts, strict=True):
            if image.image_3HW is None or found is None:
                result = Result(image.name, place=image.place, error=image.error)
            else:
                result = self._decide(image, found, row, kind, zones_HW, part_HW)
                row += 1
            results.append(accept(result, self.acceptance, self.measuring, image.part, self._inspect(image, result)))
        return results

    def _zones_of(self, image: Prepared, given_HW: Array | None) -> Array | None:
        """Return zone ids of an image: those given, or else those found."""
        if given_HW is not None or image.zoned is None:
            return given_HW
        return image.zoned.fitted(self.placement(image.size))

    def _part_of(self, image: Prepared, zones_HW: Array | None) -> Array | None:
        """Find the part of an image that alone counts, (H, W) bool; None where all of it does."""
        if self.foreground is None or image.image_3HW is None:
            return None
        placement = self.placement(image.size)
        return self.foreground.find(image.image_3HW, zones_HW, placement.frame if placement.padded else None)

    def _marked(self, image: Prepared, part_HW: Array | None) -> Array:
        """Tell what judges which pixels of an image are padding, and which are not of its part."""
        placement, seen = self.placement(image.size), np.asarray(image.image_3HW)
        seen = mark_padding(seen, placement) if placement.padded and self.marks_padding else seen
        return seen if part_HW is None else mark_ground(seen, part_HW)

    def _inspect(self, image: Prepared, result: Result) -> Inspected | None:
        """Inspector at the part itself, where the rules ask for more than a map tells."""
        if self.inspector is None or image.stored is None or result.mask is None or result.anomaly_map is None:
            return None
        marked = Marked(result.mask, result.anomaly_map, result.placed, result.defective)
        return self.inspector(image.stored, result.kind, marked)

    def _decide(
        self, image: Prepared, found: Prediction, row: int, kind: str, zones_HW: Array | None, part_HW: Array | None
    ) -> Result:
        score, map_HW = found.score_B[row], found.map_BHW[row]
        if not np.isfinite(score) or not np.isfinite(map_HW).all():
            return Result(image.name, place=image.place, error=NOT_FINITE)
        placement = self.placement(image.size)
        inside_HW = part_HW if part_HW is not None else placement.inside() if placement.padded else None
        detections = [] if found.detections is None else found.detections[row]
        searched = self.instances and found.detections is not None
        if searched:
            mask_HW = union(counted(detections, float(self.decision.threshold(kind))), map_HW.shape)
            if inside_HW is not None:
                mask_HW &= inside_HW
        else:
            mask_HW = self.decision.mask(map_HW, kind, zones_HW, inside_HW)
        defective = self.decision.is_defective(score, kind) and not (searched and score <= 0)
        facts: dict[str, float] = {}
        if self.usual is not None and image.facts:
            facts = {**image.facts, LEVEL: self.usual.level(map_HW if inside_HW is None else map_HW[inside_HW])}
            facts |= {} if found.distance_B is None else {EMBEDDING: found.distance_B[row]}
        return Result(
            name=image.name,
            place=image.place,
            score=float(score),
            threshold=float(self.decision.threshold(kind)),
            defective=defective,
            probability=self.decision.probability(score),
            rank_among_good=self.decision.rank_among_good(score, kind),
            kind=kind,
            size=image.size,
            input_3HW=image.image_3HW,
            anomaly_map=map_HW,
            mask=mask_HW,
            map_range=self.decision.map_range,
            regions=self.decision.regions(map_HW, mask_HW, placement),
            placement=placement,
            read=image.read and partial(_as_seen, image.read, self.white_level),
            shown=image.shown,
            unusual="" if self.usual is None else self.usual.judge(facts),
            facts=facts,
            detections=tuple(entry._replace(box=placement.box(entry.box)) for entry in detections),
            type=type_of(detections, self.classes) if defective else "",
            searched=searched,
            classes=self.classes,
            zones_HW=zones_HW,
            um_per_pixel=None if image.zoned is None else image.zoned.um_per_pixel,
        )

    def _preview(self, values: Array) -> Array | None:
        """Shrink an image to what a page shows of it, where there is to be one."""
        return preview(values, self.white_level, self.shows) if self.shows else None

    def _prepared(self, name: str, place: PurePosixPath, values: Array, kind: str) -> Prepared:
        if not kind and self.find_kind is not None:
            kind = self.find_kind(name, values, self.white_level)
        zoned = None if self.zoning is None else self.zoning(values, kind)
        image_3HW, size = self.prepare(values, name, zoned), values.shape[:2]
        facts = {} if self.usual is None else facts_of(values, self.white_level)
        part = None if self.measure_part is None else self.measure_part(values)
        stored = None if self.inspector is None else values
        return Prepared(name, place, image_3HW, size, facts=facts, part=part, zoned=zoned, kind=kind, stored=stored)


def facts_of(values: Array, white_level: float | None) -> dict[str, float]:
    """Measure an image as stored, (H, W) or (H, W, 3), as the survey of a training does."""
    height, width = values.shape[:2]
    return {"height": height, "width": width, **appearance(scale(values, white_level))._asdict()}


def _as_seen(read: Callable[[], Array], white_level: float | None) -> Array:
    """Read an image once more, as it is shown: (H, W, 3) uint8."""
    return preview(read(), white_level, None)


def _named(image: str | Path | Array | InputImage, index: int) -> InputImage:
    """Give whatever a caller streams a name, and a way to read it."""
    if isinstance(image, InputImage):
        return image
    if isinstance(image, np.ndarray):
        return InputImage(f"frame {index}", PurePosixPath(f"{index:07}"), lambda: image)
    return InputImage(str(image), PurePosixPath(Path(image).name), lambda: read_image(image))
