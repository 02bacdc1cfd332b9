"""Desks over drawn images, in folders of their own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tools.labelling.desk import Desk, Order
from tools.labelling.entries import Mark
from tools.labelling.items import Gathered, Item, gather
from tools.labelling.journal import JOURNAL, Journal
from tools.labelling.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def images(folder: Path, scores: list[float | None], threshold: float = 1.0) -> Gathered:
    """Write an image for each score, and gather them as a model judged them."""
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for number, score in enumerate(scores):
        path = folder / f"p{number:02}.png"
        values = np.random.default_rng(number).integers(60, 160, (40, 48), np.uint8)
        assert cv2.imwrite(str(path), values)
        items.append(Item(path.name, path, score=score, threshold=None if score is None else threshold))
    return gather(items, "model 1")


def open_desk(gathered: Gathered, out: Path, share: float = 0.0) -> Desk:
    """Open a desk on a journal in a folder."""
    return Desk(gathered, Journal(out / JOURNAL), Leases(), Order(share))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk over twelve images with scores from 0.5 on."""
    opened = open_desk(images(tmp_path / "images", [0.5 + 0.1 * number for number in range(12)]), tmp_path / "out")
    yield opened
    opened.journal.close()


def saying(desk: Desk, by: str, which: str = "first") -> Callable[[str, str], None]:
    """Say things at a desk as one inspector."""
    numbers = count()

    def say(image: str, verdict: str) -> None:
        desk.say(f"{by} {which} {next(numbers)}", by, image, Mark(verdict), which)

    return say
