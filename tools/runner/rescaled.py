"""Images that a model saw at another scale than it learnt at: nothing else would tell that they are misjudged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.files.fitting import KEEP, OWN

if TYPE_CHECKING:
    from .judge import Judge
    from .result import Result

SAME = 0.02  # scales that differ by less are one


class Rescaled:
    """Counts the images of a call that were brought to another scale, where the model learnt at one scale alone.

    That is so of models that learnt from squares of larger images, and of those whose images keep their scale. Images
    that differ in nothing but size then come out at another one: whole where squares were learnt, or too large to keep.

    Args:
        judge: That judges them.
    """

    def __init__(self, judge: Judge) -> None:
        self.square = None if judge.fit == OWN else judge.square
        self.keeps = judge.fit == KEEP
        self.size = judge.size
        self.seen = self.count = 0
        self.first = ""

    def update(self, result: Result) -> None:
        """See the result of an image."""
        if result.error or (self.square is None and not self.keeps):
            return
        self.seen += 1
        learnt = (1.0, 1.0) if self.square is None or self.keeps else tuple(self.square / side for side in self.size)
        if all(abs(found / own - 1) < SAME for found, own in zip(result.placed.scale, learnt, strict=True)):
            return
        height, width = result.size
        self.count += 1
        self.first = self.first or f"{result.place.name} with {width}x{height} pixels"

    def conclude(self) -> list[str]:
        """Say how many images came at another scale, and what to do instead; nothing where none did."""
        if not self.count:
            return []
        if self.keeps:
            height, width = self.size
            than, instead = f"larger than data.image_size=[{height},{width}], and was shrunk", "set that higher"
        else:
            than = f"brought to the size of one of the squares of {self.square} pixels that the model learnt from"
            instead = "judge squares that loupe prepare metallography cuts, or train on whole images"
        note = (
            f"{self.count} of {self.seen} images were seen at another scale than that of the training: what is said of "
            f"them cannot be relied on. {self.first} was {than}: {instead} (data.square=null, and data.fit=keep, or "
            "own for model=metallography), or take loupe predict line=metallography for scans."
        )
        return [note]
