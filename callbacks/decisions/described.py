"""One vector for each image, where a model has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn


@runtime_checkable
class Describes(Protocol):
    """A model that may describe images (B, 3, H, W) by one vector each (B, D)."""

    def embed_whole(self, image_B3HW: Tensor) -> Tensor | None:
        """Describe images; None where the method has no natural vector."""


def describe(module: nn.Module, image_B3HW: Tensor) -> npt.NDArray[np.float32] | None:
    """Describe images by one vector each (B, D); None where the model has none, or there is no image."""
    if not isinstance(module, Describes) or not len(image_B3HW):
        return None
    described = module.embed_whole(image_B3HW)
    return None if described is None else described.float().flatten(1).cpu().numpy()
