from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from models.components.subspace import Gathered, Products, principal_components
from models.dfm import DFM
from tests.models.test_growing import BACKBONE, batch, read

if TYPE_CHECKING:
    from models.components.subspace import Subspace


def maps(count: int, seed: int = 0, shape: tuple[int, int, int] = (4, 2, 3), hidden: float = 0.0) -> torch.Tensor:
    """Pooled maps far from zero, of which squares are hidden at random."""
    draw = torch.Generator().manual_seed(seed)
    mixed = torch.randn(shape, generator=torch.Generator().manual_seed(9)).flatten()
    x = torch.randn(count, mixed.numel(), generator=draw) * torch.logspace(0, -3, mixed.numel()) + 50 + 5 * mixed
    x = x @ torch.linalg.qr(torch.randn(mixed.numel(), mixed.numel(), generator=torch.Generator().manual_seed(8)))[0]
    x_NChw: torch.Tensor = x.view(count, *shape)
    return x_NChw.masked_fill(torch.rand(count, 1, *shape[1:], generator=draw) < hidden, torch.nan)


def filled(x_NChw: torch.Tensor) -> torch.Tensor:
    x_ND = x_NChw.flatten(1)
    return torch.where(x_ND.isnan(), x_ND.nanmean(dim=0).nan_to_num(0.0), x_ND)


def assert_alike(ours: Subspace, theirs: Subspace) -> None:
    """The same means, as many components, which span the same space, and the same spread along each."""
    assert ours.component_DK.shape == theirs.component_DK.shape
    torch.testing.assert_close(ours.mean_D, theirs.mean_D, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.spread_K, theirs.spread_K, rtol=1e-5, atol=1e-9)
    cosine_K = (ours.component_DK * theirs.component_DK).sum(dim=0).abs()
    torch.testing.assert_close(cosine_K, torch.ones_like(cosine_K), rtol=0, atol=1e-5)


@pytest.mark.parametrize("hidden", [0.0, 0.3])
@pytest.mark.parametrize("level", [0.5, 0.97, 0.99999])
def test_sums_find_the_components_that_features_do(hidden: float, level: float) -> None:
    x = maps(700, hidden=hidden)
    gathered = Gathered()
    for part in torch.split(x, 7):
        gathered.add(part)
    assert gathered.state()["features"] is None
    assert gathered.count == 700
    assert_alike(gathered.subspace(level), principal_components(filled(x).double(), level))


def test_what_no_image_shows_is_not_known_and_adds_nothing() -> None:
    x = maps(100)
    x[:, :, 1, 2] = torch.nan
    gathered = Gathered()
    gathered.add(x)
    found = gathered.subspace(0.97)
    hidden = x.isnan().all(dim=0).flatten()
    assert torch.equal(gathered.known(), ~hidden)
    assert (found.mean_D[hidden] == 0).all()
    assert float(found.component_DK[hidden].abs().max()) < 1e-9
    assert_alike(found, principal_components(filled(x), 0.97))


def test_few_images_are_held_as_they_are_and_more_take_no_more_memory() -> None:
    gathered = Gathered()
    gathered.add(maps(24))
    assert torch.equal(gathered.state()["features"], maps(24).flatten(1))
    sizes = []
    for seed in range(50):
        gathered.add(maps(40, seed))
        sizes.append(sum(value.numel() for value in gathered.state()["products"].values() if torch.is_tensor(value)))
        assert not gathered._parts
    assert set(sizes) == {24 * 24 + 24 * 6 + 6 * 6 + 24}
    assert gathered.count == 24 + 50 * 40


def test_images_are_taken_out_as_if_they_had_never_come() -> None:
    x = maps(300, hidden=0.2)
    gathered, wanted = Gathered(), Gathered()
    gathered.add(x)
    gathered.remove(x[200:])
    wanted.add(x[:200])
    assert_alike(gathered.subspace(0.99999), wanted.subspace(0.99999))
    with pytest.raises(RuntimeError, match="Expected sums to take images out of, but found features"):
        Gathered().remove(x)


def test_what_goes_on_from_a_state_writes_nothing_into_it() -> None:
    first = Gathered()
    first.add(maps(100))
    state: dict[str, Any] = first.state()
    before = {name: torch.as_tensor(value).clone() for name, value in state["products"].items()}
    again = Gathered.of(state)
    again.add(maps(100, seed=1))
    again.remove(maps(10))
    again.state()
    assert all(torch.equal(torch.as_tensor(state["products"][name]), value) for name, value in before.items())


def test_components_that_rounding_makes_are_none() -> None:
    """Of images that vary along two directions there are two components, however many are asked for."""
    draw = torch.Generator().manual_seed(0)
    flat = torch.randn(200, 2, generator=draw).double() @ torch.randn(2, 24, generator=draw).double()
    products = Products(flat, 1)
    products.add(flat)
    assert products.subspace(1.0).component_DK.shape == (24, 2)


def fitted(count: int, score: str = "fre", **more: Any) -> DFM:
    torch.manual_seed(3)
    module = DFM(BACKBONE | {"layers": [1]}, pooling=16, score=score, **more).eval()  # type: ignore[arg-type]  # as configs do
    for first in range(0, count, 10):
        module.training_step(batch(first, 10), first)
    module.on_validation_start()
    return module


@torch.no_grad()
def judged(module: DFM) -> torch.Tensor:
    found: torch.Tensor = module.model(batch(500, 6).image).pred_score
    return found


@torch.no_grad()
@pytest.mark.parametrize("score", ["fre", "nll"])
def test_a_model_of_many_images_scores_as_by_all_their_features(score: str) -> None:
    module = fitted(80, score)
    assert not len(module.feature_ND)
    x_ND = torch.cat([module.model.features(batch(first, 10).image).flatten(1) for first in range(0, 80, 10)])
    assert x_ND.shape == (80, 64)
    before = judged(module)
    for name, value in principal_components(x_ND, 0.97)._asdict().items():
        setattr(module.model, name, value.float())
    torch.testing.assert_close(before, judged(module), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_model_of_many_images_grows_forgets_and_goes_on_after_saving(tmp_path: Any) -> None:
    module, whole = fitted(60), fitted(90)
    assert len(module.feature_ND) == 60
    torch.save(module.state_dict(), tmp_path / "model.pt")
    again = DFM(BACKBONE | {"layers": [1]}, pooling=16).eval()
    again.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    again.resume()
    for first in range(60, 90, 10):
        again.collect_batch(batch(first, 10))
    again.extend()
    assert not len(again.feature_ND)
    torch.testing.assert_close(judged(again), judged(whole), rtol=1e-5, atol=1e-5)
    torch.save(again.state_dict(), tmp_path / "model.pt")
    module.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    assert len(module.learnt) == 90
    with module.without("/3.png", read):
        meanwhile = judged(module)
    torch.testing.assert_close(judged(module), judged(whole))
    module.forget(["/3.png"], read)
    torch.testing.assert_close(judged(module), meanwhile)
    assert float((meanwhile - judged(whole)).abs().max()) > 1e-6
    module.forget([f"/{index}.png" for index in range(60, 90)], read)
    few = fitted(60)
    few.forget(["/3.png"], read)
    torch.testing.assert_close(judged(module), judged(few), rtol=1e-4, atol=1e-4)


def test_a_killed_collection_goes_on() -> None:
    module, again = fitted(10), fitted(10)
    for first in range(0, 80, 10):
        module.collect(batch(first, 10).image)
        state = module.collecting_state()
        assert state is not None
        again.load_collecting_state(state)
    for one in (module, again):
        one.fit()
    torch.testing.assert_close(judged(again), judged(module))


def test_what_it_takes_is_told_where_that_is_much(capsys: pytest.CaptureFixture[str]) -> None:
    module = fitted(10)
    assert "DFM holds" not in capsys.readouterr().err
    module._say_what_it_takes(16_384, 100_000)
    assert "DFM holds up to 3.0 GiB: 16,384 features of each image" in capsys.readouterr().err
