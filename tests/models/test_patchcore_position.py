"""PatchCore that also asks where a patch lies."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.components.placing import Placing
from models.components.tiled import Tiling
from models.patchcore import PatchCore

from .test_patchcore import ARGUMENTS, batch, pictures, predict

POST, SIDE = slice(24, 40), 64


def posts(count: int, seed: int, *, missing: bool = False) -> Tensor:
    """Draw noise with a bright post in the middle, or with none."""
    image_B3HW = 0.2 + 0.05 * torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    if not missing:
        image_B3HW[:, :, POST, POST] += 0.6
    return image_B3HW


def fitted(position: float, image_B3HW: Tensor | None = None) -> PatchCore:
    torch.manual_seed(3)
    module = PatchCore(ARGUMENTS, 1.0, position=position).eval()
    module.training_step(batch(posts(8, 0) if image_B3HW is None else image_B3HW), 0)
    module.on_validation_start()
    return module


def test_what_is_missing_shows_where_places_count() -> None:
    """The ground in place of the post is known from beside it, and stands out more by its place."""
    good, bad = posts(6, 1), posts(6, 2, missing=True)
    apart = []
    for position in (0, 2):
        module = fitted(position)
        (usual, _), (found, map_BHW) = predict(module, good), predict(module, bad)
        apart.append(float(found.min() - usual.max()) / float(module.model.features(good).std()))
    assert map_BHW[:, POST, POST].mean() > 1.5 * map_BHW[:, :8].mean()
    assert apart[1] > 1.5 * apart[0]


def test_distances_add_the_weighed_distance_of_places() -> None:
    image = pictures(4)
    module, plain = fitted(1.5, image), fitted(0, image)
    where_BDhw, what_BDhw = module.model.embed(image), plain.model.embed(image)
    assert where_BDhw.shape[1] == what_BDhw.shape[1] + 2
    unit = what_BDhw.transpose(0, 1).flatten(1).var(dim=1, correction=0).sum().sqrt()
    first, second = (1, 2), (4, 6)  # rows, columns on 8 x 8 patches
    apart = (where_BDhw[0, :, *first] - where_BDhw[0, :, *second]).square().sum()
    features = (what_BDhw[0, :, *first] - what_BDhw[0, :, *second]).square().sum()
    moved = ((3 / 8) ** 2 + (4 / 8) ** 2) * (1.5 * unit) ** 2
    torch.testing.assert_close(apart, features + moved)


def test_the_unit_is_of_the_first_images_and_stays() -> None:
    module = fitted(1.0)
    unit = float(module.model.placing.unit)
    module.training_step(batch(pictures(4, 9)), 1)
    assert float(module.model.placing.unit) == unit > 0
    again = PatchCore(ARGUMENTS, 1.0, position=1.0).eval()
    again.load_state_dict(module.state_dict())
    image = posts(3, 5)
    torch.testing.assert_close(predict(again, image)[0], predict(module, image)[0], rtol=0, atol=0)


def test_a_training_that_goes_on_measures_places_alike() -> None:
    module = PatchCore(ARGUMENTS, 1.0, position=1.0).eval()
    module.training_step(batch(posts(4, 0)), 0)
    state = module.collecting_state()
    assert state is not None
    again = PatchCore(ARGUMENTS, 1.0, position=1.0).eval()
    again.load_collecting_state(state)
    assert float(again.model.placing.unit) == float(module.model.placing.unit) > 0


def test_checkpoints_from_before_have_no_places() -> None:
    module = fitted(0)
    state = {name: value for name, value in module.state_dict().items() if "placing" not in name}
    PatchCore(ARGUMENTS, 1.0).load_state_dict(state)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_out_of_range_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="position"):
        Placing(weight)


def test_places_in_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="leave tiling out"):
        PatchCore(ARGUMENTS, 1.0, position=1.0).use_tiling(Tiling(size=64))
