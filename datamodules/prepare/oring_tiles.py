"""Large images of rings to tiles with COCO labels, split by part: what ``loupe prepare oring`` writes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image, scale, to_rgb
from datamodules.files.suffixes import is_hidden
from datamodules.layouts.files import SUMMARY, read_summary
from datamodules.oring import OringDataModule
from datamodules.outlines.annotations import read_annotation
from datamodules.outlines.instances import without_background
from datamodules.outlines.polygons import fill
from datamodules.progress import track
from datamodules.table import DEFECTIVE, SPLITS

from .coco_tiles import PREPARED_BY, Cut, CutImage, coco_file, summarise, tile_entry
from .preparation import Prepared
from .tiling import even_background, find_part, tiles_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from datamodules.files.images import Array
    from datamodules.outlines.polygons import Mask, Outline

FOLDERS = ("images", "annotations")
_REMOVED = 0.5  # of an outline: with more, the background was not background


@dataclass(frozen=True, kw_only=True)
class OringTiles:
    """Cuts images of rings to tiles, their outlines with them, and writes both with splits that keep parts whole.

    Under ``out``: ``images/{split}/*.png``, ``annotations/{split}.json`` (COCO; every image's entry also has
    ``label``, ``kind``, ``group`` and where it was cut from) and ``dataset_summary.json``. The same source and settings
    give the same bytes.

    Args:
        source: Folder in any of the layouts of ``OringDataModule``.
        out: Folder to write to: new, empty, or written by an earlier run, which is replaced.
        tile: Side of a tile in pixels.
        overlap: Pixels that neighbouring tiles share at least, so that a defect on a border is whole in one of them.
        remove_background: Find the part by Otsu's threshold, make the background even, leave out tiles without part.
        margin: Pixels around the part that stay as they are.
        calibration_share: Share of the parts, good and defective, on which thresholds are chosen.
        test_share: Share of the parts that only the test sees.
        seed: Decides the splits.
        kind: Only images of this kind; null: all.
        limit: At most so many images of each label, for quick tries; null: all.
        bare_kind: As ``OringDataModule`` has it, like the next three.
        parts: Labels of outlines that mark the part itself.
        background: Labels of outlines that mark neither part nor defect: they are left aside.
        part_pattern: What names the part in a file's stem.
    """

    source: str
    out: str
    tile: int = 640
    overlap: int = 100
    remove_background: bool = True
    margin: int = 32
    calibration_share: float = 0.1
    test_share: float = 0.1
    seed: int = 0
    kind: str | None = None
    limit: int | None = None
    bare_kind: str = OringDataModule.bare_kind
    parts: tuple[str, ...] = OringDataModule.parts
    background: tuple[str, ...] = OringDataModule.background
    part_pattern: str = OringDataModule.part_pattern

    def __post_init__(self) -> None:
        if self.tile < 1 or not 0 <= self.overlap < self.tile:
            raise DataError(
                "Expected tile to be at least 1 and overlap at least 0 and below tile, "
                f"but found tile={self.tile} and overlap={self.overlap}."
            )
        if self.margin < 0:
            raise DataError(f"Expected margin to be at least 0, but found {self.margin}.")

    def write(self) -> Prepared:
        """Cut and write everything.

        Raises:
            DataError: The source holds nothing usable, or ``out`` holds something else.
        """
        source, out = Path(self.source).expanduser().resolve(), Path(self.out).expanduser().resolve()
        check_out(source, out)
        data = self._read(source)
        images, problems = _images(data.samples)
        problems = [UnreadableImageError(*row) for row in data.excluded.to_numpy()] + problems
        clear(out)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            cuts = pool.map(lambda image: self._cut(image, out), images)
            done = list(track(cuts, "cutting tiles", total=len(images)))
        problems += [problem for cut in done for problem in cut.problems]
        categories = sorted({label for cut in done for tile in cut.tiles for label, _ in tile.outlines} | {"defect"})
        for split in SPLITS:
            tiles = [
                tile for image, cut in zip(images, done, strict=True) for tile in cut.tiles if image.split == split
            ]
            _write_json(out / "annotations" / f"{split}.json", coco_file(tiles, categories))
        summary = self._summary(images, done, problems, source)
        _write_json(out / SUMMARY, {"prepared_by": PREPARED_BY, "complete": True, **summary}, indent=2)
        return Prepared(
            out=out,
            images=len(images),
            tiles={split: summary["splits"][split]["tiles"] for split in SPLITS},
            left_out=problems,
            next_step=f"loupe train data=oring {shlex.quote(f'data.root={out}')}",
        )

    def _read(self, source: Path) -> OringDataModule:
        data = OringDataModule(
            root=str(source),
            calibration_share=self.calibration_share,
            test_share=self.test_share,
            defects_in_train=True,
            seed=self.seed,
            kind=self.kind,
            limit=self.limit,
            bare_kind=self.bare_kind,
            parts=self.parts,
            background=self.background,
            part_pattern=self.part_pattern,
        )
        data.setup()
        return data

    def _cut(self, image: CutImage, out: Path) -> Cut:
        """Cut one image and write its tiles."""
        try:
            values = read_image(image.image_path)
            if values.dtype == np.float32:
                raise UnreadableImageError(image.image_path, "holds floating-point values", "save it with 8 or 16 bits")
            height, width = values.shape[:2]
            outlines: Sequence[Outline] = []
            if image.annotation_path:
                labels = read_annotation(image.annotation_path, image.image_path, height, width)
                outlines = without_background(labels.outlines, self.background)
        except UnreadableImageError as error:  # it changed since the survey
            return Cut([], 0, [error])
        part = find_part(_grey(values), self.margin) if self.remove_background else np.ones((height, width), np.bool_)
        problems = _removed_outlines(image, outlines, part)
        values = even_background(values, part)
        tiles, empty = [], 0
        for tile in tiles_of(height, width, self.tile, self.overlap):
            entry = tile_entry(image, tile, outlines, self.parts)
            if not entry.outlines and not tile.cut(part).any():
                empty += 1
                continue
            _write(out / "images" / image.split / entry.image["file_name"], _png(tile.cut(values)))
            tiles.append(entry)
        return Cut(tiles, empty, problems)

    def _summary(
        self, images: Sequence[CutImage], cuts: Sequence[Cut], problems: Sequence[UnreadableImageError], source: Path
    ) -> dict[str, Any]:
        keys = [field.name for field in fields(OringTiles) if field.name not in {"source", "out"}]
        pairs = list(zip(images, cuts, strict=True))
        return {
            "settings": {key: getattr(self, key) for key in keys},
            "pictures": len(images),
            "tiles": sum(len(cut.tiles) for cut in cuts),
            "splits": {split: summarise([pair for pair in pairs if pair[0].split == split]) for split in SPLITS},
            "kinds": {
                kind: summarise([pair for pair in pairs if pair[0].kind == kind])
                for kind in sorted({image.kind for image in images})
            },
            "left_out": [
                {key: _relative(str(getattr(problem, key)), source) for key in ("path", "problem", "remedy")}
                for problem in problems
            ],
        }


def check_out(source: Path, out: Path) -> None:
    """Refuse to write where something else is.

    Raises:
        DataError: ``out`` lies in the source, holds it, or holds what this did not write.
    """
    if source == out or source in out.parents or out in source.parents:
        raise DataError(f"Expected out to lie apart from source, but found {out} and {source}; choose another folder.")
    if not out.exists() or all(map(is_hidden, out.iterdir())):
        return
    if read_summary(out).get("prepared_by") != PREPARED_BY:
        raise DataError(f"Expected {out} to be new, empty, or written by {PREPARED_BY}, but it holds something else.")


def clear(out: Path) -> None:
    """Make ``out`` empty but for a note that it is not complete yet."""
    _write_json(out / SUMMARY, {"prepared_by": PREPARED_BY, "complete": False})
    for folder in FOLDERS:
        shutil.rmtree(out / folder, ignore_errors=True)


def _images(samples: pd.DataFrame) -> tuple[list[CutImage], list[UnreadableImageError]]:
    """List the images to cut; a defective one of which nobody outlined where cannot be."""
    images: dict[str, CutImage] = {}
    problems = []
    for row in samples.itertuples():
        stem = str(Path(str(row.name)).with_suffix("").as_posix()).removeprefix("images/")
        image = CutImage(
            str(row.image_path),
            str(row.annotation_path),
            stem,
            int(str(row.label_index)),
            str(row.split),
            str(row.group),
            str(row.kind),
        )
        if image.label_index == DEFECTIVE and not image.annotation_path:
            problem, remedy = (
                "is called defective, but has no outlines to tell its good tiles by",
                "outline its defects",
            )
        elif stem in images:
            problem, remedy = f"has the name of {images[stem].image_path}, but for its suffix", "rename or delete one"
        else:
            images[stem] = image
            continue
        problems.append(UnreadableImageError(image.image_path, problem, remedy))
    return list(images.values()), problems


def _removed_outlines(image: CutImage, outlines: Sequence[Outline], part: Mask) -> list[UnreadableImageError]:
    """Name the outlines that lie on what was taken for background."""
    masks = [fill(outline.rings, *part.shape) for outline in outlines]
    lost = sum(bool((mask & ~part).sum() > _REMOVED * mask.sum()) for mask in masks)
    if not lost:
        return []
    found = f"has {lost} of {len(outlines)} outlines on what was taken for background and made even"
    return [UnreadableImageError(image.image_path, found, "set margin higher, or remove_background=false")]


def _grey(values: Array) -> npt.NDArray[np.uint8]:
    scaled = scale(values)
    bytes_ = scaled if scaled.dtype == np.uint8 else np.rint(scaled * 255).astype(np.uint8)
    grey: npt.NDArray[np.uint8] = cv2.cvtColor(to_rgb(bytes_), cv2.COLOR_RGB2GRAY).astype(np.uint8)
    return grey


def _png(values: Array) -> bytes:
    _, encoded = cv2.imencode(".png", values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2BGR))
    return encoded.tobytes()


def _write_json(path: Path, content: Any, indent: int | None = None) -> None:
    _write(path, (json.dumps(content, indent=indent, ensure_ascii=False) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _relative(text: str, source: Path) -> str:
    """Name files below the source alone, so that a summary does not depend on where the source lies."""
    return text.replace(f"{source}{os.sep}", "")
