"""Images of any size, judged tile by tile by any model, and put together without seams.

Tiles overlap, and each looks beyond the image's border into its reflection; their maps are blended with the flanks of
a Hann window, which add up to one ("overlap-tile", Ronneberger, Fischer and Brox 2015, arXiv 1505.04597, with weights).

Letters: B images, K tiles, S side of a tile, H and W height and width of an image, all in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from anomalib.data import InferenceBatch
from torchvision.tv_tensors import Image, Mask

from datamodules.samples.augment import moved_target
from datamodules.samples.batch import InspectionBatch
from datamodules.table import DEFECTIVE, GOOD, UNKNOWN

from .joining import LIMIT, merge_tiles
from .tile_axes import lay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from datamodules.files.fitting import Part
    from datamodules.samples.detections import Detections

    from .tile_axes import Laid

    Predict = Callable[[Tensor], tuple[InferenceBatch, list[Detections] | None]]


class Cutting(Protocol):
    """Cuts what a model sees out of images, and puts together what it says of the parts.

    Attributes:
        joins_instances: Whether it can put instances together, too.
        keeps_values: Whether parts show the very values of images, marks of padding among them, and no mixtures.
    """

    joins_instances: ClassVar[bool]
    keeps_values: ClassVar[bool]

    @property
    def size(self) -> int:
        """Side of the parts, in pixels."""

    def judge(self, predict: Predict, image_B3HW: Tensor) -> tuple[InferenceBatch, list[Detections] | None]:
        """Judge images of any size by their parts."""

    def cut_batch(self, batch: InspectionBatch) -> InspectionBatch:
        """Turn training images into parts, with everything that has a place."""

    def to_plain(self, size: tuple[int, int]) -> dict[str, Any]:
        """Say in plain values how a runner cuts images of ``size`` (height, width)."""


@dataclass(frozen=True)
class Tiling:
    """How images are cut, judged and put together; ``InspectionModel.use_tiling`` gives it to a model.

    An image's score is that of its worst tile, its map the blend of the tiles' maps, and instances that several tiles
    saw are one. An image no larger than a tile is judged whole.

    Args:
        size: Side of the tiles.
        overlap: Share of the side that neighbours share at least, in [0, 0.5].
        margin: Pixels at the rim of every tile that are not used, where a network sees the tile's border; neighbours
            blend in what is left of their overlap. The radius of the network's receptive field makes maps the very ones
            of whole images, away from their borders. None: a quarter of the overlap.
        batch: Tiles that are judged at a time: it bounds the memory, whatever the size of the images.
        crops: Tiles cut at random from each training image per step; None: all of the grid, as models need that fit
            in one pass.
        merge_overlap: Two instances on two tiles are one where their masks agree in what both tiles saw to this share.
        limit: Instances of an image at most, the surest, before those that are one are joined.

    Raises:
        ValueError: An argument is out of range.
    """

    joins_instances: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    size: int = 256
    overlap: float = 0.25
    margin: int | None = None
    batch: int = 16
    crops: int | None = None
    merge_overlap: float = 0.5
    limit: int = LIMIT

    def __post_init__(self) -> None:
        """Refuse what makes no tiles."""
        for key, found in (("size", self.size), ("batch", self.batch)):
            if found < 1:
                raise ValueError(f"Expected tiling.{key} to be at least 1, but found {found}.")
        if not 0 <= self.overlap <= 0.5:
            raise ValueError(f"Expected tiling.overlap to be at least 0 and at most 0.5, but found {self.overlap}.")
        if not 0 <= 2 * self.rim <= self.overlap * self.size:
            raise ValueError(
                "Expected tiling.margin to be at least 0 and at most half of an overlap of "
                f"{self.overlap * self.size:g} pixels, but found {self.rim}; set tiling.overlap or tiling.size higher."
            )
        if min(self.batch, self.limit) < 1 or (self.crops is not None and self.crops < 1):
            raise ValueError(
                "Expected tiling.batch to be at least 1, tiling.limit at least 1, and tiling.crops at least 1 or null, "
                f"but found {self.batch}, {self.limit} and {self.crops}."
            )

    @property
    def rim(self) -> int:
        """Pixels at every side of a tile that are not used."""
        return int(self.overlap * self.size) // 4 if self.margin is None else self.margin

    def axis(self, length: int) -> Laid:
        """Lay tiles along an axis of ``length`` pixels; a single one where it is long enough."""
        return lay(length, self.size, self.overlap, self.rim)

    def to_plain(self, size: tuple[int, int]) -> dict[str, Any]:
        """Say where tiles lie on images of ``size`` (height, width), and how they are blended, in plain values."""
        rows, columns = (self.axis(length) for length in size)
        return {
            "size": self.size,
            "rows": rows.starts,
            "columns": columns.starts,
            "row_weights": rows.weight_S.tolist(),
            "column_weights": columns.weight_S.tolist(),
            "merge_overlap": self.merge_overlap,
            "limit": self.limit,
        }

    def judge(self, predict: Predict, image_B3HW: Tensor) -> tuple[InferenceBatch, list[Detections] | None]:
        """Judge images tile by tile.

        Args:
            predict: Judges tiles (K, 3, S, S): raw scores and maps, and detections where there are any.
            image_B3HW: Of any size.
        """
        height, width = image_B3HW.shape[-2:]
        rows, columns = self.axis(height), self.axis(width)
        weight_SS = torch.from_numpy(rows.weight_S[:, None] * columns.weight_S).to(image_B3HW.device)
        places = [(top, left) for top in rows.starts for left in columns.starts]
        # A graph that is exported must not depend on the number of images: it goes tile by tile with all of them.
        exported = torch.compiler.is_exporting()
        parts = [image_B3HW] if exported else torch.split(image_B3HW, self.batch)
        judged = [
            self._judge(predict, part, places, weight_SS, 1 if exported else max(1, self.batch // len(part)))
            for part in parts
        ]
        prediction = InferenceBatch(
            pred_score=torch.cat([score_B for score_B, _, _ in judged]),
            anomaly_map=torch.cat([map_BHW for _, map_BHW, _ in judged]),
        )
        return prediction, [detections for _, _, found in judged for detections in found] or None

    def _judge(
        self, predict: Predict, image_B3HW: Tensor, places: Sequence[tuple[int, int]], weight_SS: Tensor, at_once: int
    ) -> tuple[Tensor, Tensor, list[Detections]]:
        """Judge images, ``at_once`` places of all of them at a time; return scores, maps and detections."""
        count, _, height, width = image_B3HW.shape
        blend = Blend(image_B3HW.new_zeros(count, height, width), image_B3HW.new_zeros(height, width))
        scores: list[Tensor] = []
        seen: list[list[Detections]] = []
        for first in range(0, len(places), at_once):
            some = places[first : first + at_once]
            tiles = torch.cat([cut(image_B3HW, place, self.size) for place in some])
            prediction, detections = predict(tiles)
            if prediction.pred_score is None or prediction.anomaly_map is None:
                raise TypeError("Expected raw scores and maps of tiles, but the model returned none.")
            scores += prediction.pred_score.reshape(len(some), -1).unbind()
            # Not chunk: asked for a single part, torch's exporter takes the number of images for a constant.
            maps = prediction.anomaly_map.reshape(len(some), -1, self.size, self.size)
            for place, map_BSS in zip(some, maps, strict=True):
                blend.add(map_BSS, weight_SS, place)
            if detections is not None:
                seen += [detections[index * count : (index + 1) * count] for index in range(len(some))]
        merged = [
            merge_tiles([part[index] for part in seen], places, (height, width), self.merge_overlap, self.limit)
            for index in range(count if seen else 0)
        ]
        return torch.stack(scores).amax(dim=0), blend.mean(), merged

    def cut_batch(self, batch: InspectionBatch) -> InspectionBatch:
        """Turn training images into training tiles, with everything that has a place.

        A tile of a defective image is defective where a mask says so, good where it says not, and unknown where there
        is no mask.
        """
        height, width = batch.image.shape[-2:]
        places = [place for _ in range(len(batch)) for place in self._training_places(height, width)]
        per_image = len(places) // len(batch)
        index_K = [index for index in range(len(batch)) for _ in range(per_image)]

        def tiles(values: Tensor) -> Tensor:
            where = zip(index_K, places, strict=True)
            return torch.stack([cut(values[index], place, self.size) for index, place in where])

        mask_KSS = tiles(batch.gt_mask.as_subclass(torch.Tensor))
        has_mask_K = batch.has_mask[index_K]
        label_K = tile_labels(batch.label_index[index_K], has_mask_K, mask_KSS)
        targets = batch.target and [
            cut_target(batch.target[index], place, self.size) for index, place in zip(index_K, places, strict=True)
        ]
        return InspectionBatch(
            image=Image(tiles(batch.image.as_subclass(torch.Tensor))),
            image_path=[batch.image_path[index] for index in index_K],
            gt_label=label_K == DEFECTIVE,
            gt_mask=Mask(mask_KSS),
            name=[f"{batch.name[index]}#{left},{top}" for index, (top, left) in zip(index_K, places, strict=True)],
            label_index=label_K,
            has_mask=has_mask_K,
            group=[batch.group[index] for index in index_K],
            kind=[batch.kind[index] for index in index_K],
            zones=None if batch.zones is None else tiles(batch.zones),
            target=targets,
            frame=None if batch.frame is None else self._frames(batch.frame, index_K, places),
            foreground=None if batch.foreground is None else tiles(batch.foreground),
        )

    def _frames(
        self, frame_N: Sequence[Part | None], index_K: Sequence[int], places: Sequence[tuple[int, int]]
    ) -> list[Part | None]:
        """Say where each tile shows its image and no padding."""
        cut_K = ((frame_N[index], place) for index, place in zip(index_K, places, strict=True))
        return [None if frame is None else frame.seen_from(*place, self.size) for frame, place in cut_K]

    def _training_places(self, height: int, width: int) -> Iterator[tuple[int, int]]:
        """Say where the tiles of a training image lie: all of the grid, or at random, as torch's seed decides."""
        if self.crops is None:
            yield from ((top, left) for top in self.axis(height).starts for left in self.axis(width).starts)
            return
        for _ in range(self.crops):
            top, left = (int(torch.randint(max(1, length - self.size + 1), ())) for length in (height, width))
            yield top, left


class Blend:
    """A weighted mean of maps that overlap, one for each image.

    Args:
        sum_BHW: Zeros, as large as the images.
        weight_HW: Zeros.
    """

    def __init__(self, sum_BHW: Tensor, weight_HW: Tensor) -> None:
        self.sum_BHW = sum_BHW
        self.weight_HW = weight_HW

    def add(self, map_BSS: Tensor, weight_SS: Tensor, place: tuple[int, int]) -> None:
        """Add the maps of one place; what lies beyond the image is left out."""
        inside, within = [], []
        for start, side, length in zip(place, weight_SS.shape, self.weight_HW.shape, strict=True):
            first, last = max(start, 0), min(start + side, length)
            inside.append(slice(first, last))
            within.append(slice(first - start, last - start))
        weight = weight_SS[within[0], within[1]].to(self.weight_HW.dtype)
        self.sum_BHW[:, inside[0], inside[1]] += weight * map_BSS[:, within[0], within[1]]
        self.weight_HW[inside[0], inside[1]] += weight

    def mean(self) -> Tensor:
        """Return the maps, (B, H, W)."""
        return self.sum_BHW / self.weight_HW


def reflected(start: int, size: int, length: int, device: torch.device) -> Tensor:
    """Return which pixels of an axis of ``length`` a tile shows, (S,): beyond its ends the axis is reflected."""
    period = max(1, 2 * (length - 1))
    place = torch.arange(start, start + size, device=device).abs() % period
    return torch.where(place < length, place, period - place)


def cut(values: Tensor, place: tuple[int, int], size: int) -> Tensor:
    """Cut one tile out of values (..., H, W), reflected at their borders: (..., S, S)."""
    rows = reflected(place[0], size, values.shape[-2], values.device)
    columns = reflected(place[1], size, values.shape[-1], values.device)
    return values.index_select(-2, rows).index_select(-1, columns)


def cut_target(target: dict[str, Tensor] | None, place: tuple[int, int], size: int) -> dict[str, Tensor] | None:
    """Cut the instances of an image to those of a tile; None where nobody knows them."""
    return None if target is None else moved_target(cut(target["masks"], place, size), target["labels"])


def tile_labels(label_index_K: Tensor, has_mask_K: Tensor, mask_KSS: Tensor) -> Tensor:
    """Label tiles by their image's label and their own part of its mask, (K,)."""
    marked_K = torch.where(mask_KSS.flatten(1).any(dim=1), DEFECTIVE, GOOD)
    defective_K = torch.where(has_mask_K, marked_K, UNKNOWN)
    return torch.where(label_index_K == DEFECTIVE, defective_K, label_index_K)
