from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from lightning import Callback, Trainer
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.samples.batch import Sample, collate
from models.components import nearest, patchcore_model
from models.components.patchcore_model import PatchCoreModel
from models.features.backbones import Backbone
from models.patchcore import PatchCore

if TYPE_CHECKING:
    from pathlib import Path

    from lightning import LightningModule

    from datamodules.samples.batch import InspectionBatch

ARGUMENTS: dict[str, Any] = {
    "name": "resnet18",
    "layers": [2, 3],
    "mean": [0.0, 0.0, 0.0],  # anomalib normalises nothing inside its network
    "std": [1.0, 1.0, 1.0],
    "weights": "none",
}


def pictures(count: int, seed: int = 0, size: tuple[int, int] = (64, 64)) -> torch.Tensor:
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")


def batch(image_B3HW: torch.Tensor) -> InspectionBatch:
    return collate([Sample(image, f"{index}.png", f"/{index}.png", 0) for index, image in enumerate(image_B3HW)])


def fitted(seed: int = 0, ratio: float = 0.25, num_neighbors: int = 9) -> PatchCore:
    torch.manual_seed(3)
    module = PatchCore(ARGUMENTS, ratio, num_neighbors).eval()
    torch.manual_seed(seed)
    module.training_step(batch(pictures(4)), 0)
    module.training_step(batch(pictures(4, seed=1)), 1)
    module.on_validation_start()
    return module


@torch.inference_mode()
def predict(module: PatchCore, image_B3HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    prediction = module.model(image_B3HW)
    return prediction.pred_score, prediction.anomaly_map


@pytest.mark.parametrize("num_neighbors", [1, 2, 9])
@pytest.mark.parametrize("size", [(64, 64), (96, 64), (72, 104)])
def test_scores_and_maps_are_those_of_anomalib(num_neighbors: int, size: tuple[int, int]) -> None:
    module = fitted(num_neighbors=num_neighbors)
    theirs = PatchcoreModel(["layer2", "layer3"], "resnet18", pre_trained=False, num_neighbors=num_neighbors).eval()
    theirs.feature_extractor.feature_extractor.load_state_dict(module.model.backbone.network.state_dict())
    theirs.memory_bank = module.model.bank_MD
    image = pictures(3, seed=5, size=size)
    score, anomaly_map = predict(module, image)
    with torch.inference_mode():
        wanted = theirs(image)
    assert score.shape == (3,)
    assert anomaly_map.shape == (3, *size)
    assert float(score.min()) > 0
    torch.testing.assert_close(score, wanted.pred_score, atol=1e-4, rtol=0)
    torch.testing.assert_close(anomaly_map, wanted.anomaly_map.squeeze(1), atol=1e-4, rtol=0)


def test_embeddings_are_those_of_anomalib() -> None:
    module = fitted()
    theirs = PatchcoreModel(["layer2", "layer3"], "resnet18", pre_trained=False)
    theirs.feature_extractor.feature_extractor.load_state_dict(module.model.backbone.network.state_dict())
    image = pictures(2, seed=5)
    ours = module.model.embed(image).permute(0, 2, 3, 1).flatten(0, 2)
    torch.testing.assert_close(ours, theirs.train()(image))


def test_the_search_is_exact_in_parts_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fitted(ratio=0.9)
    patch_BPD = module.model.embed(pictures(3, seed=5)).flatten(2).transpose(1, 2)
    distance_BPM = torch.cdist(patch_BPD.double(), module.model.bank_MD.double())
    for rows in (1, 37, 4096):
        monkeypatch.setattr(nearest, "ROWS", rows)
        distance_BP = module.model.search(patch_BPD).sqrt()
        torch.testing.assert_close(distance_BP.double(), distance_BPM.amin(dim=2), atol=1e-4, rtol=1e-4)
    for patch in (0, 5, 11):
        index_B = module.model.nearest(patch_BPD[:, patch])
        found_B = distance_BPM[:, patch].gather(1, index_B.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(found_B, distance_BPM[:, patch].amin(dim=1), atol=1e-5, rtol=1e-5)


def test_a_large_bank_is_searched_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module, image = fitted(ratio=0.9), pictures(3, seed=5)
    plain = predict(module, image)
    monkeypatch.setattr(patchcore_model, "LARGE", 1)
    for ours, theirs in zip(predict(module, image), plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert module.model._search is not None
    before = module.model._search
    predict(module, image)
    assert module.model._search is before
    module.load_state_dict(fitted(seed=1).state_dict())
    small = fitted(seed=1)
    torch.testing.assert_close(predict(module, image)[1], predict(small, image)[1], atol=1e-4, rtol=0)


def test_neighbours_of_the_bank_are_its_nearest() -> None:
    model = fitted().model
    distance_MM = torch.cdist(model.bank_MD.double(), model.bank_MD.double())
    wanted_MK = distance_MM.topk(9, largest=False).values
    torch.testing.assert_close(distance_MM.gather(1, model.neighbor_MK), wanted_MK, atol=1e-5, rtol=1e-5)
    assert model.neighbor_MK[:, 0].tolist() == list(range(len(model.bank_MD)))


def test_a_picture_scores_the_same_alone_and_among_others() -> None:
    assert_the_same_alone(fitted(), pictures(4, seed=5))


def assert_the_same_alone(module: PatchCore, image: torch.Tensor) -> None:
    """Each image of a batch has the score and the map that it has by itself."""
    score, anomaly_map = predict(module, image)
    for index in range(4):
        score_1, map_1 = predict(module, image[index : index + 1])
        torch.testing.assert_close(score_1[0], score[index], atol=1e-5, rtol=0)
        torch.testing.assert_close(map_1[0], anomaly_map[index], atol=1e-5, rtol=0)


def test_what_is_strange_scores_higher_and_where_it_is() -> None:
    module = fitted(ratio=1.0)
    good = pictures(4)
    bad = good.clone()
    bad[:, :, 40:52, 8:20] = torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1)
    good_score, _ = predict(module, good)
    bad_score, bad_map = predict(module, bad)
    assert float(good_score.max()) < 0.05 * float(bad_score.min())  # a full bank knows every patch of its own
    for map_HW in bad_map:
        row, column = divmod(int(map_HW.argmax()), 64)
        assert 32 <= row < 60
        assert 0 <= column < 28


def test_one_seed_gives_one_bank() -> None:
    banks = [fitted(seed).model.bank_MD for seed in (0, 0, 1)]
    assert torch.equal(banks[0], banks[1])
    assert not torch.equal(banks[0], banks[2])


@pytest.mark.parametrize(("ratio", "size"), [(1.0, 512), (0.25, 128), (0.1, 51), (1e-6, 1)])
def test_the_bank_is_a_share_of_the_patches(ratio: float, size: int) -> None:
    module = fitted(ratio=ratio)
    patch_ND = module.model.embed(torch.cat([pictures(4), pictures(4, seed=1)])).permute(0, 2, 3, 1).flatten(0, 2)
    bank = module.model.bank_MD
    assert bank.shape == (size, 384)
    assert (torch.cdist(bank.double(), patch_ND.double()).amin(dim=1) < 1e-4).all()
    score, _ = predict(module, pictures(2, seed=5))
    assert score.isfinite().all()


def test_a_saved_model_scores_the_same_without_its_file_of_weights(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(Backbone(**ARGUMENTS).network.state_dict(), weights)
    module = PatchCore(ARGUMENTS | {"weights": str(weights)}, 0.25).eval()
    module.training_step(batch(pictures(4)), 0)
    module.fit()
    image = pictures(3, seed=5)
    torch.save(module.state_dict(), tmp_path / "model.pt")
    weights.unlink()
    again = PatchCore(ARGUMENTS, 0.25).eval()
    again.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    for ours, theirs in zip(predict(again, image), predict(module, image), strict=True):
        assert torch.equal(ours, theirs)
    assert again.origin() == module.origin()
    assert again.origin()["sha256"]


def test_a_bank_of_another_size_takes_the_place_of_the_old_one() -> None:
    small, large = fitted(ratio=0.1), fitted(ratio=0.5)
    small.load_state_dict(large.state_dict())
    assert len(small.model.bank_MD) == 256
    assert torch.equal(predict(small, pictures(1))[1], predict(large, pictures(1))[1])


class Watch(Callback):
    """Keeps every batch that calibration would see."""

    def __init__(self) -> None:
        self.seen: list[InspectionBatch] = []

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: InspectionBatch, *args: int
    ) -> None:
        del trainer, pl_module, outputs, args
        self.seen.append(batch)


@pytest.mark.filterwarnings("ignore:.*run with no optimizer", "ignore:.*in eval mode at the start", "ignore:.*LeafSpec")
def test_lightning_fills_the_bank_before_it_is_asked(tmp_path: Path) -> None:
    module, watch = PatchCore(ARGUMENTS, 0.25), Watch()
    batches: Any = [batch(pictures(4)), batch(pictures(4, seed=1))]
    loader: DataLoader[InspectionBatch] = DataLoader(batches, batch_size=None)
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[watch],
        **PatchCore.trainer_arguments,
    )
    trainer.fit(module, loader, loader)
    assert len(module.model.bank_MD) == 128
    assert len(watch.seen) == 2
    for done in watch.seen:
        assert done.pred_score.shape == (4,)
        assert done.anomaly_map.shape == (4, 64, 64)
        assert done.pred_label is None  # raw: decisions are made elsewhere
    with pytest.raises(RuntimeError, match="Expected patches that were collected, but there are none"):
        module.take()


def test_an_empty_bank_is_called_that() -> None:
    with pytest.raises(RuntimeError, match="bank of good patches, but it is empty; train first"):
        PatchCoreModel(Backbone(**ARGUMENTS), 9)(pictures(1))


@pytest.mark.parametrize(
    ("ratio", "neighbors", "message"),
    [
        (0.0, 9, r"model\.coreset_ratio to be above 0 and at most 1, but found 0\.0"),
        (1.1, 9, "but found 1.1"),
        (0.1, 0, r"model\.num_neighbors to be at least 1, but found 0"),
    ],
)
def test_impossible_arguments_are_refused(ratio: float, neighbors: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PatchCore(ARGUMENTS, ratio, neighbors)


def fitted_in_parts(**arguments: Any) -> PatchCore:
    torch.manual_seed(3)
    module = PatchCore(ARGUMENTS, 0.25, **arguments).eval()
    torch.manual_seed(0)
    for index in range(12):
        module.training_step(batch(pictures(4, seed=index)), index)
    module.on_validation_start()
    return module


def test_a_bank_of_a_given_size_has_it() -> None:
    assert len(fitted_in_parts(bank_size=33).model.bank_MD) == 33
    assert len(fitted_in_parts(bank_size=10**6).model.bank_MD) == 12 * 4 * 64


def test_where_all_fits_memory_changes_nothing() -> None:
    assert torch.equal(fitted_in_parts(memory="1GiB").model.bank_MD, fitted_in_parts().model.bank_MD)


def test_where_not_all_fits_patches_are_thinned_as_they_come() -> None:
    whole, thinned = fitted_in_parts(bank_size=12), fitted_in_parts(bank_size=12, memory="700KiB")
    bank = thinned.model.bank_MD
    assert len(bank) == 12
    seen = torch.cat([thinned.describe(pictures(4, seed=index))[0] for index in range(12)])
    radius = [float(torch.cdist(seen, model.bank_MD).amin(dim=1).max()) for model in (whole.model, thinned.model)]
    assert radius[1] < 1.5 * radius[0]
    per_image = seen.view(48, 64, -1)
    for row, image in zip(bank, thinned.model.image_M.tolist(), strict=True):
        assert float((per_image[image] - row).abs().sum(dim=1).min()) < 1e-3


def test_more_than_expected_is_thinned_or_goes_to_the_disk(capsys: pytest.CaptureFixture[str]) -> None:
    """A module that nobody told of twelve batches expects one, which fits."""
    thinned = fitted_in_parts(bank_size=12, memory="700KiB")
    told = capsys.readouterr().err
    assert "are as many as fit, and more came than expected" in told
    assert "3,072 patches were thinned to 12 as they came" in told
    assert len(thinned.model.bank_MD) == 12
    spilled, whole = fitted_in_parts(memory="700KiB", exact=True), fitted_in_parts()
    assert "more came than expected" in capsys.readouterr().err
    assert torch.equal(spilled.model.bank_MD, whole.model.bank_MD)
    assert torch.equal(spilled.model.image_M, whole.model.image_M)


def test_on_the_disk_the_bank_is_that_of_greedy_selection() -> None:
    whole, spilled = fitted_in_parts(), fitted_in_parts(memory="100KiB", exact=True)
    assert torch.equal(spilled.model.bank_MD, whole.model.bank_MD)
    assert torch.equal(spilled.model.image_M, whole.model.image_M)


def test_a_bank_that_no_memory_holds_is_refused_at_the_first_batch() -> None:
    module = PatchCore(ARGUMENTS, 1.0, memory="100KB").eval()
    with pytest.raises(DataError, match=r"Expected a bank that can be chosen within 0 MiB"):
        module.training_step(batch(pictures(4)), 0)
