from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from lightning import seed_everything

from datamodules.errors import DataError
from datamodules.samples.batch import Sample, collate
from datamodules.table import DEFECTIVE, GOOD, UNKNOWN
from models.components.screening import PASSED, Screening, choose_screening
from models.components.tiled import Tiling, cut
from models.hybrid import Hybrid
from models.mask_rcnn import MaskRcnn
from models.patchcore import PatchCore

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.samples.detections import Detections

BACKBONE = {"name": "loupe_net", "layers": [2], "mean": [0.5] * 3, "std": [0.5] * 3, "weights": "bundled"}


MARKED = [(slice(2, 6), slice(2, 6)), (slice(30, 34), slice(2, 6)), (slice(30, 34), slice(50, 60))]


def hybrid(threshold: float | None = None) -> Hybrid:
    """Build a hybrid whose screening knows what noise looks like."""
    seed_everything(0, verbose=False)
    screening = PatchCore(BACKBONE, 0.5)
    module = Hybrid(screening, MaskRcnn(BACKBONE, channels=16, limit=10, score_threshold=0.0))
    screening.collect(pictures())
    screening.fit()
    if threshold is not None:
        module.model.choose(Screening(threshold, "", 0, 0))
    return module.eval()


def pictures() -> Tensor:
    """Draw six images of noise, of which the last ones have more and more contrast."""
    noise = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    return 0.5 + noise * torch.linspace(0.3, 1, 6).view(-1, 1, 1, 1)


@torch.no_grad()
def look(module: Hybrid, image: Tensor) -> tuple[Tensor, Tensor, list[Detections]]:
    """Return scores, maps and detections."""
    prediction, detections = module.predict(image)
    assert prediction.pred_score is not None
    assert prediction.anomaly_map is not None
    return prediction.pred_score, prediction.anomaly_map, detections or []


@torch.no_grad()
def test_only_what_is_not_passed_is_inspected() -> None:
    module = hybrid()
    image = pictures().flip(3)
    screened = module.model.screening(image).pred_score
    line = float(screened.sort().values[2])
    module.model.choose(Screening(line, "", 0, 0))
    score, anomaly_map, detections = look(module, image)
    alone: Any
    alone, found = module.model.inspection.detect(image)
    passed = screened < line
    assert int(passed.sum()) == 2
    assert (score[passed] == PASSED).all()
    assert (anomaly_map[passed] == 0).all()
    torch.testing.assert_close(score[~passed], alone.pred_score[~passed])
    torch.testing.assert_close(anomaly_map[~passed], alone.anomaly_map[~passed], rtol=1e-4, atol=1e-5)
    for is_passed, entry, whole in zip(passed.tolist(), detections, found, strict=True):
        assert len(entry) == (0 if is_passed else len(whole))
    assert (module.model.screened, module.model.inspected) == (6, 4)
    assert min(module.model.seconds.values()) > 0


@torch.no_grad()
@pytest.mark.parametrize(("line", "inspected"), [(float("-inf"), 6), (float("inf"), 0)])
def test_thresholds_beyond_all_scores(line: float, inspected: int) -> None:
    module = hybrid(line)
    score, _, _ = look(module, pictures())
    assert module.model.inspected == inspected
    assert int((score > PASSED).sum()) == inspected


@torch.no_grad()
def test_the_threshold_travels_with_the_weights() -> None:
    module = hybrid()
    module.model.choose(Screening(0.25, "It passes.", 3, 2))
    again = hybrid()
    again.load_state_dict(module.state_dict())
    assert again.model.chosen == Screening(0.25, "It passes.", 3, 2)
    assert float(again.model.screening_threshold) == 0.25
    assert not module.hparams  # modules among them would be pickled
    assert not [key for key in module.state_dict() if not key.startswith("model.")]


@pytest.mark.parametrize("recall", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("pass_share", [0.0, 0.3, 0.75, 1.0])
def test_the_screening_is_as_coarse_as_both_promises_allow(recall: float, pass_share: float) -> None:
    """Against trying every threshold: the highest one that keeps both promises, ties included."""
    generator = torch.Generator().manual_seed(int(100 * recall + 10 * pass_share))
    score = torch.randint(0, 30, (60,), generator=generator).float()
    label = torch.randint(-1, 2, (60,), generator=generator)
    score[label == DEFECTIVE] += 8

    def keeps(line: float) -> bool:
        seen = (score[label == DEFECTIVE] >= line).float().mean() >= recall - 1e-6
        return bool(seen and (score[label == GOOD] < line).float().mean() <= pass_share + 1e-6)

    chosen = choose_screening(score, label, recall, pass_share)
    assert keeps(chosen.value)
    higher = score[score > chosen.value]
    assert not len(higher) or not keeps(float(higher.min()))
    assert (chosen.n_good, chosen.n_defective) == (int((label == GOOD).sum()), int((label == DEFECTIVE).sum()))


def test_one_kind_of_label_is_enough_and_none_is_refused() -> None:
    score = torch.arange(10.0)
    good = choose_screening(score, torch.full((10,), GOOD), 1.0, 0.8)
    assert good.value == 8.0
    assert "passes 8 of 10 good" in good.promise
    assert choose_screening(score, torch.full((10,), DEFECTIVE), 0.9, 0.8).value == 1.0
    with pytest.raises(DataError, match="Expected labelled calibration pictures"):
        choose_screening(score, torch.full((10,), UNKNOWN), 1.0, 0.8)


@torch.no_grad()
@pytest.mark.parametrize("tiling", [None, Tiling(size=32, overlap=0.25, batch=3)])
def test_what_the_screening_passed_is_counted_with_what_is_marked_there(tiling: Tiling | None) -> None:
    """Against looking at every tile by hand: noise of contrast that grows along the image, marked in three places."""
    module = hybrid()
    image = pictures()[[5]].expand(2, -1, -1, -1).clone()
    image[:, :, :, :32] = 0.5
    mask = torch.zeros(2, 64, 64, dtype=torch.bool)
    for rows, columns in MARKED:
        mask[0, rows, columns] = True
    mask[1] = True  # where nobody knows, nothing is marked
    if tiling is not None:
        module.use_tiling(tiling)
    places = [(0, 0)]
    if tiling is not None:
        places = [(top, left) for top in tiling.axis(64).starts for left in tiling.axis(64).starts]
    size = 64 if tiling is None else 32
    tiles = [cut(image, place, size) for place in places]
    scores = torch.stack([module.model.screening(tile).pred_score for tile in tiles])
    line = float(scores.median())
    module.model.choose(Screening(line, "", 0, 0))
    batch = collate([Sample(image[0], "a", "a.png", 1, mask[0]), Sample(image[1], "b", "b.png", 1)])
    module.test_step(batch)
    inspected = scores >= line
    marked = torch.stack([cut(mask[:1], place, size).any() for place in places])
    assert module.tally.number == inspected.numel()
    assert module.tally.passed == int((~inspected).sum())
    assert (module.tally.marked, module.tally.marked_passed) == (
        int(marked.sum()),
        int((marked & ~inspected[:, 0]).sum()),
    )
    seen = torch.zeros(64, 64, dtype=torch.bool)
    for (top, left), looked in zip(places, inspected[:, 0].tolist(), strict=True):
        if looked:
            rim = 0 if tiling is None else tiling.rim
            low = [max(start + rim, 0) for start in (top, left)]
            seen[low[0] : max(top + size - rim, 0), low[1] : max(left + size - rim, 0)] = True
    unseen = [not bool(seen[rows, columns].any()) for rows, columns in MARKED]
    assert (module.tally.defects, module.tally.defects_unseen) == (3, sum(unseen))
    if tiling is not None:
        assert 0 < sum(unseen) < 3


def test_what_cannot_be_combined_is_refused() -> None:
    inspection = MaskRcnn(BACKBONE, channels=16)
    with pytest.raises(ValueError, match=r"model\.screening to be a model that learns from good .* found MaskRcnn"):
        Hybrid(MaskRcnn(BACKBONE, channels=16), inspection)  # type: ignore[arg-type]  # what a config may well say
    for recall, share in ((0.0, 0.5), (1.1, 0.5), (1.0, -0.1), (1.0, 1.1)):
        with pytest.raises(ValueError, match=rf"but found {recall} and {share}"):
            Hybrid(PatchCore(BACKBONE), inspection, recall, share)


def test_a_screening_without_good_pictures_says_so() -> None:
    seed_everything(0, verbose=False)
    module = Hybrid(PatchCore(BACKBONE), MaskRcnn(BACKBONE, channels=16))
    with pytest.raises(DataError, match="Expected good training pictures for the screening model, but found none"):
        module._screen(pictures())
