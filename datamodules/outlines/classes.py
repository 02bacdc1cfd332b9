"""Classes of outlined defects: from what people write at outlines to the labels that instance models learn, and back.

Label 0 is the background, as torchvision's detectors have it; 1 is the first class of defects, or all defects where
there is but one class; 2 is the part itself, which is not a defect; further classes of defects count from 3.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFECT, PART = 1, 2
ANY = "defect"  # the class of what nobody named


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """List the classes among the labels of outlined defects, in the order of their names.

    Labels that differ in case or by blanks around them are one class, in its most frequent spelling; those without a
    name are of the class ``defect``. One class alone, or none, says nothing: then there are no names.
    """
    spelt: dict[str, Counter[str]] = {}
    for label in labels:
        name = label.strip() or ANY
        spelt.setdefault(name.casefold(), Counter())[name] += 1
    if len(spelt) < 2:
        return ()
    return tuple(max(sorted(spelt[key]), key=spelt[key].__getitem__) for key in sorted(spelt))


def label_of(name: str, classes: Sequence[str]) -> int:
    """Return the label of a defect's class; without classes all defects have one; one that is unknown comes after all.

    Args:
        name: As somebody wrote it.
        classes: As ``class_names`` gives them.
    """
    if not classes:
        return DEFECT
    known = [entry.casefold() for entry in classes]
    key = (name.strip() or ANY).casefold()
    place = known.index(key) if key in known else len(known)
    return DEFECT if place == 0 else PART + place


def names_of_labels(classes: Sequence[str]) -> tuple[str, ...]:
    """List the names of labels from 1 on; that of the part is empty. Without classes there are none."""
    return (classes[0], "", *classes[1:]) if classes else ()


def highest_label(classes: Sequence[str]) -> int:
    """Return the highest label that a model of these classes must know."""
    return max(PART, len(names_of_labels(classes)))
