"""No label file, however damaged, ends in anything but rows or an error that says what to do.

Files of every form are changed at random places: a value replaced by an odd one, a key dropped, bytes lost or changed.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.oring import OringDataModule
from datamodules.samples.dataset import InspectionDataset

if TYPE_CHECKING:
    from pathlib import Path

POINTS = [[20, 20], [36, 20], [36, 32], [20, 32]]
RING = [value for point in POINTS for value in point]
RUNS = {"size": [64, 64], "counts": [1300, 12, 52, 12, 2720]}
PNG = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAMAQAAAABDnAAsAAAAD0lEQVR4nGP8z8DEQAABACSxARf2sfn2AAAAAElFTkSuQmCC"
ODD: list[Any] = [
    None, True, -1, 0, 1e308, -1e308, 10**400, float("nan"), float("inf"), "", "x", "\x00", "../../x.png", "7" * 5000,
    [], {}, [[]], [None], {"x": None}, [1, 2, 3], "data:image/png;base64,AAAA", "\ud800",
    {"size": [64, 64], "counts": ""},
]  # fmt: skip

FORMS: dict[str, tuple[str, Any]] = {
    "coco": ("annotations/instances.json", {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 64, "width": 64} for i in range(3)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [RING], "bbox": [20, 20, 16, 12], "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 1, "segmentation": RUNS, "bbox": [20, 20, 16, 12], "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "pit"}],
    }),
    "labelme": ("images/1.json", {
        "version": "5", "flags": {"a": False}, "imagePath": "1.png", "imageHeight": 64, "imageWidth": 64,
        "shapes": [
            {"label": "pit", "points": POINTS, "shape_type": "polygon", "group_id": 1},
            {"label": "pit", "points": [[28, 26], [34, 26]], "shape_type": "circle", "group_id": None},
            {"label": "pit", "points": [[20, 20], [35, 31]], "shape_type": "mask", "mask": PNG},
            {"label": "pit", "points": [[20, 20], [35, 31]], "shape_type": "rectangle"},
        ],
    }),
    "own": ("labels/1_mask.json", {"polygons": [{"points": [{"x": x, "y": y} for x, y in POINTS], "label": "pit"}]}),
    "table": ("labels.csv", "image,label,group,kind\nimages/0.png,good,a,x\nimages/1.png,notok,b,x\n"),
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rings")
    (folder / "images").mkdir()
    for index in range(3):
        values = np.random.default_rng(index).integers(0, 90, (64, 64), dtype=np.uint8)
        assert cv2.imwrite(str(folder / "images" / f"{index}.png"), values)
    return folder


def changed(content: Any, rng: np.random.Generator) -> Any:
    """Replace or drop one value at a random depth."""
    content = copy.deepcopy(content)
    node = content
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[int(rng.integers(len(keys)))]
        inner = node[key]
        if isinstance(inner, (dict, list)) and inner and rng.random() < 0.75:
            node = inner
            continue
        if rng.random() < 0.25:
            del node[key]
        else:
            node[key] = ODD[int(rng.integers(len(ODD)))]
        return content


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut bytes off, or change some."""
    if rng.random() < 0.4:
        return data[: int(rng.integers(len(data)))]
    values = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        values[int(rng.integers(len(values)))] = int(rng.integers(256))
    return bytes(values)


def outcome(root: Path) -> dict[str, int] | None:
    """List, and read every sample, as training does; None where an error stopped it."""
    data = OringDataModule(root=str(root), image_size=(64, 64), num_workers=0)
    try:
        data.samples, problems = data.listing()
    except DataError:
        return None
    assert all(problem.path and problem.problem and problem.remedy for problem in problems)
    dataset = InspectionDataset(data.samples, data.reading)
    for index, path in enumerate(data.samples["image_path"]):
        if path.endswith(".png") and "\x00" not in path and (root / path).is_file():
            assert dataset[index].image.isfinite().all()
    assert isinstance(data.notes(), list)
    data.described()
    return dict(zip(data.samples["name"], data.samples["label_index"], strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_label_file_ends_in_rows_or_an_error_with_a_remedy(root: Path, form: str) -> None:
    name, content = FORMS[form]
    rng = np.random.default_rng(11)
    path = root / name
    path.parent.mkdir(exist_ok=True)
    stopped = went_on = 0
    for _ in range(80):
        text = content if isinstance(content, str) else None
        if text is None:
            text = json.dumps(changed(content, rng))
        data = text.encode(errors="surrogatepass")
        path.write_bytes(damaged(data, rng) if isinstance(content, str) or rng.random() < 0.3 else data)
        found = outcome(root)
        stopped, went_on = stopped + (found is None), went_on + (found is not None)
    path.unlink()
    assert stopped
    assert went_on


@pytest.mark.parametrize("text", [
    "", " ", "null", "3", '"x"', "[]", "{}", "[[[[", "[" * 100_000, '{"a":' * 100_000, "NaN", "\ufeff", "{}{}",
    '{"images": [], "annotations": []}', '{"images": {}, "annotations": []}', '{"shapes": null}', '{"shapes": 3}',
    '{"polygons": {}}', '{"images": [[]], "annotations": [[]]}', '{"assets": null, "tags": 1}', "9" * 5000,
])  # fmt: skip
@pytest.mark.parametrize(
    "name", ["result.json", "images/1.json", "labels/1.json", "labels/7.json", "annotations/a.json"]
)
def test_odd_json_never_makes_all_images_good(root: Path, text: str, name: str) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        found = outcome(root)
    finally:
        path.unlink()
    assert not found or "images/1.png" not in found


@pytest.mark.parametrize(
    "data", [b"\x00" * 50, b"\xff\xfe{\x00}\x00", bytes(range(256)), b"\x1f\x8b\x08", b"PK\x03\x04"]
)
@pytest.mark.parametrize(
    "name", ["x.json", "x.csv", "x.xml", "x.jsonl", "labels.csv", "images/1.json", "dataset_summary.json"]
)
def test_bytes_that_are_no_text_never_make_all_images_good(root: Path, data: bytes, name: str) -> None:
    path = root / name
    path.write_bytes(data)
    try:
        found = outcome(root)
    finally:
        path.unlink()
    assert not found
