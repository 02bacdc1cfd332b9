"""Models that learn more later, and unlearn: against models that learnt all, or the rest, at once."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
import torch

from datamodules.errors import DataError
from datamodules.samples.batch import Sample, collate
from models.components.displaced import displaced, spread
from models.dfm import DFM
from models.padim import Moments, Padim, covariance_of, whitening
from models.patchcore import PatchCore

if TYPE_CHECKING:
    from datamodules.samples.batch import InspectionBatch
    from models.one_pass import OnePassModel

BACKBONE: dict[str, Any] = {
    "name": "resnet18",
    "layers": [2, 3],
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "weights": "none",
}


def build(name: str) -> OnePassModel:
    torch.manual_seed(3)
    made: dict[str, OnePassModel] = {
        "patchcore": PatchCore(BACKBONE, 0.25, added_ratio=0.4),
        "padim": Padim(BACKBONE, n_features=8),
        "dfm": DFM(BACKBONE),
    }
    return made[name].eval()


def batch(first: int, count: int) -> InspectionBatch:
    """Images first, first + 1, ... whatever batch they are in."""
    samples = []
    for index in range(first, first + count):
        coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(index))
        image = torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear")[0]
        samples.append(Sample(image, f"{index}.png", f"/{index}.png", 0))
    return collate(samples)


@torch.no_grad()
def fitted(name: str, first: int, count: int) -> OnePassModel:
    module = build(name)
    module.collect_batch(batch(first, count))
    torch.manual_seed(0)
    module.fit()
    return module


@torch.no_grad()
def scores(module: OnePassModel) -> torch.Tensor:
    found: torch.Tensor = module.model(batch(50, 6).image).pred_score
    return found


@torch.no_grad()
def extend(module: OnePassModel, first: int, count: int) -> None:
    module.resume()
    for index in range(first, first + count):
        module.collect_batch(batch(index, 1))
    module.extend()


def read(path: str) -> torch.Tensor:
    image: torch.Tensor = batch(int(path[1:-4]), 1).image
    return image


def refuse(path: str) -> torch.Tensor:
    raise DataError(path)


@pytest.mark.parametrize("name", ["padim", "dfm"])
def test_what_grew_is_what_would_have_learnt_all_at_once(name: str) -> None:
    grown, whole = fitted(name, 0, 9), fitted(name, 0, 14)
    extend(grown, 9, 5)
    assert grown.learnt == whole.learnt
    torch.testing.assert_close(scores(grown), scores(whole), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["padim", "dfm"])
def test_what_forgot_is_what_would_have_learnt_the_rest(name: str) -> None:
    shrunk, rest = fitted(name, 0, 14), fitted(name, 0, 9)
    with torch.no_grad():
        shrunk.forget([f"/{index}.png" for index in range(9, 14)], read)
    assert shrunk.learnt == rest.learnt
    torch.testing.assert_close(scores(shrunk), scores(rest), rtol=1e-4, atol=1e-4)


def test_a_bank_keeps_its_patches_and_gets_those_that_lie_farthest() -> None:
    module = fitted("patchcore", 0, 6)
    assert isinstance(module, PatchCore)
    bank, images, before = module.model.bank_MD, module.model.image_M, scores(module)
    assert sorted(set(images.tolist())) == list(range(6))
    extend(module, 6, 2)
    assert torch.equal(module.model.bank_MD[: len(bank)], bank)
    assert len(module.model.bank_MD) == len(bank) + round(0.4 * 2 * 64)
    assert set(module.model.image_M[len(bank) :].tolist()) == {6, 7}
    new, _ = module.describe(batch(6, 2).image)
    distances = torch.cdist(new, bank).amin(dim=1)
    assert torch.equal(module.model.bank_MD[len(bank)], new[int(distances.argmax())])
    assert float(torch.cdist(new, module.model.bank_MD).amin(dim=1).max()) < float(distances.max())

    module.forget(["/6.png", "/7.png"], refuse)
    assert torch.equal(module.model.bank_MD, bank)
    assert torch.equal(module.model.image_M, images)
    assert torch.equal(scores(module), before)
    assert module.learnt == [f"/{index}.png" for index in range(6)]


def test_patches_of_an_image_leave_with_it() -> None:
    module = fitted("patchcore", 0, 6)
    assert isinstance(module, PatchCore)
    bank, images = module.model.bank_MD, module.model.image_M
    module.forget(["/2.png"], refuse)
    assert torch.equal(module.model.bank_MD, bank[images != 2])
    assert module.learnt == ["/0.png", "/1.png", "/3.png", "/4.png", "/5.png"]
    patches = {path: module.describe(read(path))[0] for path in module.learnt}
    for row, image in zip(module.model.bank_MD, module.model.image_M.tolist(), strict=True):
        assert float((patches[module.learnt[image]] - row).abs().sum(dim=1).min()) < 1e-3


@pytest.mark.parametrize("name", ["patchcore", "padim", "dfm"])
def test_an_image_is_judged_as_if_it_had_been_forgotten_and_then_all_is_as_it_was(name: str) -> None:
    module, other = fitted(name, 0, 9), fitted(name, 0, 9)
    for one in (module, other):
        extend(one, 9, 3)
    before, state = scores(module), deepcopy(module.state_dict())
    with torch.no_grad():
        other.forget(["/10.png"], read)
        with module.without("/10.png", read):
            meanwhile = scores(module)
    torch.testing.assert_close(meanwhile, scores(other), rtol=1e-6, atol=1e-6)
    assert not torch.allclose(meanwhile, before, rtol=1e-6, atol=1e-6)
    assert torch.equal(scores(module), before)
    for key, value in module.state_dict().items():
        assert torch.equal(value, state[key]) if isinstance(value, torch.Tensor) else value == state[key]


def test_without_an_image_its_like_comes_back_into_the_bank() -> None:
    twin = {"/9.png": 9, "/11.png": 9, "/10.png": 10}  # two images that show the same: each keeps the other out
    module, other = fitted("patchcore", 0, 9), fitted("patchcore", 0, 9)
    names = {id(module): list(twin), id(other): ["/9.png", "/10.png"]}
    for one in (module, other):
        one.resume()
        for path in names[id(one)]:
            sample = batch(twin[path], 1)
            sample.image_path = [path]
            one.collect_batch(sample)
        one.extend()
    assert isinstance(module, PatchCore)
    shown = batch(9, 1).image

    def again(path: str) -> torch.Tensor:
        image: torch.Tensor = batch(twin[path], 1).image
        return image

    def judged() -> float:
        with torch.no_grad(), module.without("/9.png", again):
            return float(module.model(shown).pred_score)

    bare = judged()
    with torch.no_grad():
        module.get_ready_without(list(twin), again)
        aimed = float(other.model(shown).pred_score)
    assert abs(judged() - aimed) < 0.5 * abs(bare - aimed)


def test_what_comes_back_is_what_lies_beyond_the_radius() -> None:
    patch_ND = torch.tensor([[0.0], [5.0], [5.5], [9.0]])
    bank_MD, image_M = torch.tensor([[0.0], [5.2], [10.0]]), torch.tensor([0, 1, 2])
    found = displaced(bank_MD, image_M, {"b": [1], "c": [2]}, [("c", patch_ND), ("b", torch.tensor([[5.2], [9.9]]))])
    assert {name: kept.flatten().tolist() for name, kept in found.items()} == {"b": [5.0], "c": [pytest.approx(9.9)]}
    assert not len(spread(patch_ND, bank_MD, 1.0))


@pytest.mark.parametrize("name", ["patchcore", "padim", "dfm"])
def test_a_model_that_is_nothing_without_an_image_says_so_and_stays(name: str) -> None:
    module = fitted(name, 0, 1 if name == "patchcore" else 2)
    before = scores(module)
    with pytest.raises(DataError), torch.no_grad(), module.without("/0.png", read):
        scores(module)
    assert torch.equal(scores(module), before)
    assert module.learnt[0] == "/0.png"


@pytest.mark.parametrize("name", ["patchcore", "padim", "dfm"])
def test_nothing_is_left_only_over_an_error(name: str) -> None:
    module = fitted(name, 0, 4)
    with pytest.raises(DataError):
        module.forget(list(module.learnt), read)


@pytest.mark.parametrize("name", ["patchcore", "padim", "dfm"])
def test_growth_goes_on_after_saving(name: str) -> None:
    module, again = fitted(name, 0, 6), build(name)
    again.load_state_dict(module.state_dict())
    assert again.learnt == module.learnt
    for one in (module, again):
        extend(one, 6, 2)
    torch.testing.assert_close(scores(again), scores(module))


def test_checkpoints_of_earlier_versions_are_read() -> None:
    for name, lost in (("patchcore", "model.image_M"), ("padim", ""), ("dfm", "feature_ND")):
        module, again = fitted(name, 0, 6), build(name)
        state = {key: value for key, value in module.state_dict().items() if key not in {"_extra_state", lost}}
        again.load_state_dict(state)
        assert again.learnt == []
        torch.testing.assert_close(scores(again), scores(module))
    assert isinstance(again, DFM)


def test_a_bank_of_nobody_knows_whose_patches_grows() -> None:
    module, again = fitted("patchcore", 0, 6), build("patchcore")
    state = module.state_dict()
    del state["_extra_state"], state["model.image_M"]
    again.load_state_dict(state)
    assert isinstance(again, PatchCore)
    extend(again, 6, 2)
    assert set(again.model.image_M.tolist()) == {-1, 0, 1}
    again.forget(["/6.png"], refuse)
    assert set(again.model.image_M.tolist()) == {-1, 0}
    assert again.learnt == ["/7.png"]


def test_moments_come_back_from_what_was_made_of_them() -> None:
    x = torch.randn(20, 6, 3, generator=torch.Generator().manual_seed(0)).double()
    moments = Moments(x[:5])
    moments.add(x)
    covariance = moments.covariance()
    torch.testing.assert_close(covariance_of(whitening(covariance).float()), covariance, atol=1e-4, rtol=1e-4)
    again = Moments.of(20, moments.mean(), covariance)
    again.add(x[12:], sign=-1)
    wanted = Moments(x[:5])
    wanted.add(x[:12])
    torch.testing.assert_close(again.mean(), wanted.mean())
    torch.testing.assert_close(again.covariance(), wanted.covariance())


def test_a_share_of_added_patches_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.added_ratio to be above 0 and at most 1, but found 0"):
        PatchCore(BACKBONE, added_ratio=0)


@torch.no_grad()
@pytest.mark.parametrize("exact", [False, True])
def test_a_bank_grows_by_more_than_fits_into_memory(exact: bool, capsys: pytest.CaptureFixture[str]) -> None:
    whole, tight = (fitted("patchcore", 0, 4) for _ in range(2))
    assert isinstance(whole, PatchCore)
    assert isinstance(tight, PatchCore)
    before = tight.model.bank_MD.clone()
    tight.memory, tight.exact, tight.bank_size = 700 * 1024, exact, 12
    for module in (whole, tight):
        for first in range(10, 34, 4):
            module.collect_batch(batch(first, 4))
        module.extend()
    assert "more came than expected" in capsys.readouterr().err
    assert torch.equal(tight.model.bank_MD[: len(before)], before)
    assert set(tight.model.image_M[len(before) :].tolist()) <= set(range(4, 28))
    if exact:
        assert torch.equal(tight.model.bank_MD, whole.model.bank_MD)
        assert torch.equal(tight.model.image_M, whole.model.image_M)
    else:
        seen = torch.cat([tight.describe(batch(first, 4).image)[0] for first in range(10, 34, 4)]).view(24, 64, -1)
        for row, image in zip(tight.model.bank_MD[len(before) :], tight.model.image_M[len(before) :], strict=True):
            assert float((seen[image - 4] - row).abs().sum(dim=1).min()) < 1e-3
    tight.forget({f"/{index}.png" for index in range(10, 34)}, lambda _: torch.empty(0))
    assert torch.equal(tight.model.bank_MD, before)
