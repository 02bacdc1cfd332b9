"""From unlabelled to supervised: what the labelling page returns feeds supervised models with one override."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datamodules.print3d import Print3dDataModule
from tools import train as train_verb
from tools.labelling.entries import Mark
from tools.labelling.gathering import whole_images
from tools.labelling.items import gather, item_of_row
from tools.labelling.masks import MASKS, Masks
from tools.labelling.returning import return_labels

from .conftest import open_desk

if TYPE_CHECKING:
    import numpy.typing as npt

SIZE = 48
LAYERS = 64
RUN = (
    *("data=print3d", "data.image_size=[48,48]", "data.num_workers=0", "trainer=cpu", "report=false", "id=one"),
    *("callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0", "callbacks.epoch_pictures.every=0"),
)


def drawn(number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Draw a layer and its mask; every third one has a bright spot."""
    rng = np.random.default_rng(number)
    values = rng.normal(100, 6, (SIZE, SIZE)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    if number % 3 == 0:
        place = (int(rng.integers(10, 38)), int(rng.integers(10, 38)))
        cv2.circle(values, place, 6, 220, -1)
        cv2.circle(mask, place, 6, 255, -1)
    return values, mask


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers that nobody labelled but the labelling page."""
    root, out = tmp_path_factory.mktemp("layers"), tmp_path_factory.mktemp("labels")
    for number in range(LAYERS):
        path = root / f"job_{number // 4}" / f"layer_{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(path), drawn(number)[0])
    table, _ = Print3dDataModule(root=str(root)).listing()
    assert set(table["label_index"]) == {-1}
    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    desk = open_desk(gather(whole_images([item_of_row(row, str(row["name"])) for row in rows])), out)
    masks = Masks(out / MASKS)
    for name in table["name"]:
        _, mask = drawn(int(Path(name).stem[-3:]))
        kept, buffer = "", io.BytesIO()
        if mask.any():
            Image.fromarray(mask).save(buffer, "PNG")
            kept = masks.keep(buffer.getvalue(), mask.shape[:2])
        desk.say(f"{name} said", "Ada", name, Mark("defective" if kept else "good", "spatter" if kept else "", kept))
    found = return_labels(desk, masks, "print3d", root, out)
    assert (found.labels, found.masks) == (LAYERS, len(range(0, LAYERS, 3)))
    return root


@pytest.mark.parametrize("model", ["patch_classifier", "unet"])
def test_one_override_makes_a_supervised_run_of_labels(model: str, returned: Path, tmp_path: Path) -> None:
    quick = ["trainer.max_epochs=12"] if model == "unet" else ["trainer.max_epochs=3"]
    words = [*RUN, f"model={model}", *quick, f"data.root={returned}", f"out={tmp_path}"]
    run = train_verb.run(words, show=False)
    assert run is not None
    samples = pd.read_csv(run / "samples.csv", keep_default_na=False)
    learnt = samples[samples["split"] == "train"]
    assert set(learnt["label_index"]) == {0, 1}
    assert (learnt["mask_path"] != "").sum() == (learnt["label_index"] == 1).sum()
    test = json.loads((run / "metrics.json").read_text())["test"]
    assert test["image_auroc"]["value"] > 0.95
