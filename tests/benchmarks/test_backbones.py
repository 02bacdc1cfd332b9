"""The comparison of feature networks: splits, what is kept, the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch

from benchmarks.backbone_cells import Cell, describe, score, side_by_side
from benchmarks.backbone_sets import DATA_SETS, SIDE, Images, split
from benchmarks.backbones import Plan, build, main, ranks, table

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def images() -> Images:
    """Grey noise, twelve good and four with a bright square; groups of two, the defective ones in the last four."""
    generator = torch.Generator().manual_seed(0)
    pixels = (100 + 20 * torch.rand(16, 3, SIDE, SIDE, generator=generator)).to(torch.uint8)
    mask = torch.zeros(16, SIDE, SIDE, dtype=torch.bool)
    mask[12:, 100:140, 100:140] = True
    pixels = torch.where(mask[:, None], torch.tensor(255, dtype=torch.uint8), pixels)
    group = [f"{index % 8}" for index in range(16)]
    rows = {"label_index": [0] * 12 + [1] * 4, "group": group, "split": ["train"] * 8 + ["test"] * 8}
    return Images(pixels, mask, pd.DataFrame(rows), marked=True)


def test_no_split_cuts_a_group_or_scores_the_bank(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA_SETS, "own", DATA_SETS["fiber"].__class__("own", DATA_SETS["fiber"].build, banked=4))
    splits = [split("own", images, seed) for seed in range(5)]
    group = images.table["group"].to_numpy()
    for bank, scored in splits:
        assert len(bank) == 4
        assert not images.defective[bank].any()
        assert images.defective[scored].sum() == 4  # groups without a defect go first
        assert not set(group[bank]) & set(group[scored])
    assert len({tuple(bank) for bank, _ in splits}) > 1


@pytest.mark.parametrize("sizes", [(8, 4, 4), (2, 2, 12), (5, 5, 6), (15, 1)])
def test_some_good_images_are_always_scored(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """However the good groups fall, and however many images the bank would take."""
    group = [f"good {index}" for index, size in enumerate(sizes) for _ in range(size)] + ["bad 0", "bad 1"]
    table = pd.DataFrame({"label_index": [0] * sum(sizes) + [1] * 2, "group": group})
    blank = torch.zeros(len(group), SIDE, SIDE, dtype=torch.bool)
    few = Images(torch.zeros(len(group), 3, 1, 1, dtype=torch.uint8), blank, table, marked=True)
    monkeypatch.setitem(DATA_SETS, "few", replace(DATA_SETS["print3d"], banked=10))
    for seed in range(8):
        bank, scored = split("few", few, seed)
        assert 0 < len(bank) <= 10
        assert {0, 1} == {int(table["label_index"][index]) for index in scored}


def test_a_set_of_its_own_split_keeps_it(images: Images) -> None:
    bank, scored = split("screw", images, 0)
    assert bank == list(range(8))
    assert scored == list(range(8, 16))


def test_a_plain_defect_is_told_and_marked(images: Images) -> None:
    grid = describe(build("loupe", {}), images, "loupe")
    both = side_by_side([grid, 1000 * grid[:, :8].float()], range(8))
    learnt = both[:8].float().transpose(0, 1).flatten(1).var(dim=1)
    assert float(learnt[: grid.shape[1]].sum()) == pytest.approx(1, rel=0.02)
    assert float(learnt[grid.shape[1] :].sum()) == pytest.approx(1, rel=0.02)
    splits = {seed: (range(8), range(8, 16)) for seed in range(2)}
    cell = score(grid, images, splits, bank_size=200)
    assert cell.value["auroc"] == [1.0, 1.0]
    assert min(cell.value["pixel_ap"]) > 0.5
    assert all(low < 1 for low in cell.low["auroc"])


def test_cells_that_are_filled_are_not_filled_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(tmp_path, tmp_path, ["good", "bad"], ["fiber", "screw"], 2, 2000, {})
    for name, value in (("good", 0.9), ("bad", 0.6)):
        for data_set in plan.sets:
            path = plan.cell(name, data_set)
            path.parent.mkdir(exist_ok=True)
            one = {"auroc": [value, value + 0.02]} | ({"pixel_ap": [0.3, 0.3]} if data_set == "screw" else {})
            Cell(one, one, one).write(path)
    assert ranks(plan) == {"good": 1.0, "bad": 2.0}
    text = table(plan, {"good": (12.34, 0.5)})
    assert "| good | 0.910 [0.91, 0.91] | 0.910 [0.91, 0.91] | 1.0 | 12.3 | 0.5 |" in text
    assert "| Pixel AP | screw |" in text
    args = ["--data", str(tmp_path), "--out", str(tmp_path), "--seeds", "2", "--sets", "fiber", "screw"]
    main([*args, "--backbones", "good", "bad"])  # which are no networks: they are not built
    assert "| bad | 0.610 [0.61, 0.61] |" in capsys.readouterr().out


def test_what_is_missing_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--data", str(tmp_path), "--out", str(tmp_path), "--sets", "fiber"])
    assert capsys.readouterr().out == "\n"
