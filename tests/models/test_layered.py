"""The layered sorter as a model: cells within their arrays, alone, with labels and without, and in bundles."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.meta_atom_array import Layout, draw_array, scatter
from models.layered import Layered, truth_of
from models.sorter.gathering import Cell, array_of, arrays_to_keep, evenly, gather
from models.sorter.judging import MIN_CELLS
from models.sorter.learning import best_limit, f1_by_class, learn_factors
from tools.bundles.composing import composition_of
from tools.runner.layered import judge_layered
from tools.train import main

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = Layout(rows=6, columns=8, pitch=40)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three whole arrays with labels of all cells."""
    root = tmp_path_factory.mktemp("arrays")
    lines = ["array,row,col,class"]
    for group in range(3):
        identity = Identity(21, "meta_atom", group, 0)
        flaws = scatter(identity, LAYOUT, 0.25)
        drawing = draw_array(identity, LAYOUT, flaws)
        assert cv2.imwrite(str(root / f"{drawing.group}.png"), drawing.image[..., ::-1])
        for row, column in np.ndindex(LAYOUT.rows, LAYOUT.columns):
            flaw = flaws.get((row + 1, column + 1))
            lines.append(f"{drawing.group},{row + 1},{column + 1},{flaw.defect if flaw else 'good'}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def trained(arrays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    words = ["data=meta_atom", f"data.root={arrays}", "data.grid=[6,8]", "model=layered", "data.image_size=[48,48]"]
    words += ["data.defective_classes=[missing,collapsed,stitching,irregular]", "data.left_out_classes=[]"]
    # With a worker: the cells meet in a loader of their own, for workers that stay alive serve one reader.
    words += ["model.cell_size=48", "trainer=cpu", "data.num_workers=1", "report=false", f"out={out}", "id=one"]
    assert main(words) == 0
    return out / "meta_atom-layered" / "one"


def test_a_run_says_how_well_classes_are_told_apart(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    said = metrics["classes"]
    table = [(truth, found, count) for truth, row in said["confusion"].items() for found, count in row.items()]
    truth = [name for name, _, count in table for _ in range(count)]
    found = [name for _, name, count in table for _ in range(count)]
    assert len(truth) == LAYOUT.rows * LAYOUT.columns
    names = sorted({*truth, *found})
    oracle = dict(zip(names, f1_score(truth, found, labels=names, average=None), strict=True))
    assert said["f1"] == pytest.approx(oracle)
    assert said["macro_f1"] == pytest.approx(np.mean(list(oracle.values())))
    assert said["macro_f1"] >= 0.8
    assert metrics["test"]["image_auroc"]["value"] >= 0.99


def test_without_labels_the_limit_of_the_layers_is_the_threshold(arrays: Path, tmp_path: Path) -> None:
    for path in arrays.glob("*.png"):
        shutil.copy(path, tmp_path / path.name)
    words = ["data=meta_atom", f"data.root={tmp_path}", "data.grid=[6,8]", "model=layered", "data.image_size=[48,48]"]
    words += ["model.cell_size=48", 'data.good_classes=["",good]', "data.unknown_classes=[unknown]", "report=false"]
    words += ["threshold=fixed", "threshold.policy.value=1", "trainer=cpu", "data.num_workers=0"]
    assert main([*words, f"out={tmp_path / 'runs'}", "id=one"]) == 0
    table = pd.read_csv(tmp_path / "runs" / "meta_atom-layered" / "one" / "predictions.csv")
    labels = pd.read_csv(arrays / "labels.csv")
    wanted = {f"{row['array']}_{row['row']},{row['col']}": row["class"] != "good" for row in labels.to_dict("records")}
    found = dict(zip(table["name"], table["verdict"] == "defective", strict=True))
    assert len(found) == LAYOUT.rows * LAYOUT.columns
    assert sum(found[name] != wanted[name] for name in found) <= 2


def test_scores_are_above_the_threshold_where_cells_are_defective(trained: Path) -> None:
    table = pd.read_csv(trained / "predictions.csv")
    assert (table["label_index"] == (table["verdict"] == "defective")).mean() >= 0.95


def cells(group: int, seed: int = 22) -> list[Cell]:
    """Return the cells of a perfect array, in a random order."""
    drawing = draw_array(Identity(seed, "meta_atom", group, 0), LAYOUT)
    grey = drawing.image.mean(axis=2).astype(np.float32) / 255
    found = []
    for index, (x, y) in enumerate(drawing.centre_N2):
        top, left = round(y - 24), round(x - 24)
        row, column = divmod(index, LAYOUT.columns)
        cell = grey[top : top + 48, left : left + 48]
        found.append(Cell(f"folder/a{group}_{row + 1},{column + 1}.png", "any", cell))
    return [found[index] for index in np.random.default_rng(group).permutation(len(found))]


def test_cells_find_their_arrays_and_places_by_name() -> None:
    one, two = gather([*cells(0), *cells(1)])
    assert (one.cells.name, two.cells.name) == ("folder/a0", "folder/a1")
    assert one.cells.shape == (LAYOUT.rows, LAYOUT.columns)
    assert one.name_N[LAYOUT.columns] == "folder/a0_2,1.png"
    grey_of = {cell.name: cell.grey_SS for cell in cells(0)}
    for name, grey in zip(one.name_N, one.cells.grey_NSS[one.cells.present], strict=True):
        np.testing.assert_array_equal(grey, grey_of[name])


def test_cells_of_small_arrays_and_without_places_make_one() -> None:
    few = [Cell(f"x{index}", f"lot {index % 3}", cell.grey_SS) for index, cell in enumerate(cells(0)[:12])]
    (only,) = gather(few)
    assert sorted(only.name_N) == sorted(cell.name for cell in few)
    assert only.cells.present.sum() == 12


@pytest.mark.parametrize("wanted", [1, 2, 4, 9])
@pytest.mark.parametrize("seed", range(6))
def test_the_cells_that_standards_need_are_known_by_their_names(seed: int, wanted: int) -> None:
    """Keeping these alone gives the arrays that would have been chosen of all."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 15, 7)
    grey = np.zeros((24, 24), np.float32)
    every = [
        Cell(f"a{array}_1,{column + 1}.png", "any", grey) for array, size in enumerate(sizes) for column in range(size)
    ]
    every = [every[index] for index in rng.permutation(len(every))]
    kept = arrays_to_keep([(cell.name, cell.group) for cell in every], wanted)

    def chosen(given: list[Cell]) -> list[list[str]]:
        arrays = [one for one in gather(given) if len(one.name_N) >= MIN_CELLS]
        return [arrays[place].name_N for place in evenly(len(arrays), wanted)]

    few = [cell for cell in every if array_of(cell.name, cell.group) in kept]
    assert chosen(few) == chosen(every)
    assert len(few) < len(every) or wanted > 2
    assert arrays_to_keep([("x", "a")], wanted) == set()


def test_a_run_keeps_the_cells_of_its_standards_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, states, fit = [], [], Layered.fit

    def counted(model: Layered) -> None:
        counts.append(len(model._seen))
        fit(model)

    monkeypatch.setattr(Layered, "fit", counted)
    for limit in ("1.0", "100"):  # with a number of batches nobody knows which cells will come: all are kept
        words = ["data=drawn_arrays", "data.grid=[5,6]", "data.arrays=2", "data.clean=9", "data.test_share=0.1"]
        words += [
            "data.share=0.3",
            "data.pitch=32",
            "model=layered",
            "model.standards=1",
            "trainer=cpu",
            "data.num_workers=0",
        ]
        words += ["report=false", f"+trainer.limit_train_batches={limit}", f"out={tmp_path}", "name=a", f"id={limit}"]
        assert main(words) == 0
        states.append(torch.load(tmp_path / "a" / limit / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"])
    assert max(counts) > min(count for count in counts if count) > 0
    assert counts[0] == 30
    for name, value in states[0].items():
        assert not isinstance(value, torch.Tensor) or torch.equal(value, states[1][name])


def test_the_runner_judges_single_cells_as_the_model_does() -> None:
    model = Layered(cell_size=48, standards=2)
    model._seen = [*cells(0), *cells(1), *cells(2)]
    model.fit()
    image = torch.from_numpy(np.stack([cell.grey_SS for cell in cells(1)])).unsqueeze(1).repeat(1, 3, 1, 1)
    expected = model.model.eval()(image)
    rules = json.loads(json.dumps(composition_of(model, (48, 48))))
    found = judge_layered(rules, image.numpy())
    np.testing.assert_array_equal(found.score_B, expected.pred_score.numpy())
    np.testing.assert_array_equal(found.map_BHW, expected.anomaly_map.numpy())
    assert len(rules["references"]) == 2


def test_a_dark_disc_stands_out_from_the_standards() -> None:
    model = Layered(cell_size=48)
    model._seen = cells(4)
    model.fit()
    image = torch.from_numpy(np.stack([cell.grey_SS for cell in cells(4)])).unsqueeze(1).repeat(1, 3, 1, 1)
    good = model.model(image).pred_score
    y, x = np.mgrid[:48, :48]
    image[:, :, (np.hypot(y - 24, x - 24) < 9)] *= 0.4
    assert float(model.model(image).pred_score.min()) > max(1.0, float(good.max()))


def test_limits_are_learnt_as_brute_force_finds_them() -> None:
    rng = np.random.default_rng(5)
    for _ in range(30):
        wanted = rng.random(60) < 0.3
        score = np.exp(rng.normal(0.4 * wanted, 0.4))
        limit = best_limit(score, wanted)
        taken = score >= np.linspace(1 / 3, 3, 4000)[:, None]
        tried = 2 * (taken & wanted).sum(axis=1) / (taken.sum(axis=1) + wanted.sum())
        assert f1_score(wanted, score >= limit) == pytest.approx(tried.max(), abs=1e-9)
    assert best_limit(np.array([0.1, 2.0]), np.array([False, True])) == 1.0


def test_layers_learn_one_after_another() -> None:
    score = np.zeros((40, 4))
    truth = ["good"] * 20 + ["Missing"] * 10 + ["collapsed"] * 10
    score[20:30, 0] = score[30:, 1] = 0.8
    score[20:30, 1] = 2.0  # missing ones look collapsed to the second layer, which must not see them
    factors = learn_factors(score, truth)
    assert factors == pytest.approx([0.4, 0.4, 1, 1])
    assert f1_by_class(truth, truth) == {"collapsed": 1, "good": 1, "missing": 1}


def test_only_known_classes_count() -> None:
    rows = {"name": list("abcd"), "label_index": [0, 1, 1, -1], "defect": ["", "Missing", "scratch", ""]}
    assert truth_of(pd.DataFrame(rows)) == {"a": "good", "b": "missing"}


@pytest.mark.parametrize(("key", "value"), [("cell_size", 10), ("cell_size", 200), ("standards", 0)])
def test_wrong_arguments_are_refused(key: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"Expected model\.{key} to be"):
        Layered(**{"cell_size": 48, "standards": 4, key: value})  # type: ignore[arg-type]  # learn is a keyword
