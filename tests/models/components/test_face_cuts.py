"""End faces cut out about their axis: what is cut lies where it should, and maps come back to where they belong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from anomalib.data import InferenceBatch
from torchvision.tv_tensors import Image, Mask

from datamodules.samples.batch import InspectionBatch
from datamodules.synthetic.measured_faces import MeasuredFace, Speck
from datamodules.table import DEFECTIVE, GOOD
from models.components.face_cuts import How, Shape, _tell, cut_face
from models.components.face_cutting import FaceCutting
from models.mask_rcnn import MaskRcnn
from tests.models.drawn import LOUPE
from tools.runner.face_parts import judge_faces
from tools.runner.result import Prediction

if TYPE_CHECKING:
    import numpy.typing as npt

FACE = MeasuredFace(size=(260, 300), um_per_pixel=(1.0, 1.0), shift=(6.3, -9.1), blur=1.0)
FACES = {
    "square pixels": FACE,
    "other pixels": replace(FACE, um_per_pixel=(0.93, 1.0), seed=2),
    "cut off": replace(FACE, shift=(95.0, 20.0), seed=3),
}


def drawn(face: MeasuredFace) -> npt.NDArray[np.float32]:
    grey_HW = face.draw().astype(np.float32) / 255
    return np.repeat(grey_HW[None], 3, axis=0)


def place(face: MeasuredFace, x_um: float, y_um: float) -> tuple[float, float]:
    """Column and row of a place on a face, whose pixel centres are whole numbers."""
    x, y = face.centre
    return x + x_um / face.um_per_pixel[0] - 0.5, y + y_um / face.um_per_pixel[1] - 0.5


@pytest.mark.parametrize("face", FACES.values(), ids=FACES)
def test_unwrapped_the_claddings_edge_is_a_straight_line(face: MeasuredFace) -> None:
    cut_3SS = cut_face(drawn(face), How("polar", 160, 0.5, 1.5))
    image = cut_3SS.image(drawn(face))[0]
    inside = (cut_3SS.x_SS > 2) & (cut_3SS.x_SS < 297) & (cut_3SS.y_SS > 2) & (cut_3SS.y_SS < 257)
    steps = np.abs(np.diff(image[40:120], axis=0))  # half a radius above and below the edge
    seen = inside[40:119].all(axis=0)
    assert seen.sum() > 80
    assert np.abs(steps.argmax(axis=0)[seen] + 40.5 - 79.5).max() <= 2.5


@pytest.mark.parametrize("face", FACES.values(), ids=FACES)
@pytest.mark.parametrize("shape", ["polar", "disc"])
@pytest.mark.parametrize("where", [(30.0, 12.0), (-70.0, -55.0), (-50.0, 1.0), (50.0, 0.5)])
def test_a_map_is_laid_back_to_where_it_came_from(face: MeasuredFace, shape: Shape, where: tuple[float, float]) -> None:
    """A speck is the darkest place of the cut; laid back, it is the darkest of the map, within a pixel or two."""
    planted = replace(face, planted=(Speck(*where, 12.0, 140.0 if where[0] < -60 else -90.0),))
    clean, image = drawn(face), drawn(planted)
    cut = cut_face(image, How(shape, 200, 0.0, 1.9))
    apart_SS = np.abs(cut.image(image) - cut.image(clean))[0]
    laid_HW = cut.back(apart_SS)
    row, column = np.unravel_index(int(laid_HW.argmax()), laid_HW.shape)
    x, y = place(planted, *where)
    assert np.hypot(column - x, row - y) < 6.5  # within the speck
    marked_HW = laid_HW > 0.5 * laid_HW.max()
    rows, columns = np.nonzero(marked_HW)
    assert np.hypot(columns.mean() - x, rows.mean() - y) < 1.0
    assert marked_HW.sum() == pytest.approx(np.pi * 36 / face.um_per_pixel[0], rel=0.25)


def test_unwrapped_a_map_has_no_seam() -> None:
    """What a network says near the cut's own border, where it sees no farther, counts for little there."""
    cut = cut_face(drawn(FACE), How("polar", 160, 0.2, 1.8))
    x, y = place(FACE, 0.0, 0.0)
    laid = cut.back(np.repeat(np.linspace(0, 1, 160, dtype=np.float32)[None], 160, axis=0))
    ring = np.array([laid[round(y + 60 * np.sin(a)), round(x + 60 * np.cos(a))] for a in np.linspace(0, 6.28, 300)])
    assert np.abs(np.diff([*ring, ring[0]])).max() < 0.12  # without blending 0.75 where the turn begins


@pytest.mark.parametrize("shape", ["polar", "disc"])
@pytest.mark.parametrize(("inner", "reach"), [(0.0, 1.2), (0.4, 1.0)])
def test_what_lies_beyond_is_neither_seen_nor_judged(shape: Shape, inner: float, reach: float) -> None:
    how, image = How(shape, 128, inner, reach), drawn(FACE)
    cut = cut_face(image, how)
    other = image.copy()
    x, y = place(FACE, 0.0, 0.0)
    column, row = np.meshgrid(np.arange(300), np.arange(260))
    away = np.hypot(column - x, row - y) / 62.5
    other[:, (away > reach + 0.1) | (away < inner - 0.1)] = 1.0
    np.testing.assert_array_equal(cut.image(other), cut.image(image))
    laid = cut.back(np.random.default_rng(0).random((128, 128), dtype=np.float32) + 1)
    assert (laid[(away > reach + 0.05) | (away < inner - 0.05)] == laid.min()).all()
    if shape == "disc":
        outside = cut.image(image)[:, ~cut.seen_SS]
        assert (outside == outside[:, :1]).all()


@pytest.mark.parametrize("shape", ["polar", "disc"])
def test_an_image_without_a_face_is_cut_about_its_middle_and_that_is_said_once(
    shape: Shape, capsys: pytest.CaptureFixture[str]
) -> None:
    _tell.cache_clear()
    noise = np.random.default_rng(1).random((3, 90, 120), dtype=np.float32)
    cut = cut_face(noise, How(shape, 64, 0.0, 2.0))
    assert np.isfinite(cut.image(noise)).all()
    cut_face(noise, How(shape, 64, 0.0, 2.0))
    assert capsys.readouterr().err.count("No cladding was found on an image") == 1
    laid = cut.back(np.random.default_rng(2).random((64, 64), dtype=np.float32))
    rows, columns = np.nonzero(laid > laid.min())
    assert np.hypot(columns - 59.5, rows - 44.5).max() <= 2 * 90 / 6


def look(image_B3HW: torch.Tensor) -> tuple[InferenceBatch, None]:
    map_BHW = image_B3HW.mean(dim=1)
    return InferenceBatch(pred_score=map_BHW.flatten(1).amax(dim=1), anomaly_map=map_BHW), None


@pytest.mark.parametrize("cutting", [FaceCutting(size=96), FaceCutting("disc", 64, 0.2, 1.3, batch=1)])
def test_a_runner_cuts_as_the_model_does(cutting: FaceCutting) -> None:
    images = np.stack([drawn(FACE), drawn(replace(FACE, shift=(-10.0, 4.0), seed=5))])
    wanted, found_none = cutting.judge(look, torch.from_numpy(images))

    def as_runner(image_B3HW: npt.NDArray[np.float32]) -> Prediction:
        prediction, _ = look(torch.from_numpy(image_B3HW))
        assert prediction.pred_score is not None
        assert prediction.anomaly_map is not None
        return Prediction(prediction.pred_score.numpy(), prediction.anomaly_map.numpy())

    found = judge_faces(cutting.to_plain((260, 300)), as_runner, images)
    assert wanted.pred_score is not None
    assert wanted.anomaly_map is not None
    np.testing.assert_array_equal(found.score_B, wanted.pred_score.numpy())
    np.testing.assert_array_equal(found.map_BHW, wanted.anomaly_map.numpy())
    assert found_none is None
    assert found.map_BHW.shape == (2, 260, 300)


def test_training_images_become_faces_and_a_mark_beyond_them_counts_for_nothing() -> None:
    image = torch.from_numpy(np.stack([drawn(FACE)] * 2))
    mask = torch.zeros(2, 260, 300, dtype=torch.bool)
    x, y = (round(value) for value in place(FACE, 20.0, -10.0))
    mask[0, y - 4 : y + 5, x - 4 : x + 5] = True
    mask[1, :20, :20] = True
    batch = InspectionBatch(
        image=Image(image),
        image_path=["a.png", "b.png"],
        gt_label=torch.tensor([True, True]),
        gt_mask=Mask(mask),
        name=["a.png", "b.png"],
        label_index=torch.tensor([DEFECTIVE, DEFECTIVE]),
        has_mask=torch.tensor([True, True]),
        group=["a", "b"],
        kind=["", ""],
        zones=None,
        target=None,
    )
    cut = FaceCutting("disc", 128, 0.0, 1.0).cut_batch(batch)
    assert cut.image.shape == (2, 3, 128, 128)
    assert cut.label_index.tolist() == [DEFECTIVE, GOOD]
    rows, columns = np.nonzero(cut.gt_mask[0].numpy())
    assert columns.mean() == pytest.approx(63.5 + 20 / 62.5 * 64, abs=1.5)
    assert rows.mean() == pytest.approx(63.5 - 10 / 62.5 * 64, abs=1.5)
    assert not cut.gt_mask[1].any()


def test_settings_that_cut_nothing_out_are_refused() -> None:
    for inner, reach in ((1.0, 1.0), (-0.1, 1.0), (0.0, float("inf")), (0.0, float("nan"))):
        with pytest.raises(ValueError, match=r"Expected tiling\.inner, in radii of the cladding"):
            FaceCutting(inner=inner, reach=reach)
    with pytest.raises(ValueError, match=r"Expected tiling\.size and tiling\.batch"):
        FaceCutting(size=0)
    with pytest.raises(ValueError, match="finds instances; use tiling=hann"):
        MaskRcnn(LOUPE, channels=16).use_tiling(FaceCutting())
