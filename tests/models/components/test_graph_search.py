from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch

from models.components import graph_search
from models.components.graph_search import BankGraph, GraphSearch, Links, quality_of, settle
from models.patchcore import PatchCore
from tests.models.test_growing import BACKBONE, batch, extend, read

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("faiss")


def cloud(count: int, seed: int, dimensions: int = 12) -> torch.Tensor:
    """Clusters far apart: where walks lose their way."""
    draw = torch.Generator().manual_seed(seed)
    centre = 10 * torch.rand(60, dimensions, generator=torch.Generator().manual_seed(9))
    picked = torch.randint(60, (count,), generator=draw)
    return centre[picked] + torch.randn(count, dimensions, generator=draw)


@pytest.fixture
def poor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks that often fail."""
    monkeypatch.setattr(graph_search, "DEGREE", 2)
    monkeypatch.setattr(graph_search, "BREADTH", 1)


@pytest.mark.usefixtures("poor")
def test_distances_are_never_below_the_true_ones_and_are_theirs_where_they_are_called_right() -> None:
    bank, asked = cloud(3000, 0), cloud(500, 1)
    true = torch.cdist(asked.double(), bank.double()).amin(dim=1)
    found = GraphSearch(bank)(asked)
    assert (found.double().sqrt() >= true * (1 - 1e-5)).all()
    wrong = found.double().sqrt() > true * 1.001
    assert 0 < int(wrong.sum()) < 500
    quality = quality_of(found, true.square())
    assert quality.recall == 1 - int(wrong.sum()) / 500
    error = found.double().sqrt()[wrong] / true[wrong] - 1
    assert quality.largest_error == pytest.approx(float(error.max()))
    assert quality.mean_error == pytest.approx(float(error.mean()))


def test_links_come_back_from_arrays_and_copies_find_the_same() -> None:
    bank, asked = cloud(2000, 0), cloud(300, 1)
    built = GraphSearch(bank)
    again = GraphSearch(bank, built.links)
    assert built.links.fit(2000)
    for other in (again, copy.deepcopy(built), GraphSearch(bank)):
        assert torch.equal(other(asked), built(asked))


def test_links_that_lead_out_of_the_bank_are_refused() -> None:
    links = GraphSearch(cloud(2000, 0)).links
    assert int(links.level_M.max()) > 1
    low = int((links.level_M == 1).nonzero()[0])
    high = int((links.level_M > 1).nonzero()[0])
    start = int((graph_search.DEGREE * (links.level_M.long() + 1)).cumsum(0)[high - 1]) if high else 0

    def changed(**values: Any) -> Links:
        return links._replace(**values)

    def linked(place: int, to: int) -> torch.Tensor:
        link = links.link_L.clone()
        link[place] = to
        return link

    assert not links.fit(1999)
    assert not links.fit(0)
    assert not changed(link_L=linked(5, 2000)).fit(2000)
    assert not changed(link_L=linked(5, -2)).fit(2000)
    assert not changed(link_L=links.link_L[:-1]).fit(2000)
    assert not changed(level_M=links.level_M.roll(1)).fit(2000)
    assert not changed(entry=torch.tensor(2000)).fit(2000)
    assert not changed(entry=torch.tensor(low)).fit(2000)
    assert not changed(link_L=linked(start + 2 * graph_search.DEGREE, low)).fit(2000)


@pytest.mark.parametrize("top", [1, 3, 10])
@pytest.mark.parametrize("padded", [False, True])
def test_the_worst_of_every_image_and_size_are_exact(top: int, padded: bool) -> None:
    """Bounds of which many are far too large: what is left over is never among the worst."""
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        counts = [40, 7, 90]
        true = torch.rand(5, sum(counts), generator=draw)
        true[4] = 0.0  # an image that the bank holds
        far = torch.rand(true.shape, generator=draw) < 0.1
        bound = true + far * 3 * torch.rand(true.shape, generator=draw)
        bound[0, 3] = torch.inf
        inside = torch.rand(true.shape, generator=draw) < 0.6 if padded else torch.ones_like(far)
        asked = 0

        def exact(image: torch.Tensor, patch: torch.Tensor, true: torch.Tensor = true) -> torch.Tensor:
            nonlocal asked
            asked += patch.numel()
            return true[image.unsqueeze(1), patch]

        found = settle(bound, counts, top, inside if padded else None, exact)
        assert (found >= true).all()
        assert asked < true.numel() if top == 1 else True
        for values, wanted, part in zip(
            *(torch.split(values, counts, dim=1) for values in (found, true, inside)), strict=True
        ):
            for value, aim, shown in zip(values, wanted, part, strict=True):
                count = min(top, int(shown.sum()))
                torch.testing.assert_close(
                    value[shown].topk(count).values, aim[shown].topk(count).values, rtol=0, atol=0
                )


def test_few_patches_are_searched_for_twice() -> None:
    asked = 0

    def exact(image: torch.Tensor, patch: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += patch.numel()
        return bound[image.unsqueeze(1), patch]

    bound = torch.rand(3, 1024, generator=torch.Generator().manual_seed(0))
    settle(bound, [1024], 1, None, exact)
    assert asked == 3 * graph_search.TRIED


def fitted(search: Literal["exact", "hnsw"], count: int = 6, **settings: Any) -> PatchCore:
    torch.manual_seed(3)
    module = PatchCore(BACKBONE, 0.5, search=search, **settings).eval()
    torch.manual_seed(0)
    for first in range(0, count, 2):
        module.training_step(batch(first, 2), first)
    module.on_validation_start()
    return module


@torch.no_grad()
def judged(module: PatchCore, seed: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    prediction = module.model(batch(seed, 6).image)
    return prediction.pred_score, prediction.anomaly_map


@pytest.mark.usefixtures("poor")
@pytest.mark.parametrize("score", ["max", "top_mean"])
@pytest.mark.parametrize("scales", [[1], [1, 2]])
def test_scores_are_those_of_exact_search_and_maps_never_lower(score: str, scales: list[float]) -> None:
    exact, walking = fitted("exact", score=score, scales=scales), fitted("hnsw", score=score, scales=scales)
    assert torch.equal(exact.model.bank_MD, walking.model.bank_MD)
    wrong = 0
    for seed in range(40, 64, 6):
        (score_B, map_BHW), (walked_B, walked_BHW) = judged(exact, seed), judged(walking, seed)
        torch.testing.assert_close(walked_B, score_B, rtol=1e-5, atol=1e-5)
        assert (walked_BHW >= map_BHW - 1e-4).all()
        wrong += int((walked_BHW > map_BHW + 1e-3).any())
    assert wrong  # walks did fail


@pytest.mark.usefixtures("poor")
def test_as_a_bundle_it_judges_exactly() -> None:
    exact, walking = fitted("exact"), fitted("hnsw")
    with walking.as_exported():
        for ours, theirs in zip(judged(walking), judged(exact), strict=True):
            assert torch.equal(ours, theirs)
    assert not torch.equal(judged(walking)[1], judged(exact)[1])


def test_recall_is_measured_on_patches_in_no_bank_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    module = fitted("hnsw")
    graph = module.model.graph
    told = capsys.readouterr().err
    apart = torch.cdist(graph.asked_QD.double(), module.model.bank_MD.double()).amin(dim=1)
    assert len(graph.asked_QD) == 6 * 64 // 2
    assert float(apart.min()) > 1e-4
    assert graph.quality is not None
    assert f"HNSW finds the nearest of {100 * graph.quality.recall:.2f} % of 192 training patches" in told
    account = module.account(None)  # type: ignore[arg-type]  # it asks for no predictions
    assert account.metrics == {"bank_search": {"hnsw": {**graph.quality._asdict(), "patches": 192}}}
    assert "scores are those of exact search" in account.notes[0]
    assert fitted("exact").account(None).notes == ()  # type: ignore[arg-type]  # as above
    whole = fitted("hnsw", 1)
    whole.coreset_ratio = 1.0
    whole.training_step(batch(0, 1), 0)
    whole.model.graph = BankGraph(wanted=True)
    whole.fit()
    assert whole.model.graph.quality is None
    assert "no patch that is not in the bank was there" in capsys.readouterr().err


def test_a_checkpoint_holds_links_and_not_the_bank_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = fitted("hnsw")
    torch.save(module.state_dict(), tmp_path / "model.pt")
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    bank, tensors = module.model.bank_MD, [item for item in state.items() if isinstance(item[1], torch.Tensor)]
    banks = [key for key, value in tensors if torch.equal(value, bank)]
    assert banks == ["model.bank_MD"]
    again = PatchCore(BACKBONE, 0.5, search="hnsw").eval()
    again.load_state_dict(state)
    assert again.model.graph.quality == module.model.graph.quality
    with monkeypatch.context() as patch:
        patch.setattr(GraphSearch, "_link", None)  # nothing is linked a second time
        for ours, theirs in zip(judged(again), judged(module), strict=True):
            assert torch.equal(ours, theirs)
    plain = PatchCore(BACKBONE, 0.5).eval()
    plain.load_state_dict(state)
    torch.testing.assert_close(judged(plain)[0], judged(module)[0])


def test_a_checkpoint_of_exact_search_or_of_before_is_linked_when_it_is_asked() -> None:
    module, again = fitted("exact"), PatchCore(BACKBONE, 0.5, search="hnsw").eval()
    again.load_state_dict({key: value for key, value in module.state_dict().items() if ".graph." not in key})
    torch.testing.assert_close(judged(again)[0], judged(module)[0])
    assert len(again.model.graph.level_M) == len(again.model.bank_MD)
    assert "not known" in again.account(None).notes[0]  # type: ignore[arg-type]  # it asks for no predictions


def test_what_is_added_and_forgotten_is_linked_anew() -> None:
    walking, exact = fitted("hnsw"), fitted("exact")
    before, links = judged(walking), walking.model.graph.link_L.clone()
    for module in (walking, exact):
        extend(module, 10, 3)
    assert len(walking.model.graph.level_M) == len(walking.model.bank_MD)
    torch.testing.assert_close(judged(walking)[0], judged(exact)[0])
    assert set(walking.model.graph.image_Q.tolist()) == set(range(9))
    with torch.no_grad(), walking.without("/10.png", read), exact.without("/10.png", read):
        torch.testing.assert_close(judged(walking)[0], judged(exact)[0])
    for module in (walking, exact):
        module.forget([f"/{index}.png" for index in (10, 11, 12)], read)
    assert torch.equal(walking.model.graph.link_L, links)
    for ours, theirs in zip(judged(walking), before, strict=True):
        assert torch.equal(ours, theirs)
    walking.forget(["/0.png"], read)
    assert set(walking.model.graph.image_Q.tolist()) == set(range(5))
    owner = torch.cdist(walking.model.graph.asked_QD, walking.describe(batch(1, 1).image)[0]).amin(dim=1) < 1e-3
    assert set(walking.model.graph.image_Q[owner].tolist()) == {0}


def test_without_faiss_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match=r"FAISS for model\.search=hnsw.*pip install 'loupe-inspect\[faiss\]'"):
        PatchCore(BACKBONE, search="hnsw")
    PatchCore(BACKBONE)


def test_another_search_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected model\.search to be one of exact, hnsw, but found 'ivf'"):
        PatchCore(BACKBONE, search="ivf")  # type: ignore[arg-type]  # what a config may say


def test_on_another_device_it_says_that_all_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    graph, bank = BankGraph(wanted=True), torch.empty(5, 3, device="meta")
    graph.arrange(bank, lambda asked: asked)
    assert "model.search=hnsw is for processors: on meta the bank is compared by products" in capsys.readouterr().err
    assert not graph.serves(bank)
