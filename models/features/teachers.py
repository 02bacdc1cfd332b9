"""Several feature networks that teach together: level by level, their maps lie one upon the other.

Each is asked about the same image. ``Decorrelation.fit`` brings them to one scale, so that all count alike.

Two views of an image teach more than one of it:

* *mirrored*: each backbone gives the mean of what it sees in an image and in its mirror images (``mirrors``).
* *enlarged*: what the next coarser level sees in an image of twice the size is as fine as a level of the image itself,
  but comes from deeper in the network: small things are described as well as large ones. EfficientAD's own teacher
  learns what is seen in the enlarged image *only* (Batzner et al., WACV 2024, arXiv 2303.14535, algorithm 3).

Letters: B batch, C channels, H and W image height and width, h and w those of a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from .joined import join_maps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .backbones import Backbone

Enlarged: TypeAlias = bool | Literal["only"]


class Teachers(nn.Module):
    """Feature networks as one teacher.

    Args:
        teachers: At least one; all give the same number of maps, each about as fine as those of the others.
        enlarged: Add to every level but the coarsest what the next one gives for the image at twice its size; "only":
            give the levels of the image at twice its size alone, each of half the stride.

    Raises:
        ValueError: Numbers of maps differ, or strides of one level do.
    """

    def __init__(self, teachers: Sequence[Backbone], *, enlarged: Enlarged = False) -> None:
        super().__init__()
        self.enlarged = enlarged
        self.teachers = nn.ModuleList(teachers)
        self._shapes = [teacher.shapes(128, 128) for teacher in teachers]
        sides = [[height for _, height, _ in shapes] for shapes in self._shapes]
        if any(some != sides[0] for some in sides):
            raise ValueError(
                f"Expected teachers whose maps are equally fine, but those of an image of 128 pixels have sides of "
                f"{' and '.join(map(str, sides))}; choose their layers so that they match."
            )

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Return one map (B, C of all, h, w) per level, finest first."""
        return [join_maps(level) for level in self._levels(image_B3HW)]

    def _levels(self, image_B3HW: Tensor) -> list[list[Tensor]]:
        """Return for every level the maps of all teachers, of all views that are to be taught."""
        if not self.enlarged:
            return self._ask(image_B3HW)
        levels = self._ask(F.interpolate(image_B3HW, scale_factor=2, mode="bilinear"))
        if self.enlarged == "only":
            return levels
        _, *finer = levels
        return [[*own, *more] for own, more in zip(self._ask(image_B3HW), [*finer, []], strict=True)]

    def _ask(self, image_B3HW: Tensor) -> list[list[Tensor]]:
        """Return for every level the maps of all teachers."""
        return [list(level) for level in zip(*(teacher(image_B3HW) for teacher in self.teachers), strict=True)]

    def backbones(self) -> list[Backbone]:
        """List the teachers."""
        return list(self.teachers)  # type: ignore[arg-type]  # a list of modules forgets their kind

    def only(self) -> Backbone:
        """Return the only teacher.

        Raises:
            ValueError: There are several.
        """
        first, *others = self.backbones()
        if others:
            raise ValueError(f"Expected one teacher, but found {1 + len(others)}.")
        return first

    def networks(self) -> list[list[int]]:
        """Tell for every level how many channels each network gives, and each again for what it sees enlarged.

        Nothing where there is one network, and one view: it is taken at its own scale.
        """
        levels = [[channels for channels, _, _ in level] for level in zip(*self._shapes, strict=True)]
        if self.enlarged is True:
            levels = [own + more for own, more in zip(levels, [*levels[1:], []], strict=True)]
        return levels if any(len(level) > 1 for level in levels) else []
