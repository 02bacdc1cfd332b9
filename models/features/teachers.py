"""Several feature networks that teach together: level by level, their maps lie one upon the other.

Each is asked about the same image. ``Decorrelation.fit`` brings them to one scale, so that all count alike.

Letters: B batch, C channels, H and W image height and width, h and w those of a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .joined import join_maps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .backbones import Backbone


class Teachers(nn.Module):
    """Feature networks as one teacher.

    Args:
        teachers: At least one; all give the same number of maps, each about as fine as those of the others.

    Raises:
        ValueError: Numbers of maps differ, or strides of one level do.
    """

    def __init__(self, teachers: Sequence[Backbone]) -> None:
        super().__init__()
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
        given = [teacher(image_B3HW) for teacher in self.teachers]
        return [join_maps(level) for level in zip(*given, strict=True)]

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
        """Tell for every level how many channels each network gives."""
        return [[channels for channels, _, _ in level] for level in zip(*self._shapes, strict=True)]
