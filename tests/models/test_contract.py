"""What every model keeps, whatever it is: found in ``configs/model``, so that a new one is tested by existing.

Each is trained once, through the pieces of ``loupe train``, on a few small drawn images.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from lightning import seed_everything
from omegaconf import OmegaConf

from callbacks.decisions.calibration import calibration_of
from datamodules.errors import DataError
from datamodules.samples.detections import Instance
from datamodules.table import DEFECTIVE, GOOD, TEST, TRAIN
from models.base import Detects
from tools.configuring.config import compose_config, groups
from tools.errors import ConfigError
from tools.runs.checkpoint import build_module, read_checkpoint, restore
from tools.runs.run_folder import RunFolder
from tools.runs.training import _fit, check_size, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig
    from torch import Tensor

    from datamodules.base import InspectionDataModule
    from datamodules.samples.batch import InspectionBatch
    from models.base import InspectionModel

SLOW = {"efficient_ad_s", "efficient_ad_m"}  # the paper's large networks; efficient_ad is the same method
LONG = {"dinomaly", "do2mr", "lei", "do2mr_lei", "hybrid", "metallography"}  # seconds each, before anything is asked
MARKS = {name: [pytest.mark.slow if name in SLOW else pytest.mark.procedure] for name in SLOW | LONG}
MODELS = [pytest.param(name, marks=MARKS.get(name, [])) for name in groups()["model"]]
DATA = (
    *(
        "data=synthetic",
        "data.domain=oring",
        "data.size=64",
        "data.image_size=[64,64]",
        "data.num_workers=0",
        "data.batch_size=6",
    ),
    *("data.good=24", "data.defective=12", "trainer=cpu", "trainer.max_epochs=1", "trainer.max_steps=4"),
)
NEEDS = {  # what a model needs beside, to be small and to need no file
    "dinomaly": ("backbone=dinov2_small", "backbone.layers=[0,1]", "backbone.weights=none", "data.image_size=[56,56]"),
    "mask_rcnn": ("model.limit=5",),  # untrained, it finds as many instances as it may
    "hybrid": ("model.inspection.limit=5",),
    "efficient_ad_s": ("model.teacher.weights=none",),
    "efficient_ad_m": ("model.teacher.weights=none",),
    "metallography": ("data.fit=squash",),  # else images come one at a time, each at its own size
}


class Fitted(NamedTuple):
    """A model after training, what it came from, and its scores and maps of a batch."""

    config: DictConfig
    module: InspectionModel
    datamodule: InspectionDataModule
    folder: RunFolder
    before: dict[str, Any]
    batch: InspectionBatch
    seen: tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


def compose(name: str, root: Path, *more: str) -> DictConfig:
    needs = [*NEEDS.get(name, ()), *(chain_of(root) if name == "metallography" else ())]
    return compose_config("train", [f"model={name}", *DATA, *needs, f"data.root={root}", *more])


@cache
def chain_of(root: Path) -> tuple[str, ...]:
    """Train a run that marks pixels, for both parts of a chain."""
    run = fit(compose("unet", root, "model.width=4", "model.depth=2", f"out={root / 'parts'}")).folder.best_checkpoint
    return f"model.inclusions={run}", f"model.boundaries={run}"


def fit(config: DictConfig) -> Fitted:
    """Train as ``loupe train`` does, up to the best checkpoint."""
    module, datamodule = prepare(config)
    before = {key: value.clone() for key, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    folder = RunFolder.create(config)
    seed_everything(config.seed, workers=True, verbose=False)
    _fit(folder, config, datamodule, module, ())
    module.load_state_dict(read_checkpoint(folder.best_checkpoint).state)
    batch = next(iter(datamodule.test_dataloader()))
    module.eval()
    return Fitted(config, module, datamodule, folder, before, batch, look(module, batch.image))


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Fitted:
    return fit(compose(request.param, drawn, f"out={tmp_path_factory.mktemp('runs')}"))


@torch.inference_mode()
def look(module: InspectionModel, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
    """Return raw scores and maps."""
    prediction, _ = module.predict(image_B3HW)
    assert prediction.pred_score is not None
    assert prediction.anomaly_map is not None
    return prediction.pred_score, prediction.anomaly_map


def test_raw_predictions_have_their_fields_and_nothing_is_decided(fitted: Fitted) -> None:
    image = fitted.batch.image
    with torch.inference_mode():
        prediction, detections = fitted.module.predict(image)
    assert prediction.pred_label is None
    assert prediction.pred_mask is None
    assert prediction.pred_score is not None
    assert prediction.anomaly_map is not None
    assert prediction.pred_score.shape == (len(image),)
    assert prediction.anomaly_map.shape == (len(image), *image.shape[-2:])
    for value in (prediction.pred_score, prediction.anomaly_map):
        assert value.dtype == torch.float32
        assert value.isfinite().all()
    assert len(set(prediction.pred_score.tolist())) > 1
    assert (detections is not None) == isinstance(fitted.module.model, Detects)
    for found in detections or []:
        assert all(isinstance(one, Instance) for one in found)


def test_decisions_follow_thresholds(fitted: Fitted) -> None:
    with torch.inference_mode():
        decided = fitted.module(fitted.batch.image)
    score, anomaly_map = fitted.seen
    assert decided.pred_label.dtype == decided.pred_mask.dtype == torch.bool
    calibration = calibration_of(fitted.module)
    assert torch.equal(decided.pred_label, score >= calibration.image_threshold)
    assert torch.equal(decided.pred_mask, anomaly_map >= calibration.pixel_threshold)


def test_training_changes_it(fitted: Fitted) -> None:
    after = fitted.module.state_dict()
    if fitted.config.choices.model == "metallography":
        pytest.skip("its parts were trained before")
    if not any(key.startswith("model.") for key in after):
        pytest.skip("it keeps nothing of what it was trained on")
    changed = [key for key, value in fitted.before.items() if not torch.equal(value, after[key])]
    assert any(key.startswith("model.") for key in changed)


def test_a_checkpoint_alone_gives_the_same_scores(fitted: Fitted) -> None:
    """``read_checkpoint`` loads with ``weights_only=True``."""
    again = restore(read_checkpoint(fitted.folder.best_checkpoint)).eval()
    for found, wanted in zip(look(again, fitted.batch.image), fitted.seen, strict=True):
        assert torch.equal(found, wanted)
    assert again.origin() == fitted.module.origin()


@pytest.mark.procedure
def test_the_same_seed_gives_the_same_scores(fitted: Fitted, tmp_path: Path) -> None:
    config = OmegaConf.merge(fitted.config, {"out": str(tmp_path), "data": {"root": fitted.datamodule.root}})
    again = fit(config)  # type: ignore[arg-type]  # two dictionaries merge to one
    for found, wanted in zip(look(again.module, fitted.batch.image), fitted.seen, strict=True):
        assert torch.equal(found, wanted)


def test_a_picture_is_judged_alike_alone_and_in_a_batch(fitted: Fitted) -> None:
    """Within a thousandth: convolutions of other shapes add in another order."""
    image, (score, anomaly_map) = fitted.batch.image, fitted.seen
    for index in range(4):
        score_1, map_1 = look(fitted.module, image[index : index + 1])
        torch.testing.assert_close(score_1[0], score[index], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(map_1[0], anomaly_map[index], rtol=1e-3, atol=1e-3)


def test_half_precision_keeps_scores(fitted: Fitted) -> None:
    """bfloat16 keeps three digits: scores stay within a tenth of their spread, or three hundredths of their size.

    Processors round at other places of a layer: the U-Net's scores move by 2.4 % of their size on one without AMX.
    """
    score, _ = fitted.seen
    with torch.autocast("cpu", torch.bfloat16):
        half_score, half_map = look(fitted.module, fitted.batch.image)
    assert half_score.dtype == half_map.dtype == torch.float32
    # Untrained, EfficientAD-M differs from its teacher by hardly more than the rounding of either: scores move by 0.83
    # of their spread on a processor that computes in bfloat16 by itself.
    share = 1.0 if fitted.config.choices.model == "efficient_ad_m" else 0.1
    tolerance = max(share * float(score.max() - score.min()), 0.03 * float(score.abs().max()))
    difference = (half_score - score).abs()
    # Whether a detector keeps the only box of an image is a matter of yes or no: most scores stay.
    worst = difference.median() if isinstance(fitted.module.model, Detects) else difference.max()
    assert float(worst) <= tolerance


def test_pictures_of_other_shapes_are_refused(fitted: Fitted) -> None:
    image = fitted.batch.image
    for wrong in (image[:, :1], image.repeat(1, 2, 1, 1), image[0]):
        with pytest.raises(ValueError, match=r"Expected pictures \(B, 3, H, W\), but found"):
            fitted.module(wrong)
    if (multiple := fitted.module.size_multiple) > 1:
        with pytest.raises(ValueError, match=f"multiples of {multiple}, but found"):
            fitted.module(image[:, :, :-1])
        other = compose(fitted.config.choices.model, fitted.folder.path, f"data.image_size=[{multiple + 1},{multiple}]")
        with pytest.raises(ConfigError, match=rf"set data\.image_size=\[{multiple},{multiple}\]"):
            prepare(other)
    else:
        check_size(fitted.module, fitted.datamodule)


def test_data_without_what_it_learns_from_is_refused(fitted: Fitted) -> None:
    module, samples = fitted.module, fitted.datamodule.samples
    missing = GOOD if module.supervision == "good" else DEFECTIVE
    fitted.datamodule.samples = samples[samples["label_index"] != missing]
    try:
        with pytest.raises(DataError, match=rf"Expected .*pictures.* in the {TRAIN} split"):
            fitted.datamodule.check_training(module.supervision)
    finally:
        fitted.datamodule.samples = samples
    assert len(fitted.datamodule.split_samples(TEST))


def test_embeddings_are_one_vector_per_picture(fitted: Fitted) -> None:
    with torch.inference_mode():
        embedding = fitted.module.embedding(fitted.batch.image)
    if embedding is not None:
        assert embedding.ndim == 2
        assert len(embedding) == len(fitted.batch.image)
        assert embedding.isfinite().all()


def test_arguments_are_plain_values(fitted: Fitted) -> None:
    """Whatever a config cannot say, a checkpoint cannot keep."""
    plain: Any = OmegaConf.to_container(fitted.config, resolve=True)
    again: Any = OmegaConf.create(plain)
    assert build_module(again).state_dict().keys() == fitted.module.state_dict().keys()


@pytest.mark.slow
def test_it_exports_with_any_batch(fitted: Fitted) -> None:
    if fitted.module.not_exportable:
        pytest.skip(fitted.module.not_exportable)
    image = fitted.batch.image.as_subclass(torch.Tensor)
    batch = torch.export.Dim("batch", min=1, max=64)
    with torch.no_grad():
        program = torch.export.export(fitted.module, (image[:2],), dynamic_shapes=({0: batch},)).module()
    for count in (1, 3):
        found = program(image[:count])
        score, anomaly_map = look(fitted.module, image[:count])
        torch.testing.assert_close(found.pred_score, score, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(found.anomaly_map, anomaly_map, rtol=1e-3, atol=1e-3)
