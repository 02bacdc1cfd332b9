from __future__ import annotations

import pytest
import torch
from anomalib.models.image.patchcore.anomaly_map import AnomalyMapGenerator
from scipy.ndimage import gaussian_filter

from models.components.maps import SmoothMap, mean_over_turns


def scores(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("patches", "size"),
    [((8, 8), (64, 64)), ((7, 9), (56, 72)), ((5, 6), (43, 61)), ((1, 1), (40, 40)), ((28, 28), (224, 224))],
)
def test_the_map_is_that_of_anomalib(patches: tuple[int, int], size: tuple[int, int]) -> None:
    score_Bhw = scores(2, *patches)
    theirs = AnomalyMapGenerator()(score_Bhw.unsqueeze(1), size).squeeze(1)
    ours = SmoothMap()(score_Bhw, *size)
    assert ours.shape == (2, *size)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5, 4.0])
def test_the_blur_is_that_of_scipy(sigma: float) -> None:
    score_BHW = scores(1, 48, 50)
    theirs = gaussian_filter(score_BHW[0].numpy(), sigma, mode="mirror", truncate=4.0)
    torch.testing.assert_close(SmoothMap(sigma)(score_BHW, 48, 50)[0], torch.from_numpy(theirs), atol=1e-5, rtol=0)


def test_a_flat_map_stays_flat_and_a_small_one_is_possible() -> None:
    for size in ((64, 64), (16, 16), (9, 200), (17, 17)):
        flat = SmoothMap()(torch.full((1, 2, 2), 3.0), *size)
        torch.testing.assert_close(flat, torch.full((1, *size), 3.0))


def test_the_kernel_is_no_part_of_checkpoints() -> None:
    assert SmoothMap().state_dict() == {}


def test_a_mean_over_turns_turns_with_the_picture() -> None:
    slope = torch.linspace(0, 1, 7)

    def judge(image_BCHW: torch.Tensor) -> torch.Tensor:  # looks at one neighbour and at where it is: nothing symmetric
        return image_BCHW[:, 0].roll(1, -1) * image_BCHW[:, 1] + slope[: image_BCHW.shape[-1]]

    image = scores(2, 3, 5, 7)
    mean = mean_over_turns(judge, image)
    assert mean.shape == (2, 5, 7)
    assert not torch.allclose(mean, judge(image))
    for turned, back in (
        (image.flip(-1), lambda map_BHW: map_BHW.flip(-1)),
        (image.flip(-2), lambda map_BHW: map_BHW.flip(-2)),
        (torch.rot90(image, 1, (-2, -1)), lambda map_BHW: torch.rot90(map_BHW, -1, (-2, -1))),
    ):
        torch.testing.assert_close(back(mean_over_turns(judge, turned)), mean)


def test_what_judges_each_pixel_alone_gains_nothing_by_turns() -> None:
    image = scores(2, 3, 5, 7)
    wanted = image.square().sum(dim=1)
    torch.testing.assert_close(mean_over_turns(lambda picture: picture.square().sum(dim=1), image), wanted)
