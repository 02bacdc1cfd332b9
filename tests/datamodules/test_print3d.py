"""Layers of prints: classes, builds, layer groups, neighbours, and what is unlabelled."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from datamodules.errors import DataError
from datamodules.layer_features import layer_features
from datamodules.layer_groups import find_groups
from datamodules.print3d import Print3dDataModule
from datamodules.table import TEST, TRAIN, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.files.images import Array


def draw_layer(seed: int, look: int = 0) -> Array:
    """Draw powder of one of three looks: plain, striped, or with a bright part; a layer's number is its grey."""
    rng = np.random.default_rng(seed)
    layer = np.full((32, 32), 60.0 + 30 * look)
    if look == 1:
        layer[:, ::4] += 60
    if look == 2:
        layer[8:24, 8:24] += 80
    return (layer + rng.normal(0, 4, layer.shape)).clip(0, 255).astype(np.uint8)


def write(path: Path, values: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Class folders with spaces in their names, without builds, every twentieth layer."""
    root = tmp_path / "classes"
    for number in range(24):
        write(root / "No_Defect" / f"converted_ {number * 20:04}.PNG", draw_layer(number))
    for number in range(12):
        write(root / "Powder Uneven, wet" / f"converted_ {number * 20:04}.png", draw_layer(number, 1))
    return root


@pytest.fixture
def builds(tmp_path: Path) -> Path:
    """Six builds of six unlabelled layers, a folder of good ones and one of defective ones, of two more builds each."""
    root = tmp_path / "builds"
    for build in range(10):
        folder = "" if build < 6 else "holdout" if build < 8 else "defective"
        for layer in range(6):
            write(root / folder / f"build_{build}" / f"layer{layer:03}.png", draw_layer(build * 10 + layer))
    return root


def module(root: Path, **changes: object) -> Print3dDataModule:
    options: dict[str, object] = {"image_size": (32, 32), "num_workers": 0, "batch_size": 6, "contamination": 0.01}
    return Print3dDataModule(root=str(root), **(options | changes))  # type: ignore[arg-type]  # of many types


def test_class_folders(classes: Path) -> None:
    data = module(classes)
    data.setup()
    data.check_training()
    table = data.samples.set_index("name")
    assert table["label_index"].value_counts().to_dict() == {0: 24, 1: 12}
    row = table.loc["Powder Uneven, wet/converted_ 0100.png"]
    assert (row["layer"], row["defect"], row["group"]) == (100, "Powder Uneven, wet", "Powder Uneven, wet/run 80")
    assert table.loc["No_Defect/converted_ 0060.PNG", "group"] == "No_Defect/run 0"
    assert len(table.groupby(["group", "split"])) == table["group"].nunique() == 9


def test_builds_stay_whole_and_unlabelled_layers_are_trained_on(builds: Path) -> None:
    data = module(builds, defective=("defective",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.setup()
    top = data.samples["name"].str.split("/").str[0]
    assert data.samples.groupby(top)["label_index"].unique().map(list).to_dict() == {
        "defective": [1],
        "holdout": [0],
        **{f"build_{build}": [-1] for build in range(6)},
    }
    assert len(data.samples.groupby(["group", "split"])) == data.samples["group"].nunique() == 10


def test_without_a_good_folder_on_top_other_folders_are_builds(builds: Path) -> None:
    (builds / "holdout").rename(builds / "seen")
    (builds / "labels.csv").write_text("image,label\nseen\\build_6/layer000.png,good\n")
    data = module(builds, build_pattern=r"(build_\d+)", calibration_share=0.3, contamination=None)
    data.setup()
    (note,) = data.notes()
    assert re.search(r"^\d+ of \d+ training pictures are unlabelled .* data\.contamination=SHARE\.$", note)
    data.contamination = 0.01
    assert data.notes()[0].endswith("Expected: 0.01 of them (data.contamination).")
    table = data.samples.set_index("name")
    assert table["label_index"].value_counts().to_dict() == {-1: 47, 1: 12, 0: 1}
    row = table.loc["seen/build_6/layer000.png"]
    assert (row["label_index"], row["group"], row["layer"]) == (0, "build_6", 0)
    assert table["group"].nunique() == 10
    assert len(table.groupby(["group", "split"])) == 10
    assert (data.split_samples(TRAIN)["label_index"] == -1).any()


def test_machine_job_build_and_layer_are_kept(tmp_path: Path) -> None:
    for place in ("machine_1/007/layer_12", "Printer B/job_0815/layer_13", "build_3/layer_20"):
        write(tmp_path / f"{place}.png", draw_layer(len(place)))
    table = module(tmp_path).listing()[0].set_index("layer")
    found = {layer: tuple(table.loc[layer, ["machine", "job", "build"]]) for layer in (12, 13, 20)}
    assert found == {
        12: ("machine_1", "007", "machine_1/007"),
        13: ("Printer B", "job_0815", "Printer B/job_0815"),
        20: ("", "build_3", "build_3"),
    }
    table.reset_index().to_csv(tmp_path / "samples.csv", index=False)
    assert "007" in set(read_table(tmp_path / "samples.csv")["job"])


def test_neighbours_become_channels(builds: Path) -> None:
    data = module(builds, neighbours=True, build_pattern=r"(build_\d+)")
    data.setup()
    rows = data.samples[data.samples["group"] == "build_3"].sort_values("layer")
    data.samples = rows.assign(split=TEST)
    batch = next(iter(data.test_dataloader()))
    layers = [draw_layer(30 + layer) / 255 for layer in range(6)]
    for layer in range(6):
        expected = [layers[max(layer - 1, 0)], layers[layer], layers[min(layer + 1, 5)]]
        np.testing.assert_allclose(batch.image[layer].numpy(), np.stack(expected), atol=1e-6)
    assert rows["sha256"].is_unique


def test_neighbours_keep_to_the_usual_step(classes: Path) -> None:
    (classes / "No_Defect" / "converted_ 0060.PNG").unlink()
    rows, _ = module(classes, neighbours=True).sample_table()
    table = rows.set_index("name")
    beside = table.loc["No_Defect/converted_ 0040.PNG"]
    assert beside["before_path"].endswith("converted_ 0020.PNG")
    assert beside["after_path"] == beside["image_path"]


def test_neighbours_of_another_size_are_left_out(builds: Path) -> None:
    write(builds / "build_2" / "layer003.png", np.zeros((30, 32), np.uint8))
    data = module(builds, neighbours=True)
    data.setup()
    bad = data.excluded[data.excluded["problem"].str.startswith("differs from its neighbours")]
    assert sorted(path[-12:-4] for path in bad["path"]) == ["layer002", "layer003", "layer004"]


def test_layer_groups_are_found_and_counted() -> None:
    looks = np.arange(60) % 3
    features = np.stack([layer_features(draw_layer(seed, int(look))) for seed, look in enumerate(looks)])
    fitted = np.ones(60, np.bool_)
    for count in (None, 3):
        found = find_groups(features, fitted, count, seed=0).group_N
        assert adjusted_rand_score(looks, found) == 1
    assert find_groups(features, fitted, None, seed=0).group_N.max() == 2
    np.testing.assert_array_equal(found, looks)  # numbered from dark to bright


def test_layers_of_one_look_are_one_group() -> None:
    features = np.stack([layer_features(draw_layer(seed)) for seed in range(40)])
    assert find_groups(features, np.ones(40, np.bool_), None, seed=0).group_N.max() == 0


def test_defective_layers_do_not_decide_the_groups() -> None:
    features = np.stack([layer_features(draw_layer(seed, 2 if seed >= 30 else 0)) for seed in range(40)])
    assert find_groups(features, np.arange(40) < 30, None, seed=0).group_N.max() == 0


def test_features_do_not_depend_on_depth_or_colour() -> None:
    layer = draw_layer(4, 2)
    expected = layer_features(layer)
    for other in (layer.astype(np.uint16) * np.uint16(257), np.repeat(layer[..., None], 3, axis=2)):
        np.testing.assert_allclose(layer_features(other), expected, atol=1e-5)


def test_kinds_are_given_or_found(classes: Path) -> None:
    given = module(classes, kind_pattern=r"converted_ (\d)")
    given.setup()
    assert set(given.samples["kind"]) == {"0"}
    for number in range(12):
        write(classes / "No_Defect" / f"converted_ {600 + number * 20:04}.png", draw_layer(number, 2))
    found = module(classes, layer_groups=None)
    found.setup()
    assert found.samples[found.samples["label_index"] == 0].groupby("kind").size().to_dict() == {
        "layers_0": 24,
        "layers_1": 12,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_pattern": "("}, r"Expected data\.layer_pattern to be a regular expression"),
        ({"kind_pattern": "x"}, r"Expected data\.kind_pattern to have a group"),
        ({"run_length": 0}, r"Expected data\.run_length"),
        ({"layer_groups": 0}, r"Expected data\.layer_groups"),
        ({"contamination": 1.0}, r"Expected data\.contamination"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        module(tmp_path, **changes)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Expected pictures of layers in folders"):
        module(tmp_path).setup()


def test_real_layers_load(shared_data: Path) -> None:
    data = module(shared_data / "print3d")
    data.setup()
    data.check_training()
    counts = data.samples.groupby("defect").size().to_dict()
    folders = {"Deformation_With_Scratch": 33, "Powder Uneven_With_Scratch": 45, "Powder_Uneven": 41}
    assert counts == {"": 16} | folders
    assert data.excluded.empty
    assert len(data.samples.groupby(["group", "split"])) == data.samples["group"].nunique()
