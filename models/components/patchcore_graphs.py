"""PatchCore in two graphs, where the runner of a bundle searches the bank between them: no graph can pass over a part.

Letters: B batch, P patches of an image in all sizes, D features of a patch, H and W height and width of images, h and w
patches along the axes of one size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.export_plan import MODEL, SCORES, SEARCHED, ExportPlan, Graph

from .sizes import counted, flat, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .patchcore_model import PatchCoreModel

PATCHES, SQUARES, INSIDE = "patches", "squares", "inside"
SCORE, MAP, BANK = "score", "map", "bank"


class Patches(nn.Module):
    """From images (B, 3, H, W) in [0, 1] to patches (B, P, D); where padding may be marked, to 1 where it is none.

    Args:
        model: In evaluation mode.
    """

    def __init__(self, model: PatchCoreModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """Describe patches, and say which count (B, P)."""
        image_B3HW, inside_BHW = self.model.open(image_B3HW)
        grids_BDhw = self.model.embed_sizes(image_B3HW)
        cells_Bhw = counted(grids_BDhw, inside_BHW)
        rest = () if cells_Bhw is None else (flat(cells_Bhw).float(),)
        return listed(grids_BDhw), *rest


class Scores(nn.Module):
    """From patches, what was found of them, and which of them count, to raw scores (B,) and maps (B, H, W).

    Args:
        model: In evaluation mode.
        size: Height and width of the images.
    """

    def __init__(self, model: PatchCoreModel, size: tuple[int, int]) -> None:
        super().__init__()
        self.model, self.size = model, size
        with torch.inference_mode():
            grids_BDhw = model.embed_sizes(model.bank_MD.new_zeros(1, 3, *size))
        self.shapes = [(grid.shape[2], grid.shape[3]) for grid in grids_BDhw]

    def forward(self, patch_BPD: Tensor, square_BP: Tensor, inside_BP: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Score images, as the model does."""
        matches = self.model.matches(patch_BPD, square_BP, self.shapes, self.size, self._cells(inside_BP))
        return self.model.score(matches), matches.map_BHW

    def _cells(self, inside_BP: Tensor | None) -> list[Tensor] | None:
        if inside_BP is None:
            return None
        parts_BP = torch.split(inside_BP > 0.5, [height * width for height, width in self.shapes], dim=1)
        return [part_BP.reshape(-1, *shape) for part_BP, shape in zip(parts_BP, self.shapes, strict=True)]


def plan_searched(
    model: PatchCoreModel, size: tuple[int, int], describe: Callable[[Tensor], Tensor] | None
) -> ExportPlan:
    """Plan two graphs, and the bank for the runner.

    Args:
        model: With its bank.
        size: Height and width of what the graphs take.
        describe: From images to one vector each; None: bundles tell none by them.
    """
    patches = Patches(model)
    names: Sequence[str] = (PATCHES, INSIDE) if model.pads else (PATCHES,)

    def given(image_B3HW: Tensor) -> dict[str, Tensor]:
        patch_BPD, *rest = patches(image_B3HW)
        return {
            PATCHES: patch_BPD.contiguous(),
            SQUARES: model.search(patch_BPD),
            **dict(zip(names[1:], rest, strict=True)),
        }

    graphs = {
        MODEL: Graph(patches, describe=describe, gives=tuple(names)),
        SCORES: Graph(Scores(model, size), gives=(SCORE, MAP), given=given),
    }
    return ExportPlan({"kind": SEARCHED, "arrays": [BANK]}, graphs, {BANK: model.bank_MD.float().cpu().numpy()})
