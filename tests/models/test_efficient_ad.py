"""EfficientAD against anomalib's own on the same weights, and what Loupe adds: offline, any batch, any teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel as AnomalibModel
from anomalib.models.image.efficient_ad.torch_model import EfficientAdModelSize
from lightning import Trainer
from torch.utils.data import DataLoader

from datamodules.samples.batch import Sample, collate
from models.components.efficient_ad_model import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    EfficientAdModel,
    MapScale,
    hard_mean,
    vary,
)
from models.components.efficient_ad_nets import LoupeStudent, keep_variance
from models.components.penalty import PenaltyImages
from models.efficient_ad import EfficientAd, build_teacher
from models.errors import WeightsError
from models.features.backbones import UNTRAINED
from models.features.loupe_net import ConvUnit
from models.features.patch_description import PatchDescriptionMedium, PatchDescriptionSmall, fold_norms

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.samples.batch import InspectionBatch
    from models.components.efficient_ad_nets import StudentName

LOUPE = {"name": "loupe_net", "layers": [1, 2], "mean": [0.5] * 3, "std": [0.5] * 3, "weights": "bundled"}


def patch_teacher(name: str = "pdn_s", **changes: Any) -> dict[str, Any]:
    plain = {"layers": [1], "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "weights": UNTRAINED}
    return {"name": name, **plain, "options": {"out_channels": 8}} | changes


def patch_model(name: StudentName) -> EfficientAdModel:
    torch.manual_seed(0)
    return EfficientAdModel(build_teacher(patch_teacher(name), name), name, hard_quantile=0.999)


def as_anomalib(ours: EfficientAdModel, size: EfficientAdModelSize) -> AnomalibModel:
    """Build anomalib's model with our weights and statistics."""
    theirs = AnomalibModel(teacher_out_channels=8, model_size=size)
    theirs.teacher.load_state_dict(ours.teacher.network.state_dict())
    theirs.student.load_state_dict(ours.student.state_dict())
    autoencoder = ours.autoencoder
    layers = [*autoencoder.encoder, autoencoder.code, *autoencoder.decoder, autoencoder.refine, autoencoder.head]
    names = [f"encoder.enconv{n}" for n in range(1, 7)] + [f"decoder.deconv{n}" for n in range(1, 9)]
    for name, layer in zip(names, layers, strict=True):
        theirs.ae.get_submodule(name).load_state_dict(layer.state_dict())
    theirs.mean_std.update({"mean": ours.teacher_mean, "std": ours.teacher_std})
    scales = {"st": ours.student_scale, "ae": ours.autoencoder_scale}
    theirs.quantiles.update({f"qa_{key}": scale.low for key, scale in scales.items()})
    theirs.quantiles.update({f"qb_{key}": scale.high for key, scale in scales.items()})
    return theirs


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("pdn_s", EfficientAdModelSize.S),
        pytest.param("pdn_m", EfficientAdModelSize.M, marks=pytest.mark.slow),  # a minute of convolutions
    ],
)
def test_maps_scores_and_the_hard_loss_are_those_of_anomalib(name: StudentName, size: EfficientAdModelSize) -> None:
    ours = patch_model(name)
    ours.set_teacher_statistics(torch.randn(8), torch.rand(8) + 0.1)
    for scale in (ours.student_scale, ours.autoencoder_scale):
        scale.fit(torch.rand(1, 64, 64))
    theirs = as_anomalib(ours, size)
    image, penalty = torch.rand(2, 1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        given, wanted = ours.eval()(image), theirs.eval()(image)
        loss = ours.train().losses(image, penalty).student
        wanted_loss = theirs.train()(image, penalty)[0]
    torch.testing.assert_close(given.anomaly_map, wanted.anomaly_map.squeeze(1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(given.pred_score, wanted.pred_score.flatten(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss, wanted_loss)


def test_the_autoencoder_copes_with_other_sizes() -> None:
    torch.manual_seed(0)
    module = small().eval()
    for height, width in ((32, 32), (64, 96), (250, 300)):
        result = module.model(torch.rand(2, 3, height, width))
        assert result.anomaly_map.shape == (2, height, width)
        torch.testing.assert_close(result.pred_score, result.anomaly_map.amax(dim=(1, 2)))
    with pytest.raises(ValueError, match="at least 32 pixels a side, but found 24 x 64"):
        module(torch.rand(1, 3, 24, 64))


def test_the_hard_mean_is_that_of_the_paper_picture_by_picture() -> None:
    values = torch.rand(3, 5, 7, 11).double().square()
    for quantile in (0.0, 0.5, 0.99, 0.999):
        wanted = [picture[picture >= torch.quantile(picture, quantile)].mean() for picture in values]
        torch.testing.assert_close(hard_mean(values, quantile), torch.stack(wanted).mean())


def test_the_scale_puts_quantiles_where_the_paper_does() -> None:
    maps = torch.rand(4, 32, 32) * 7 + 3
    scale = MapScale()
    torch.testing.assert_close(scale(maps), maps)
    scale.fit(maps)
    scaled = scale(maps).flatten()
    assert float(scaled.quantile(0.9)) == pytest.approx(0, abs=1e-5)
    assert float(scaled.quantile(0.995)) == pytest.approx(0.1, abs=1e-5)
    scale.fit(torch.ones(1, 4, 4))  # nothing to scale by: still numbers
    assert torch.isfinite(scale(maps)).all()


def test_variation_keeps_the_picture_and_the_range() -> None:
    torch.manual_seed(0)
    image = torch.rand(3, 16, 16)
    many = torch.stack([vary(image) for _ in range(30)])
    assert many.min() >= 0
    assert many.max() <= 1
    assert len({float(one.sum()) for one in many}) == 30
    assert (many - image).abs().amax() < 0.25


def write_folder(folder: Path) -> Path:
    from torchvision.io import write_png  # noqa: PLC0415 - one test alone needs it

    folder.mkdir()
    for index in range(3):
        write_png(torch.full((3, 60, 80), 50 * (index + 1), dtype=torch.uint8), str(folder / f"{index}.png"))
    return folder


def test_penalty_pictures_come_from_any_folder_or_from_nowhere(tmp_path: Path) -> None:
    torch.manual_seed(0)
    drawn = PenaltyImages(None, 6, 32, 48, seed=0)
    assert torch.equal(drawn.pool_N3HW, PenaltyImages(None, 6, 32, 48, seed=0).pool_N3HW)
    assert not torch.equal(drawn.pool_N3HW, PenaltyImages(None, 6, 32, 48, seed=1).pool_N3HW)
    batch = drawn.draw(20)  # more than there are
    assert batch.shape == (20, 3, 32, 48)
    assert 0 <= float(batch.min()) < float(batch.max()) <= 1
    read = PenaltyImages(str(write_folder(tmp_path / "any")), 4, 32, 32, seed=0).draw(4)
    assert float(read.flatten(2).std(dim=2).max()) < 0.1  # plain images, as those of the folder


def loader(count: int, batch_size: int, **options: Any) -> DataLoader[InspectionBatch]:
    """Good images: stripes that stay, noise that changes."""
    stripes = torch.zeros(3, 64, 64)
    stripes[:, :, ::8] = 0.6
    generator = torch.Generator().manual_seed(3)
    noise = 0.1 * torch.rand(count, 3, 64, 64, generator=generator)
    samples = [Sample(0.2 + stripes + noise[n], f"{n}", f"{n}.png", 0) for n in range(count)]
    return DataLoader(samples, batch_size, collate_fn=collate, **options)  # type: ignore[arg-type]  # a list will do


def fit(module: EfficientAd, folder: Path, **options: Any) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        **options,
    )
    trainer.fit(module, loader(12, 4, shuffle=True), loader(3, 4))
    return trainer


def small(**changes: Any) -> EfficientAd:
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"teacher": LOUPE, "penalty_pictures": 8, "learning_rate": 1e-3} | changes
    return EfficientAd(**arguments)


def test_training_learns_good_pictures_and_not_a_defect(tmp_path: Path) -> None:
    module = small()
    before = {key: value.clone() for key, value in module.model.teacher.state_dict().items() if torch.is_tensor(value)}
    fit(module, tmp_path, max_epochs=12)
    good = next(iter(loader(2, 2))).image
    bad = good.clone()
    bad[:, :, 24:40, 24:40] = torch.rand(2, 3, 16, 16)
    with torch.inference_mode():
        prediction, defective = module.eval().model(good), module.model(bad)
    assert defective.pred_score.min() > 2 * prediction.pred_score.max()
    inside = defective.anomaly_map[:, 24:40, 24:40].mean()
    assert inside > 2 * defective.anomaly_map[:, :8].mean()
    assert all(torch.equal(before[key], module.model.teacher.state_dict()[key]) for key in before)


def test_statistics_are_those_of_all_training_pictures_and_the_scale_that_of_the_held_back(tmp_path: Path) -> None:
    module = small()
    trainer = fit(module, tmp_path, max_epochs=1)
    images = torch.cat([batch.image for batch in loader(12, 4)])
    taught = module.model.teach(images, (16, 16))
    torch.testing.assert_close(taught.mean(dim=(0, 2, 3)), torch.zeros(56), atol=1e-3, rtol=0)
    spread = taught.std(dim=(0, 2, 3))
    assert (spread < 1.001).all()
    assert spread.median() == pytest.approx(1, abs=1e-2)
    assert module._spared == {"0"}  # a tenth of twelve
    student, _ = module.eval().model.raw_maps(images[:1])
    assert float(module.model.student_scale.low) == pytest.approx(float(student.quantile(0.9)), rel=1e-4)
    assert float(module.model.student_scale.high) == pytest.approx(float(student.quantile(0.995)), rel=1e-4)
    held = {key: value.clone() for key, value in module.state_dict().items() if "scale" in key}
    again = small()
    again.load_state_dict(module.state_dict())
    trainer.validate(again, loader(3, 4), verbose=False)  # nothing is held back there: the scale stays
    assert all(torch.equal(held[key], value) for key, value in again.state_dict().items() if "scale" in key)


def test_a_batch_is_as_good_as_its_pictures_one_by_one() -> None:
    module = small()
    model = module.model.train()
    images, penalty = torch.rand(2, 3, 3, 64, 64)
    whole = model.losses(images, penalty).student
    parts = [model.losses(images[[n]], penalty[[n]]).student for n in range(3)]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


def test_the_rate_falls_for_the_last_steps(tmp_path: Path) -> None:
    trainer = fit(small(), tmp_path, max_steps=10, max_epochs=-1)
    assert trainer.global_step == 10
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-4)


def test_it_exports_with_any_batch() -> None:
    model = small().model.eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, (torch.rand(2, 3, 64, 64),), dynamic_shapes=({0: batch},)).module()
    for count in (1, 2, 5):
        image = torch.rand(count, 3, 64, 64)
        torch.testing.assert_close(exported(image).pred_score, model(image).pred_score)


def test_any_network_can_teach() -> None:
    resnet = {"name": "resnet18", "layers": [2, 3], "mean": [0.5] * 3, "std": [0.5] * 3, "weights": UNTRAINED}
    for teacher, student, channels in (
        (resnet, "loupe_net", 384),
        (resnet, "pdn_s", 384),
        (patch_teacher(), "loupe_net", 8),
    ):
        module = small(teacher=teacher, student=student)
        result = module.eval().model(torch.rand(1, 3, 64, 64))
        assert result.anomaly_map.shape == (1, 64, 64)
        assert module.embedding(torch.rand(2, 3, 64, 64)).shape == (2, channels)


@pytest.mark.parametrize("student", ["loupe_net", "pdn_s", "pdn_m"])
def test_half_a_student_gives_half_of_what_the_whole_gives_and_learns_by_it(student: StudentName) -> None:
    torch.manual_seed(0)
    model = EfficientAdModel(build_teacher(patch_teacher(), student), student, hard_quantile=0.999)
    image = torch.rand(1, 3, 64, 64)
    whole, halves = model.study(image), [model.study_half(image, index) for index in (0, 1)]
    for wanted, half in zip(whole, halves, strict=True):
        torch.testing.assert_close(half, wanted)
    learners = list(model.student.parameters())
    for wanted, half in zip(whole, halves, strict=True):
        slow, fast = (torch.autograd.grad(one.square().mean(), learners, retain_graph=True) for one in (wanted, half))
        torch.testing.assert_close(fast, slow, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("network", [PatchDescriptionSmall, PatchDescriptionMedium])
def test_batch_norm_folds_into_the_convolutions(
    network: type[PatchDescriptionSmall | PatchDescriptionMedium],
) -> None:
    torch.manual_seed(0)
    net, plain = network(8, batch_norm=True), network(8)
    image = torch.rand(4, 3, 48, 48)
    for _ in range(3):
        net(2 * image - 1)  # norms follow what they see
    plain.load_state_dict(fold_norms(net))
    torch.testing.assert_close(plain(image), net.eval()(image), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("groups", [1, 32])
def test_a_drawn_convolution_keeps_the_variance(bounded: bool, groups: int) -> None:
    torch.manual_seed(0)
    unit = ConvUnit(32, 32, 3, groups=groups, bounded=bounded)
    noise = torch.randn(4, 32, 40, 40)
    x_BCHW = noise.relu() * 2**0.5 if bounded else noise  # what a ReLU hands on has a mean square of 1
    keep_variance(unit)
    with torch.no_grad():
        drawn = unit[0](x_BCHW)[..., 1:-1, 1:-1]  # away from the padding
    assert float(drawn.square().mean()) == pytest.approx(2.0 if bounded else 1.0, rel=0.2)


def test_an_untrained_student_sees_differences_in_the_picture() -> None:
    torch.manual_seed(0)
    student = LoupeStudent(16)
    with torch.no_grad():
        (map_BChw,) = student(torch.randn(2, 3, 128, 128))
    assert float(map_BChw.var(dim=(0, 2, 3)).mean()) > 0.05  # with torch's own draw: below 0.001


def test_a_published_teacher_fits(tmp_path: Path) -> None:
    """Files of the authors and of anomalib are state dicts with these names."""
    torch.manual_seed(5)
    theirs = AnomalibModel().teacher
    torch.save(theirs.state_dict(), tmp_path / "pretrained_teacher_small.pth")
    path = str(tmp_path / "pretrained_teacher_small.pth")
    module = small(teacher=patch_teacher(weights=path, options={}), student="pdn_s")
    image = torch.rand(1, 3, 128, 128)
    torch.testing.assert_close(module.model.join(image), theirs(image))
    assert len(module.origin()["sha256"]) == 64


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"hard_quantile": 1.0}, ValueError, "model.hard_quantile"),
        ({"penalty_pictures": 0}, ValueError, "model.penalty_pictures"),
        (
            {"teacher": patch_teacher("pdn_m", weights="hub")},
            WeightsError,
            r"loupe distill student=pdn_m.*model\.teacher\.weights",
        ),
        ({"teacher": patch_teacher(weights="/none.pth")}, WeightsError, r"none\.pth, but found none"),
        ({"teacher": patch_teacher(layers=[2])}, WeightsError, r"to be \[1\], but found \[2\]"),
    ],
)
def test_wrong_arguments_are_named(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small(**changes)


def test_patch_descriptions_lack_their_border_or_pad_it() -> None:
    image = torch.rand(1, 3, 96, 128)
    shapes = [PatchDescriptionSmall(4, padding=padding)(image)[0].shape[-2:] for padding in (False, True)]
    assert shapes == [(96 // 4 - 8, 128 // 4 - 8), (96 // 4, 128 // 4)]
    assert sum(p.numel() for p in PatchDescriptionSmall().parameters()) == pytest.approx(2.7e6, rel=0.02)
