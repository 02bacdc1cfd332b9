"""Padding: what a letterboxed image has beside itself. No model learns it, and it counts in no score.

The ground about a part is treated likewise, where data.foreground asks for that, but stays to be seen beside the part.

Which pixels are padding or ground travels in the images themselves: see ``mark_padding`` and ``mark_ground`` in
``datamodules.files.fitting``. So tiles, batches, stages and graphs pass it on as they pass on images, and a graph needs
no second input.

Letters: B batch, C channels, H and W pixels, h and w cells of a coarser map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from datamodules.files.fitting import MARK

if TYPE_CHECKING:
    from collections.abc import Sequence


class SeesPadding(nn.Module):
    """A network that can tell an image from its padding, and a part from the ground about it.

    Attributes:
        pads: Whether images may come with their padding or ground marked; ``InspectionModel.use_padding`` and
            ``use_foreground`` set it. Without, nothing is looked for, and graphs are what they were.
    """

    pads: bool = False

    def open(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return images without marks, and which pixels (B, H, W) count; None where nothing is looked for."""
        return opened(image_BCHW) if self.pads else (image_BCHW, None)


def marked(image_BCHW: Tensor, inside_BHW: Tensor) -> Tensor:
    """Mark the padding of images in [0, 1]: all but ``inside_BHW``."""
    return torch.where(inside_BHW.unsqueeze(1), image_BCHW, MARK - image_BCHW)


def grounded(image_BCHW: Tensor, foreground_BHW: Tensor) -> Tensor:
    """Mark the ground of images, whose padding may be marked, in the first channel alone: all but the foreground."""
    first_BHW = image_BCHW[:, 0]
    first_BHW = torch.where(foreground_BHW | (first_BHW < MARK / 2), first_BHW, MARK - first_BHW)
    return torch.cat([first_BHW.unsqueeze(1), image_BCHW[:, 1:]], dim=1)


def opened(image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return images without marks, and which pixels (B, H, W) are neither padding nor ground.

    Whatever the padding held, it repeats the edge of its image then, as datamodules pad; ground stays what it is.
    """
    inside_BHW, framed_BHW = image_BCHW[:, 0] > MARK / 2, image_BCHW[:, -1] > MARK / 2
    shown_BCHW = torch.where(image_BCHW > MARK / 2, image_BCHW, MARK - image_BCHW)
    rows_BH, columns_BW = (_nearest(framed_BHW.any(dim=dim)) for dim in (2, 1))
    shown_BCHW = shown_BCHW.gather(2, rows_BH[:, None, :, None].expand_as(shown_BCHW))
    return shown_BCHW.gather(3, columns_BW[:, None, None, :].expand_as(shown_BCHW)), inside_BHW


def _nearest(inside_BL: Tensor) -> Tensor:
    """Return, of every place along an axis, the nearest one between the first and the last that are inside, (B, L)."""
    last = inside_BL.shape[1] - 1
    found_BL = inside_BL.long()
    first_B1 = found_BL.argmax(dim=1, keepdim=True)
    last_B1 = torch.maximum(last - found_BL.flip(1).argmax(dim=1, keepdim=True), first_B1)
    place_BL = torch.arange(last + 1, device=inside_BL.device).unsqueeze(0).expand_as(found_BL)
    return torch.minimum(torch.maximum(place_BL, first_B1), last_B1)


def cells_inside(inside_BHW: Tensor, height: int, width: int) -> Tensor:
    """Tell which cells of a coarser map have their middle on the image, (B, h, w).

    Of an image so narrow that none has, those that it touches.
    """
    rows, columns = (
        ((torch.arange(cells, device=inside_BHW.device) + 0.5) * (side / cells)).long()
        for cells, side in zip((height, width), inside_BHW.shape[-2:], strict=True)
    )
    middle_Bhw = inside_BHW.index_select(1, rows).index_select(2, columns)
    row_Bh, column_Bw = (
        _touched(inside_BHW.any(dim=dim), cells) for dim, cells in zip((2, 1), (height, width), strict=True)
    )
    touched_Bhw = row_Bh.unsqueeze(2) & column_Bw.unsqueeze(1)
    wide_B11 = middle_Bhw.any(dim=2, keepdim=True).any(dim=1, keepdim=True)
    return middle_Bhw | (~wide_B11 & touched_Bhw)  # no where: ONNX Runtime has none of booleans


def _touched(inside_BL: Tensor, cells: int) -> Tensor:
    """Tell which cells of an axis hold something that is inside, (B, cells)."""
    length = inside_BL.shape[1]
    cell_L = torch.arange(length, device=inside_BL.device) * cells // length
    holds_LC = cell_L.unsqueeze(1) == torch.arange(cells, device=inside_BL.device)
    return inside_BL.float() @ holds_LC.float() > 0


def worst(map_BHW: Tensor, inside_BHW: Tensor | None) -> Tensor:
    """Return the highest value of each map (B,), of its image alone; minus infinity where all of it is padding."""
    within_BHW = map_BHW if inside_BHW is None else map_BHW.masked_fill(~inside_BHW, float("-inf"))
    return within_BHW.amax(dim=(1, 2))


def mean_inside(value_BChw: Tensor, inside_Bhw: Tensor | None) -> Tensor:
    """Average values over images, but not over their padding; 0 where there is nothing else."""
    if inside_Bhw is None:
        return value_BChw.mean()
    return (value_BChw * inside_Bhw.unsqueeze(1)).sum() / (inside_Bhw.sum() * value_BChw.shape[1]).clamp_min(1)


def silenced(value_BChw: Tensor, inside_Bhw: Tensor | None) -> Tensor:
    """Set what lies in the padding to 0."""
    return value_BChw if inside_Bhw is None else value_BChw * inside_Bhw.unsqueeze(1)


def frame_of(inside_HW: Tensor | None, shape: Sequence[int]) -> tuple[slice, slice]:
    """Return the rows and columns in which an image of a shape (..., H, W) lies; all, where nothing is padded."""
    if inside_HW is None:
        return slice(shape[-2]), slice(shape[-1])
    rows, columns = (inside_HW.any(dim=dim).nonzero().flatten().tolist() for dim in (1, 0))
    if not rows:
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
