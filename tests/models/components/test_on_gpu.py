"""Selection, thinning and search on a GPU; run by name: ``pytest -m gpu``."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor

from models.components import coreset
from models.components.coreset import ROUNDING, k_center_greedy, lower_plainly
from models.components.fused_nearest import TOLERANCE, is_fused, largest_error, lower_nearest, nearest_squares
from models.components.gathered import GatheredPoints
from models.components.nearest import compare_all, search_plainly
from models.components.thinning import Thinning
from models.patchcore import PatchCore

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
NET = {"name": "loupe_net", "layers": [2, 3], "mean": [0.5] * 3, "std": [0.5] * 3, "weights": "bundled"}


def clusters(total: int, dimensions: int = 128) -> Tensor:
    """Draw points about thirty middles."""
    generator = torch.Generator().manual_seed(1)
    middle_KD = 5 * torch.randn(30, dimensions, generator=generator)
    spread_ND = torch.randn(total, dimensions, generator=generator)
    return middle_KD[torch.randint(30, (total,), generator=generator)] + spread_ND


def apart(asked_ND: Tensor, bank_MD: Tensor) -> Tensor:
    """Measure distances (N,) to the nearest point, in double precision, on the processor."""
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(asked_ND.double().cpu(), bank_MD.double().cpu(), compute_mode=exact).amin(dim=1)


@pytest.mark.parametrize("total", [500, 20_000])
def test_selection_picks_what_the_processor_picks(total: int) -> None:
    points = clusters(total)
    there, here = (list(k_center_greedy(points.to(device), 300, 7)) for device in ("cuda", "cpu"))
    # Near ties may fall otherwise: then what follows may, too, and covers as well.
    assert there[:20] == here[:20]
    radii = [float(apart(points, points[picks]).max()) for picks in (there, here)]
    assert radii[0] == pytest.approx(radii[1], rel=0.01)


def test_gathered_points_go_to_the_gpu_as_they_are() -> None:
    points, gathered = clusters(3000), GatheredPoints(128, 3000)
    for part in torch.split(points.cuda(), 700):
        gathered.append(part)
    assert torch.equal(gathered.points(), points)


def test_thinning_keeps_its_promise() -> None:
    points = clusters(20_000).cuda()
    thin = Thinning(100, lambda point_ND, count: list(k_center_greedy(point_ND, count, 0)))
    for index_N in torch.split(torch.arange(len(points)), 1000):
        thin.add(points[index_N], index_N)
    held, owners = thin.take()
    assert held.is_cuda
    assert torch.equal(held, points[owners])
    assert thin.bound > 0
    assert float(apart(points, held).max()) <= thin.bound * (1 + 1e-4)


@pytest.mark.parametrize("size", [1000, 20_000])
def test_search_is_exact(size: int) -> None:
    bank, asked = clusters(size), clusters(3000)[-1024:] + 0.1
    found = search_plainly(asked.cuda(), bank.cuda(), bank.cuda().square().sum(dim=1)).sqrt()
    torch.testing.assert_close(found.double().cpu(), apart(asked, bank), atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("dimensions", [1, 16, 100, 128, 384, 1536])
def test_the_fused_kernel_proves_itself(dimensions: int) -> None:
    points = clusters(300, dimensions).cuda()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it would warn where it gave up
        assert is_fused(points, points)
    assert largest_error(points.device, dimensions) <= TOLERANCE


@pytest.mark.parametrize("dimensions", [1, 100, 128, 1536])
@pytest.mark.parametrize(("questions", "points"), [(1, 1), (1, 5000), (4099, 1), (1024, 6000), (20_000, 777)])
def test_the_fused_kernel_agrees_with_products(questions: int, points: int, dimensions: int) -> None:
    asked, bank = clusters(questions, dimensions).cuda(), clusters(points + 1, dimensions).flip(0)[:points].cuda() + 0.1
    square_N, square_M = asked.square().sum(dim=1), bank.square().sum(dim=1)
    known = torch.full((questions,), math.inf, device="cuda")
    known[1::7], known[2::7] = -math.inf, 0.0
    fused, plain = known.clone(), known.clone()
    lower_nearest(fused, asked, square_N, bank, square_M, ROUNDING)
    torch.backends.cuda.matmul.allow_tf32 = False
    lower_plainly(plain, asked, square_N, bank, square_M, ROUNDING)
    stays = plain.isinf()
    assert torch.equal(fused[stays], plain[stays])
    assert bool(((fused - plain)[~stays].abs() <= 2 * ROUNDING * (square_N[~stays] + square_M.max())).all())
    error_N = (nearest_squares(asked.T.contiguous().T, bank, square_M) - compare_all(asked, bank, square_M)).abs()
    assert bool((error_N <= 2 * ROUNDING * (square_N + square_M.max())).all())


def test_the_fused_kernel_selects_what_products_select(monkeypatch: pytest.MonkeyPatch) -> None:
    points = clusters(20_000).cuda()
    fused = list(k_center_greedy(points, 500, 7))
    monkeypatch.setattr(coreset, "is_fused", lambda *_: False)
    plain = list(k_center_greedy(points, 500, 7))
    assert fused[:20] == plain[:20]
    radii = [float(apart(points, points[picks]).max()) for picks in (fused, plain)]
    assert radii[0] == pytest.approx(radii[1], rel=0.01)


def test_the_fused_kernel_holds_no_matrix_of_distances() -> None:
    asked, bank = torch.rand(16_384, 128, device="cuda"), torch.rand(20_000, 128, device="cuda")
    square_M = bank.square().sum(dim=1)
    nearest_squares(asked, bank, square_M)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    nearest_squares(asked, bank, square_M)
    assert torch.cuda.max_memory_allocated() - before < 2 * asked.nbytes


def test_the_fused_kernel_counts_beyond_32_bits() -> None:
    stride = 2**30 + 64  # numbers between rows
    if torch.cuda.mem_get_info()[0] < 12 * 2**30:
        pytest.skip("needs 12 GiB")
    far = torch.empty(2 * stride + 64, device="cuda").as_strided((3, 20), (stride, 1))
    near, other = clusters(3, 20), clusters(70, 20) + 0.1
    far.copy_(near)
    for asked, bank in ((far, other.cuda()), (other.cuda(), far)):
        found = nearest_squares(asked, bank, bank.square().sum(dim=1))
        wanted = apart(*((near, other) if asked is far else (other, near)))
        torch.testing.assert_close(found.double().cpu().sqrt(), wanted, atol=1e-2, rtol=1e-4)


def test_a_bank_learnt_on_a_gpu_judges_as_on_the_processor() -> None:
    image = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    module = PatchCore(NET, bank_size=200).eval().cuda()
    with torch.inference_mode():
        module.collect(image.cuda())
        module.fit()
        there = module.model(image.cuda().flip(3))
        here = module.cpu().model(image.flip(3))
    torch.testing.assert_close(there.pred_score.cpu(), here.pred_score, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(there.anomaly_map.cpu(), here.anomaly_map, rtol=1e-2, atol=5e-2)
