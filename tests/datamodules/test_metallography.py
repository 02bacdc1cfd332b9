"""Metallographic scans: masks of every form, squares, and groups by scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from datamodules.files.boxes import Box, parse_box
from datamodules.files.images import read_image
from datamodules.masks.forms import align, mask_form
from datamodules.metallography import MetallographyDataModule, spread
from datamodules.table import TEST, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.files.images import Array


def draw_scan(seed: int, height: int = 64, width: int = 64, count: int = 3) -> tuple[Array, Array]:
    """Draw a scan with dark inclusions, and its mask (255 on them)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(count):
        centre = int(rng.integers(8, width - 8)), int(rng.integers(8, height - 8))
        cv2.circle(mask, centre, int(rng.integers(3, 6)), 255, -1)
    scan = rng.normal(150, 8, (height, width)) - 90 * (mask > 0)
    return scan.clip(0, 255).astype(np.uint8), mask


def write(path: Path, values: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Twelve scans of two squares of 64 pixels each; the second of every scan without inclusions."""
    root = tmp_path / "scans"
    for index in range(24):
        scan, mask = draw_scan(index, count=3 if index % 2 == 0 else 0)
        write(root / "images" / f"{index // 2:02}-{index % 2}-0.PNG", scan)
        write(root / "masks" / f"{index // 2:02}-{index % 2}-0{'_mask' if index % 3 else ''}.png", mask)
    return root


def module(root: Path, **changes: object) -> MetallographyDataModule:
    options: dict[str, object] = {"square": 64, "image_size": (64, 64), "num_workers": 0, "batch_size": 4}
    return MetallographyDataModule(root=str(root), **(options | changes))  # type: ignore[arg-type]  # of many types


def rewrite(root: Path, change: str) -> None:
    """Give every mask another form."""
    for path in sorted((root / "masks").iterdir()):
        mask = read_image(path)
        if change == "dim":
            write(path, mask // 8)
        elif change == "inverted":
            write(path, 255 - mask)
        elif change == "soft":
            write(path, cv2.GaussianBlur(mask, (0, 0), 0.7))
        else:
            write(path, np.pad(mask, ((5, 2), (3, 8))))


def masks_of(data: MetallographyDataModule) -> dict[str, Array]:
    data.samples = data.samples.assign(split=TEST)
    found: dict[str, Array] = {}
    for batch in data.test_dataloader():
        found |= dict(zip(batch.name, batch.gt_mask.numpy(), strict=True))
    return found


def test_pairs_labels_and_groups(scans: Path) -> None:
    data = module(scans)
    data.setup()
    data.check_training()
    table = data.samples.set_index("name")
    assert table["label_index"].value_counts().to_dict() == {0: 12, 1: 12}
    row = table.loc["images/07-0-0.PNG"]
    assert (row["group"], row["defect"], row["label_index"]) == ("07", "inclusion", 1)
    assert len(table.groupby(["group", "split"])) == 12
    assert data.excluded.empty
    np.testing.assert_array_equal(masks_of(data)["images/07-0-0.PNG"], draw_scan(14)[1] > 0)


@pytest.mark.parametrize(
    ("change", "options", "problem", "remedy"),
    [
        ("dim", {"dim_masks": "convert"}, "has marks of value 31 at most", "data.dim_masks=convert"),
        ("inverted", {"mask_foreground": "black"}, "is mostly white", "data.mask_foreground=black"),
        ("off", {"mask_sizes": "align"}, "is a mask of 75x71 pixels for a picture of 64x64", "data.mask_sizes=align"),
    ],
)
def test_other_forms_are_refused_or_converted(
    scans: Path, change: str, options: dict[str, object], problem: str, remedy: str
) -> None:
    plain = module(scans)
    plain.setup()
    expected = masks_of(plain)
    rewrite(scans, change)
    marked = {name: mask for name, mask in expected.items() if mask.any()}
    refusing = module(scans)
    try:
        refusing.setup()
    except DataError as error:
        said = str(error)  # some forms leave nothing to go on with
    else:
        assert refusing.excluded["problem"].str.startswith(problem).sum() == len(marked)
        said = " ".join(refusing.excluded["problem"] + refusing.excluded["remedy"])
    assert problem in said
    assert remedy in said
    converting = module(scans, **options)
    converting.setup()
    found = masks_of(converting)
    for name, mask in marked.items():
        np.testing.assert_array_equal(found[name], mask)


def test_softened_masks_need_nothing(scans: Path) -> None:
    plain = module(scans)
    plain.setup()
    expected = masks_of(plain)
    rewrite(scans, "soft")
    soft = module(scans)
    soft.setup()
    found = masks_of(soft)
    differing = np.mean([found[name] != mask for name, mask in expected.items()])
    assert soft.excluded.empty
    assert differing < 0.005


def test_the_form_of_a_mask() -> None:
    _, mask = draw_scan(1)
    assert mask_form(mask, 127) == (127, False, False, False, True)
    assert mask_form(mask // 8, 127) == (15, True, False, False, True)
    assert mask_form(255 - mask, 127) == (127, False, False, True, False)
    assert mask_form(cv2.GaussianBlur(mask, (0, 0), 2), 127).soft
    noise = np.random.default_rng(0).integers(0, 6, (40, 40), dtype=np.uint8)
    assert mask_form(noise, 127) == (127, False, False, False, False)


@pytest.mark.parametrize("offset", [(0, 0), (7, 3), (-4, 9), (11, -5)])
def test_alignment_finds_the_offset(offset: tuple[int, int]) -> None:
    scan, mask = draw_scan(5, 200, 240, count=25)
    top, left = offset
    rows, columns = np.arange(-top, 200 - top + 6), np.arange(-left, 240 - left + 4)
    inside = ((rows >= 0) & (rows < 200))[:, None] & ((columns >= 0) & (columns < 240))
    framed = np.where(inside, mask[rows.clip(0, 199)[:, None], columns.clip(0, 239)], 0)
    assert align(framed > 0, scan) == Box(left, top, 240, 200)


def test_masks_too_far_off_or_empty_are_not_aligned() -> None:
    scan, mask = draw_scan(5)
    assert align(np.pad(mask, 40) > 0, scan) is None
    assert align(np.zeros((70, 70), np.bool_), scan) is None
    noise = np.random.default_rng(1).integers(0, 255, (300, 300), dtype=np.uint8)
    assert align(draw_scan(3, 310, 306, 40)[1] > 0, noise) is None


def test_squares_cover_a_scan_and_agree_with_its_mask(tmp_path: Path) -> None:
    root = tmp_path / "one"
    scan, mask = draw_scan(0, 150, 210, count=9)
    write(root / "images" / "4711_x.png", scan)
    write(root / "masks" / "4711_x.png", mask)
    data = module(root, overlap=16)
    data.setup()
    assert set(data.samples["group"]) == {"4711"}
    covered = np.zeros_like(mask)
    found = masks_of(data)
    for row in data.samples.itertuples():
        box = parse_box(str(row.box))
        area = slice(box.y, box.y + 64), slice(box.x, box.x + 64)
        covered[area] += 1
        np.testing.assert_array_equal(found[str(row.name)], mask[area] > 0)
        assert row.label_index == int(mask[area].any())
    assert covered.min() >= 1
    assert data.samples["sha256"].is_unique


@pytest.mark.parametrize(
    ("length", "side", "overlap"), [(1330, 128, 32), (129, 128, 0), (256, 128, 32), (300, 100, 99)]
)
def test_squares_are_spread_with_enough_overlap(length: int, side: int, overlap: int) -> None:
    starts = np.array(spread(length, side, overlap))
    assert (starts[0], starts[-1]) == (0, length - side)
    assert (np.diff(starts) <= side - overlap).all()
    assert spread(100, 128, 32) == [-14]


def test_small_pictures_are_reflected_to_a_square(tmp_path: Path) -> None:
    scan, mask = draw_scan(0, 50, 64)
    write(tmp_path / "images" / "a.png", scan)
    write(tmp_path / "masks" / "a.png", mask)
    data = module(tmp_path)
    data.setup()
    (found,) = masks_of(data).values()
    np.testing.assert_array_equal(found, np.pad(mask, ((7, 7), (0, 0)), mode="reflect") > 0)


def test_inclusions_become_instances(scans: Path) -> None:
    data = module(scans, instances=True, defects_in_train=True)
    data.setup()
    data.check_training("instances")
    for batch in data.test_dataloader():
        for target, mask, label_index in zip(batch.target, batch.gt_mask, batch.label_index.tolist(), strict=True):
            assert torch.equal(target["masks"].bool().any(dim=0), mask.as_subclass(torch.Tensor))
            assert (1 <= len(target["boxes"]) <= 3) if label_index else len(target["boxes"]) == 0


def test_no_mask_means_unknown(scans: Path) -> None:
    (scans / "masks" / "03-0-0.png").unlink()
    data = module(scans)
    data.setup()
    assert data.samples.set_index("name").loc["images/03-0-0.PNG", "label_index"] == -1


def test_marks_everywhere_want_defects_in_train(scans: Path) -> None:
    for path in (scans / "images").glob("*-1-0.PNG"):
        path.unlink()
    data = module(scans)
    data.setup()
    with pytest.raises(DataError, match=r"found marks in all \d+; set data\.defects_in_train=true"):
        data.check_training()
    data = module(scans, defects_in_train=True)
    data.setup()
    data.check_training()


def test_a_saved_table_is_read_again(scans: Path, tmp_path: Path) -> None:
    rewrite(scans, "dim")
    data, again = (module(scans, dim_masks="convert", square=48) for _ in range(2))
    data.setup()
    data.samples.to_csv(tmp_path / "samples.csv", index=False)
    again.use_samples(read_table(tmp_path / "samples.csv"))
    assert again.content_hash == data.content_hash
    for name, mask in masks_of(data).items():
        np.testing.assert_array_equal(masks_of(again)[name], mask)
        break


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overlap": 64}, r"Expected data\.overlap to be at least 0 and below data\.square=64, but found 64"),
        ({"scan_pattern": "(["}, r"Expected data\.scan_pattern to be a regular expression"),
        ({"scan_pattern": "a"}, r"Expected data\.scan_pattern to have a group"),
    ],
)
def test_wrong_options_are_refused(scans: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        module(scans, **changes)


@pytest.mark.parametrize(
    ("folder", "options", "pictures", "groups"),
    [
        ("grains", {"mask_foreground": "black"}, 184, 12),
        ("inclusions", {"dim_masks": "convert"}, 409, 408),  # one file is there twice
        ("scans", {"mask_foreground": "black", "mask_sizes": "align", "square": None}, 12, 12),
        ("inclusion_maps", {"square": None, "limit": 5}, 5, 5),
    ],
)
def test_real_folders_load_whole(
    shared_data: Path, folder: str, options: dict[str, object], pictures: int, groups: int
) -> None:
    data = module(shared_data / "metallography" / folder, **({"square": 128, "defects_in_train": True} | options))
    data.setup()
    assert data.excluded.empty
    assert data.samples["image_path"].nunique() == pictures
    assert data.samples["group"].nunique() == groups
    if folder == "inclusion_maps":
        assert set(data.samples["label_index"]) == {-1}
    else:
        data.check_training()
        batch = next(iter(data.train_dataloader()))
        assert 0 < float(batch.gt_mask.float().mean()) < 0.5


def test_real_masks_of_other_forms_are_refused(shared_data: Path) -> None:
    data = module(shared_data / "metallography" / "inclusions", square=128)
    data.setup()
    assert len(data.excluded) == 239
    assert data.excluded["remedy"].str.contains("data.dim_masks=convert", regex=False).all()
    with pytest.raises(DataError, match=r"set data\.mask_foreground=black"):
        module(shared_data / "metallography" / "grains", square=128).setup()
