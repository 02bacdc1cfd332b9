"""Each message about too little data is tried by doing what it says: then there is something to train on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.meta_atom import MetaAtomDataModule
from datamodules.print3d import Print3dDataModule
from datamodules.samples.split import fill_empty

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.base import InspectionDataModule


def arrays(root: Path, count: int) -> Path:
    lines = ["array,row,col,class"]
    for array in range(count):
        (root / f"a{array}").mkdir(parents=True)
        for row, col in np.ndindex(4, 5):
            values = np.random.default_rng([array, row, col]).integers(0, 255, (32, 32)).astype(np.uint8)
            assert cv2.imwrite(str(root / f"a{array}" / f"a{array}_{row + 1},{col + 1}.png"), values)
            lines.append(f"a{array},{row + 1},{col + 1},{'missing' if (row, col) == (1, 2) else 'good'}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root


def layers(root: Path, count: int) -> Path:
    (root / "good").mkdir(parents=True)
    for index in range(count):
        values = np.random.default_rng(index).integers(0, 255, (32, 32)).astype(np.uint8)
        assert cv2.imwrite(str(root / "good" / f"{index:03}.png"), values)
    return root


def said(text: str) -> dict[str, Any]:
    """Read the settings that a message advises."""
    found: dict[str, Any] = {key: int(value) for key, value in re.findall(r"set data\.(\w+)=(\d+)", text)}
    if match := re.search(r"data\.test_arrays=\['(\w+)'\]", text):
        found["test_arrays"] = (match[1],)
    return found


def usable(data: InspectionDataModule) -> None:
    data.setup()
    data.check_training()
    assert set(data.samples["split"]) == {"train", "calibration", "test"}


@pytest.mark.parametrize(("count", "test"), [(1, 0), (2, 0), (3, 2), (4, 3)])
def test_advice_on_few_arrays_can_be_followed(tmp_path: Path, count: int, test: int) -> None:
    root = str(arrays(tmp_path, count))
    named: dict[str, Any] = {"test_arrays": tuple(f"a{array}" for array in range(count - test, count))} if test else {}
    with pytest.raises(DataError) as refused:
        usable(MetaAtomDataModule(root=root, image_size=(32, 32), **named))
    usable(MetaAtomDataModule(root=root, image_size=(32, 32), **(named | said(str(refused.value)))))


@pytest.mark.parametrize(("count", "test"), [(3, 0), (3, 1), (4, 2), (5, 1)])
def test_enough_arrays_are_divided_without_advice(tmp_path: Path, count: int, test: int) -> None:
    named: dict[str, Any] = {"test_arrays": tuple(f"a{array}" for array in range(test))} if test else {}
    usable(MetaAtomDataModule(root=str(arrays(tmp_path, count)), image_size=(32, 32), **named))


def test_naming_every_array_as_test_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="to leave arrays to train on, but it names all of them: a0, a1"):
        MetaAtomDataModule(root=str(arrays(tmp_path, 2)), test_arrays=("a0", "a1")).setup()


@pytest.mark.parametrize("count", [3, 5, 7, 8])
def test_advice_on_few_layers_can_be_followed(tmp_path: Path, count: int) -> None:
    root = str(layers(tmp_path, count))
    with pytest.raises(DataError, match=r"it takes good pictures of 3 groups") as refused:
        usable(Print3dDataModule(root=root, image_size=(32, 32), run_length=20))  # all of them in one group
    assert said(str(refused.value)) == {"run_length": 1}
    usable(Print3dDataModule(root=root, image_size=(32, 32), run_length=1))


def test_no_split_that_wants_good_ones_stays_empty_while_there_are_groups() -> None:
    for groups in range(3, 9):
        choice = np.zeros(groups, dtype=np.intp)
        fill_empty(choice, np.arange(1.0, groups + 1), np.array([True, True, True]))
        assert set(choice) == {0, 1, 2}
    choice = np.zeros(2, dtype=np.intp)
    fill_empty(choice, np.ones(2), np.array([True, True, False]))
    assert sorted(choice) == [0, 1]
