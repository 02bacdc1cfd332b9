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
WITHIN = " within its "
"""Behind the name of a number: its distance, up or down, from the median of the images of the same group or kind."""
OF_LIGHT = frozenset({"brightness", "contrast", "sharpness", "file size"})  # what images of one group or kind share
FEWEST = 3  # images of a group, or kind, below which its median says nothing
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

    Numbers that are the same for all images, and sets without both labels, give none. Of the forms of a number other
    than as it is (see ``forms_of``), the most telling counts, where it separates more than the number as it is.
    """
    good, defective = label_N == GOOD, label_N == DEFECTIVE
    if not (good.any() and defective.any()):
        return []
    counts, known = (int(good.sum()), int(defective.sum())), good | defective
    forms = {name: value for name, value in forms_of(values, good).items() if np.ptp(value[known])}
    every = [Shortcut(name, auroc(value[good], value[defective]), *counts) for name, value in forms.items()]
    plain = {one.measure: one for one in every if is_plain(one.measure)}
    found, best = list(plain.values()), dict(plain)
    for one in every:  # a distance tells by being large, and a difference either way
        name, _ = of_number(one.measure)
        separability = one.auroc if OFF in one.measure else one.separability
        so_far = best.get(name)
        if separability > max(LEANS, so_far.separability if so_far else 0.0):
            best[name] = one
    found += [one for one in best.values() if not is_plain(one.measure)]
    return sorted(found, key=lambda one: (-one.separability, one.measure))


def forms_of(values: dict[str, Floats], good_N: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    """Return every number as it is and, after all of those, as the distance from the median of the good images."""
    return values | {
        name.replace(WITHIN, OFF + WITHIN, 1) if WITHIN in name else name + OFF: np.abs(
            value - np.median(value[good_N])
        )
        for name, value in values.items()
    }


def is_plain(measure: str) -> bool:
    """Tell whether a measure is a number as it is."""
    return OFF not in measure and WITHIN not in measure


def of_number(measure: str) -> tuple[str, str]:
    """Split the name of a measure to that of its number, and how it is taken, in words; empty: as it is."""
    name, within, part = measure.partition(WITHIN)
    bare = name.removesuffix(OFF)
    if bare != name:
        return bare, f"as distance from the usual of its {part}" if within else "as distance from the usual"
    return bare, f"beside its {part}" if within else ""


def within_parts(values: dict[str, Floats], table: pd.DataFrame) -> dict[str, Floats]:
    """Return every number less the median of its group, and of its kind, where most images have two others in theirs.

    Images of one part, lot or kind share light and material, which hides what is odd among them. No label is used.
    """
    found = {}
    for column in ("group", "kind"):
        if column not in table or table[column].nunique() < 2:
            continue
        names = table[column].astype(str)
        if (names.groupby(names).transform("size") < FEWEST).mean() > 0.5:
            continue
        for name, value in values.items():
            if name not in OF_LIGHT:
                continue
            middle = pd.Series(value, index=table.index).groupby(names).transform("median").to_numpy(np.float64)
            found[f"{name}{WITHIN}{column}"] = value - middle
    return found


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that counts numbers in a name as numbers: ``a2`` before ``a10``."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
