"""What separates good from defective images without any look at a part: brightness, sharpness, size, order.

Where such a number tells the labels apart, a detector may learn it instead of the defects, and its figures show how the
images were taken. In real sets that happens surprisingly often.

Letters: N images. Labels: 0 good, 1 defective, -1 unknown.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.table import DEFECTIVE, GOOD

SEPARATES = 0.95
"""AUROC, in the better direction, from which on a number alone separates the labels."""
LEANS = 0.8
"""AUROC, in the better direction, from which on a number alone says something about the labels."""
OFF = " off the usual"
"""Behind the name of a number: its distance from the median of the good images."""
SURE = 3.0
"""Standard deviations of chance by which an AUROC must differ from one half before it is believed."""

Floats = npt.NDArray[np.float64]


class Shortcut(NamedTuple):
    """How well one number separates two classes of images.

    Attributes:
        measure: Its name.
        auroc: Chance that an image of the second class has the higher value, ties counting half.
        first: Images of the first class (good).
        second: Images of the second class (defective).
    """

    measure: str
    auroc: float
    first: int
    second: int

    @property
    def separability(self) -> float:
        """The AUROC of the better direction, in [0.5, 1]."""
        return max(self.auroc, 1 - self.auroc)

    @property
    def certain(self) -> bool:
        """Tell whether chance would hardly give this, with so many images.

        Source: the normal approximation of Mann and Whitney, Annals of Mathematical Statistics 18, 1947.
        """
        chance = np.sqrt((self.first + self.second + 1) / (12 * self.first * self.second))
        return bool(self.separability - 0.5 > SURE * chance)

    @property
    def separates(self) -> bool:
        """Tell whether the number alone separates the classes."""
        return self.separability >= SEPARATES and self.certain

    @property
    def leans(self) -> bool:
        """Tell whether the number alone says something about the class, without separating it."""
        return self.separability >= LEANS and self.certain and not self.separates


def auroc(first_values: Floats, second_values: Floats) -> float:
    """Compute the chance that a value of the second class lies above one of the first, ties counting half."""
    ordered = np.sort(first_values)
    below = np.searchsorted(ordered, second_values, side="left") + np.searchsorted(ordered, second_values, side="right")
    return float(below.mean() / (2 * len(ordered)))


def measures(table: pd.DataFrame) -> dict[str, Floats]:
    """Collect the numbers that may be a shortcut, one value per row.

    Order is the place of a file among all in the order of their names, numbers in them counted as numbers. It is left
    out where the names differ in more than numbers, or one occurs twice: then there is no one count that all share.

    Args:
        table: With the facts of every image; ``row`` and ``col`` are used where they exist.
    """
    found = {
        "brightness": table["brightness"],
        "contrast": table["contrast"],
        "sharpness": table["sharpness"],
        "colour": table["channels"],
        "picture size": table["height"] * table["width"],
        "file size": table["file_bytes"],
    }
    files = [str(name).rsplit("/", 1)[-1] for name in table["name"]]
    if len(set(files)) == len(files) and len({re.sub(r"\d+", "0", name) for name in files}) == 1:
        place = {name: index for index, name in enumerate(sorted(files, key=natural_key))}
        found["order of files"] = pd.Series([place[name] for name in files], index=table.index)
    found |= {column: table[column] for column in ("row", "col") if column in table}
    numbers = {name: pd.to_numeric(values, errors="coerce").to_numpy(np.float64) for name, values in found.items()}
    return {name: values for name, values in numbers.items() if len(values) and not np.isnan(values).any()}


def find_shortcuts(values: dict[str, Floats], label_N: npt.NDArray[np.int64]) -> list[Shortcut]:
    """Measure how well each number separates good (0) from defective (1) images, the best one first.

    Defects may lie on both sides of the good images, some brighter, some darker, which one threshold cannot tell but
    a detector can. So a number counts as a further measure, ``off the usual``, where its distance from the median of
    the good images separates more.

    Numbers that are the same for all images, and sets without both labels, give none.
    """
    good, defective = label_N == GOOD, label_N == DEFECTIVE
    if not (good.any() and defective.any()):
        return []
    found = []
    for name, value in values.items():
        if np.ptp(value[good | defective]) == 0:
            continue
        counts = int(good.sum()), int(defective.sum())
        plain = Shortcut(name, auroc(value[good], value[defective]), *counts)
        distance = np.abs(value - np.median(value[good]))
        either = Shortcut(name + OFF, auroc(distance[good], distance[defective]), *counts)
        found += [plain, either] if either.auroc > max(LEANS, plain.separability) else [plain]
    return sorted(found, key=lambda one: (-one.separability, one.measure))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that counts numbers in a name as numbers: ``a2`` before ``a10``."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
