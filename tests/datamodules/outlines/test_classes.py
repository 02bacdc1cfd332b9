"""Classes of outlined defects: what is one class, and which label each has."""

from __future__ import annotations

import pytest

from datamodules.outlines.classes import DEFECT, PART, class_names, highest_label, label_of, names_of_labels


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([], ()),
        (["scratch", "scratch"], ()),
        (["tear", "cut", "tear"], ("cut", "tear")),
        (["Cut", "cut", " cut ", "hole"], ("cut", "hole")),
        (["", "cut"], ("cut", "defect")),
    ],
)
def test_classes_are_what_differs_beyond_case_and_blanks(labels: list[str], classes: tuple[str, ...]) -> None:
    assert class_names(labels) == classes


@pytest.mark.parametrize("count", range(2, 6))
def test_labels_and_names_are_inverse_and_leave_the_part_alone(count: int) -> None:
    classes = tuple(f"c{index}" for index in range(count))
    names = names_of_labels(classes)
    labels = [label_of(name.upper(), classes) for name in classes]
    assert PART not in labels
    assert len(set(labels)) == count
    assert [names[label - 1] for label in labels] == list(classes)
    assert highest_label(classes) == max(labels)
    assert label_of("unheard of", classes) > max(labels)


def test_without_classes_all_defects_are_one() -> None:
    assert {label_of(name, ()) for name in ("cut", "hole", "")} == {DEFECT}
    assert names_of_labels(()) == ()
    assert highest_label(()) == PART
