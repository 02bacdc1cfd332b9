from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from datamodules.folder import FolderDataModule
from datamodules.table import DEFECTIVE, GOOD, TEST
from tools.checks.examined import Examined, examine
from tools.checks.features import ChosenImages, check_features, choose_images, embed, score_images, shipped_features

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> Examined:
    """Twenty-four noisy plates, and sixteen with a bright pit."""
    root = tmp_path_factory.mktemp("plates")
    for index in range(40):
        values = np.random.default_rng(index).normal(110, 8, (48, 40)).clip(0, 255).astype(np.uint8)
        folder = root / ("pit" if index >= 24 else "good")
        if index >= 24:
            cv2.circle(values, (10 + index % 20, 12 + index % 24), 5, 220, -1)
        folder.mkdir(exist_ok=True)
        assert cv2.imwrite(str(folder / f"{index:03}.png"), values)
    return examine(FolderDataModule(root=str(root), num_workers=0))


def test_pictures_are_drawn_outside_the_test_and_none_twice(examined: Examined) -> None:
    pictures = choose_images(examined)
    assert pictures is not None
    split = examined.datamodule.samples.set_index("name")["split"]
    names = [*pictures.known["name"], *pictures.judged["name"]]
    assert len(set(names)) == len(names)
    assert (split[names] != TEST).all()
    assert (pictures.known["label_index"] == GOOD).all()
    assert (pictures.judged["label_index"] == DEFECTIVE).sum() >= 5


def test_scores_are_the_largest_distance_to_the_nearest_patch(examined: Examined) -> None:
    pictures = choose_images(examined)
    assert pictures is not None
    few = ChosenImages(
        pictures.known.iloc[:2], pictures.judged.iloc[[0, -1]]
    )  # so few that the bank is all of their patches
    network = shipped_features()
    bank_MD = torch.cat(list(embed(examined, network, few.known)))
    expected = []
    for patch_PD in embed(examined, network, few.judged):
        square_PM = (patch_PD[:, None] - bank_MD[None]).square().sum(dim=2)
        expected.append(float(square_PM.min(dim=1).values.max().sqrt()))
    np.testing.assert_allclose(score_images(examined, network, few), expected, rtol=1e-4)


def test_where_the_shipped_features_do_well_nothing_is_advised(examined: Examined) -> None:
    verdict = check_features(examined)
    assert isinstance(verdict, str)
    assert verdict.startswith("Features that ship: AUROC 1.000")


def test_too_few_pictures_give_no_verdict(picture_folder: Path) -> None:
    few = examine(FolderDataModule(root=str(picture_folder), num_workers=0))
    assert check_features(few) == "Features: too few labelled pictures outside the test split to compare any."
