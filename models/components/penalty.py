"""Foreign images, on which a student is punished for knowing the answer (Batzner et al. 2024, section 3.2).

The paper takes images of ImageNet. Any folder will do, and drawn images where there is none: what counts is that
they differ from the good images, and from each other.

Shape letters: B batch, N images in the pool, H and W their height and width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from datamodules.progress import track
from datamodules.unlabelled.crops import CropSource, read_images

if TYPE_CHECKING:
    from torch import Tensor

READ_AT_MOST = 1000  # images of a folder: as many fit in memory at twice the side of the crops


class PenaltyImages:
    """A pool of crops, made once, from which batches are drawn at random, each mirrored or turned over at random.

    Args:
        folder: With images at or below it; None: draw them by rule.
        count: N.
        height: H.
        width: W.
        seed: Decides the crops.

    Raises:
        DataError: The folder holds no image.
    """

    def __init__(self, folder: str | None, count: int, height: int, width: int, seed: int) -> None:
        side = max(height, width)
        images = {} if folder is None else read_images([folder], longest_side=2 * side, limit=READ_AT_MOST)
        source = CropSource(images, size=side, drawn_share=1.0 if folder is None else 0.0, patch_share=0.0)
        crops = (source.draw(1, [seed, index])[0, :height, :width] for index in range(count))
        pool_NHW3 = np.stack(list(track(crops, "making penalty pictures", total=count)))
        self.pool_N3HW = torch.from_numpy(pool_NHW3).permute(0, 3, 1, 2).contiguous()

    def draw(self, count: int) -> Tensor:
        """Draw images (B, 3, H, W) in [0, 1] by torch's own generator."""
        image_B3HW = self.pool_N3HW[torch.randint(len(self.pool_N3HW), (count,))]
        for axis in (2, 3):
            flips_B = torch.rand(count) < 0.5
            image_B3HW = torch.where(flips_B[:, None, None, None], image_B3HW.flip(axis), image_B3HW)
        return image_B3HW.float() / 255
