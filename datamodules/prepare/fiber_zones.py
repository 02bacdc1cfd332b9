"""End faces to zones, scale and overlays: what ``loupe prepare fiber`` writes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import pandas as pd

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image
from datamodules.files.suffixes import is_image
from datamodules.files.walking import walk_images
from datamodules.files.whole_files import write_whole
from datamodules.progress import track
from datamodules.zones.kinds import Sizes, priors_by_kind
from datamodules.zones.many import Face, find_all
from datamodules.zones.masks import overlay, zone_map
from datamodules.zones.pooling import scales_of, usual_aspects
from datamodules.zones.scale import Scale, core_offset_um, disagreement, ovality
from datamodules.zones.weights_file import add_to_file, read_weights

from .preparation import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datamodules.files.images import Array
    from datamodules.zones.finding import Zones
    from datamodules.zones.prior import Prior

TABLE = "zones.csv"
COLUMNS = (
    *("image", "found", "support", "cx", "cy", "core_radius", "cladding_radius", "aspect"),
    *("um_per_pixel_x", "um_per_pixel_y", "core_offset_um", "ovality"),
)
BESIDE = ("zones", "masks", "overlays")  # folders that hold no end faces
LOUD = 0.07  # a core that is so far off the size of its kind contradicts the cladding's


@dataclass(frozen=True, kw_only=True)
class FiberZones:
    """Finds the zones of every end face, as ``FiberDataModule`` reads them.

    Under ``out``: ``zones/`` with one PNG per image in which a cladding was found, same path and stem (1 core, 2
    cladding, 3 ferrule); ``zones.csv`` with the columns ``COLUMNS``: pixels of the image on disk, (0, 0) its outer
    corner, radii along y, ``aspect`` x over y, empty cells where unknown; ``overlays/``; ``weights.json``; and
    ``excluded.csv`` with what was not found or cannot be read, and why.

    Args:
        source: An image of an end face, or a folder of them.
        out: Folder to write to.
        core_um: Diameter of the core; a number, or one per kind (the image's folder); null: unknown.
        cladding_um: Diameter of the outermost circle, likewise; null: 125.
        aspect: Of a circle in the images' pixels, x over y; null: measured on each.
        scale: Micrometres per pixel from each ``image``'s own cladding, or the median of its ``kind`` and image size.
        weights: File of the detectors' weights, which is used and learned on; null: learned on these images alone.
        overlays: Write overlays.
    """

    source: str
    out: str
    core_um: Sizes = None
    cladding_um: Sizes = None
    aspect: float | None = None
    scale: Literal["image", "kind"] = "image"
    weights: str | None = None
    overlays: bool = True

    def write(self) -> Prepared:
        """Find the zones of every image, and write them.

        Raises:
            DataError: There are no images, or a size is not valid.
        """
        root, paths, problems = self._images()
        out = Path(self.out).expanduser().resolve()
        names = [path.relative_to(root) for path in paths]
        kinds = [name.parent.as_posix() if name.parent != Path() else "" for name in names]
        priors = priors_by_kind(kinds, self.core_um, self.cladding_um, self.aspect)
        weights_path = None if self.weights is None else Path(self.weights).expanduser()
        faces, agreement = find_all(paths, kinds, priors, None if weights_path is None else read_weights(weights_path))
        scales = scales_of(faces, priors, by_kind=self.scale == "kind")
        for face, name, scale in track(list(zip(faces, names, scales, strict=True)), "writing zones"):
            self._write_face(out, face, name, scale)
        aspects = usual_aspects(faces, priors)
        rows = [
            row_of(face, name, scale, aspects.get((face.kind, face.size)))
            for face, name, scale in zip(faces, names, scales, strict=True)
        ]
        _write_csv(out / TABLE, pd.DataFrame(rows, columns=list(COLUMNS)))
        problems += [face.problem for face in faces if face.problem is not None]
        listed = pd.DataFrame([(p.path, p.problem, p.remedy) for p in problems], columns=["path", "problem", "remedy"])
        _write_csv(out / "excluded.csv", listed)
        found = sum(face.found for face in faces)
        if agreement:
            add_to_file(weights_path or out / "weights.json", agreement, found, fresh=weights_path is None)
        return Prepared(
            out,
            len(faces),
            {},
            problems,
            f"loupe train data=fiber {shlex.quote(f'data.root={root}')} {shlex.quote(f'data.zones={out}')}",
            summary=f"Found the zones of {found} of {len(faces)} images; zones, {TABLE} and overlays in {out}",
            notes=[*_scale_notes(faces, scales), *_core_notes(faces, priors)],
        )

    def _images(self) -> tuple[Path, list[Path], list[UnreadableImageError]]:
        """List the images: their root, and those of them that nothing else lies under the name of."""
        source = Path(self.source).expanduser().resolve()
        problems: list[UnreadableImageError] = []
        if source.is_file() and is_image(source):
            return source.parent, [source], problems
        apart = {source / name for name in BESIDE} | {Path(self.out).expanduser().resolve() / name for name in BESIDE}
        paths = (
            [path for path in walk_images(source, problems) if not apart & set(path.parents)] if source.is_dir() else []
        )
        if not paths:
            raise DataError(
                f"Expected source to be an image of an end face, or a folder of them, but found none at {self.source}."
            )
        taken: dict[Path, Path] = {}
        for path in paths:
            first = taken.setdefault(path.with_suffix(""), path)
            if first != path:
                what = f"has the stem of {first.name}, so that both would have one file of zones"
                problems.append(UnreadableImageError(path, what, "rename one of them"))
        return source, list(taken.values()), problems

    def _write_face(self, out: Path, face: Face, name: Path, scale: Scale | None) -> None:
        zones, place = face.zones, out / "zones" / name.with_suffix(".png")
        if zones is None:
            return
        if zones.cladding is None:
            place.unlink(missing_ok=True)  # of an earlier call
        else:
            _write_png(place, zone_map(zones.cladding, zones.core, face.size))
        if self.overlays:
            drawn = overlay(read_image(face.path), zones.cladding, zones.core, zones.core_source, say(zones, scale))
            _write_png(out / "overlays" / name.with_suffix(".png"), drawn[..., ::-1])


def say(zones: Zones, scale: Scale | None) -> str:
    """Say what was found, in one line."""
    if not zones.found:
        return f"not found (support {zones.support:.2f})"
    core = {"seen": "core seen", "given": "core as given", "": "core unknown"}[zones.core_source]
    um = "" if scale is None else f", {scale.y:.4f} um/px ({scale.source})"
    return f"support {zones.support:.2f}, {core}{um}"


def row_of(face: Face, name: Path, scale: Scale | None, aspect: float | None) -> dict[str, Any]:
    """Return a row of ``zones.csv``; what is unknown is left out.

    Args:
        face: What was found.
        name: Of the image, below the source.
        scale: Micrometres per pixel.
        aspect: A circle's, by what other images say; None: this image alone says it.
    """
    row: dict[str, Any] = {"image": name.as_posix(), "found": "true" if face.found else "false"}
    zones = face.zones
    if zones is not None:
        row["support"] = round(zones.support, 3)
    if scale is not None:
        row |= {"um_per_pixel_x": round(scale.x, 6), "um_per_pixel_y": round(scale.y, 6)}
    if zones is None or zones.cladding is None:
        return row
    shape = zones.cladding
    row |= {"cx": round(shape.cx, 3), "cy": round(shape.cy, 3), "cladding_radius": round(shape.radius, 3)}
    row |= {"aspect": round(shape.aspect, 5), "ovality": round(ovality(shape, aspect or shape.aspect), 5)}
    if zones.core is not None:
        row["core_radius"] = round(zones.core.radius, 3)
        if zones.core_source == "seen" and scale is not None:
            row["core_offset_um"] = round(core_offset_um(shape, zones.core, scale), 3)
    return row


def _scale_notes(faces: Sequence[Face], scales: Sequence[Scale | None]) -> list[str]:
    """Say of every kind where its micrometres come from, and how far they scatter."""
    lines = []
    for kind in sorted({face.kind for face in faces}):
        known = [scale for face, scale in zip(faces, scales, strict=True) if face.kind == kind and scale is not None]
        if not known:
            lines.append(f"  {kind or 'all'}: micrometres per pixel unknown")
            continue
        along_y, along_x = (sorted(values) for values in ([s.y for s in known], [s.x for s in known]))
        source = {"image": "from each image's own cladding", "kind": "the median of its kind", "given": "given"}
        lines.append(
            f"  {kind or 'all'}: {along_y[len(known) // 2]:.4f} um per pixel along y ({along_y[0]:.4f} to "
            f"{along_y[-1]:.4f}), {along_x[len(known) // 2]:.4f} along x; {source[known[0].source]}"
        )
    return lines


def _core_notes(faces: Sequence[Face], priors: Mapping[str, Prior]) -> list[str]:
    """Say where cores contradict the sizes that were given, which would make every length wrong."""
    lines = []
    for kind in sorted({face.kind for face in faces}):
        away = sorted(
            off
            for face in faces
            if face.kind == kind and face.zones is not None and face.zones.core_source == "seen"
            and face.zones.core is not None and face.zones.cladding is not None
            and (off := disagreement(face.zones.core, face.zones.cladding, priors[kind])) is not None
        )  # fmt: skip
        if away and abs(away[len(away) // 2]) > LOUD:
            lines.append(
                f"  Careful, {kind or 'all'}: cores are {away[len(away) // 2]:+.0%} off the size that core_um and "
                "cladding_um give them; is cladding_um the diameter of the outermost circle?"
            )
    return lines


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_whole(path, table.to_csv(index=False, lineterminator="\n").encode())


def _write_png(path: Path, values: Array) -> None:
    write_whole(path, cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
