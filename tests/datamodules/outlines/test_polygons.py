"""Outlines: filled as pycocotools fills them, clipped to what the masks say, read and written without a vertex lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as oracle

from datamodules.errors import UnreadableImageError
from datamodules.outlines.annotations import read_annotation
from datamodules.outlines.coco import coco_annotation, load_coco
from datamodules.outlines.names import split_path
from datamodules.outlines.polygon_files import parse_labels, to_labelme
from datamodules.outlines.polygons import Box, Outline, bounding_box, clip, fill, signed_area

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datamodules.outlines.polygons import Points

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and numpy 2


def ring(*points: tuple[float, float]) -> Points:
    return np.array(points, dtype=np.float64)


SQUARE = ring((2, 3), (8, 3), (8, 9), (2, 9))


def star(rng: np.random.Generator, count: int, reach: tuple[float, float]) -> Points:
    """Draw a ring that does not cross itself, around (30, 25)."""
    angle, radius = np.sort(rng.uniform(0, 2 * np.pi, count)), rng.uniform(*reach, count)
    return np.stack([30 + radius * np.cos(angle), 25 + radius * np.sin(angle)], axis=1)


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["anywhere", "whole", "repeated", "tiny", "two rings"])
def test_fill_area_and_box_equal_those_of_pycocotools(kind: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(150):
        height, width, count = (int(value) for value in rng.integers([1, 1, 3], [60, 60, 12]))
        points = rng.uniform(0, 5, (count, 2)) if kind == "tiny" else rng.uniform(-10, 70, (count, 2))
        if kind == "whole":
            points = points.round()
        if kind == "repeated":
            points[1] = points[0]
        rings = [points, rng.uniform(-10, 70, (4, 2))] if kind == "two rings" else [points]
        encoded = oracle.merge(oracle.frPyObjects([some.ravel().tolist() for some in rings], height, width))
        mask = fill(rings, height, width)
        np.testing.assert_array_equal(mask, oracle.decode(encoded).astype(bool))
        assert mask.sum() == oracle.area(encoded)
        box = bounding_box(mask)
        x, y, box_width, box_height = oracle.toBbox(encoded)
        assert box is None if box_width == 0 else box == Box(x, y, x + box_width, y + box_height)


def test_a_square_covers_its_pixels_and_no_more() -> None:
    mask = fill([SQUARE], 12, 12)
    assert mask.sum() == abs(signed_area(SQUARE)) == 36
    assert bounding_box(mask) == Box(2, 3, 8, 9)


def test_clipping_keeps_what_lies_within_and_only_that() -> None:
    """The clipped outline fills what the whole one fills, but for pixels whose middle the outline nearly touches."""
    rng = np.random.default_rng(3)
    for number in range(300):
        points = star(rng, int(rng.integers(3, 14)), (5, 45))
        points = (points / 5).round() * 5 if number % 3 == 0 else points
        whole = fill([points], 50, 60)
        clipped = clip(Outline((points,)), 60, 50)
        if clipped is None:
            assert whole.sum() <= 2
            continue
        every = np.concatenate(clipped.rings)
        assert (every >= 0).all()
        assert (every <= (60, 50)).all()
        for y, x in np.argwhere(whole ^ fill(clipped.rings, 50, 60)):
            contour = points.astype(np.float32)[:, None]
            assert abs(cv2.pointPolygonTest(contour, (x + 0.5, y + 0.5), measureDist=True)) < 0.3


def test_clipped_areas_add_up_over_tiles() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        outline = Outline((star(rng, 12, (5, 24)),))
        parts = [
            part for x in (0, 20, 40) for y in (0, 25) if (part := clip(outline.moved(-x, -y), 20, 25)) is not None
        ]
        area = sum(abs(signed_area(some)) for part in parts for some in part.rings)
        assert area == pytest.approx(abs(signed_area(outline.rings[0])))


def test_an_outline_that_leaves_and_comes_back_becomes_two_rings() -> None:
    comb = ring((0, 0), (9, 0), (9, 9), (6, 9), (6, 4), (3, 4), (3, 9), (0, 9))
    clipped = clip(Outline((comb - (0, 5),), "burr"), 20, 20)
    assert clipped is not None
    assert clipped.label == "burr"
    assert sorted(abs(signed_area(some)) for some in clipped.rings) == [12, 12]
    assert {tuple(point) for some in clipped.rings for point in some.tolist()} == {
        (0, 0), (3, 0), (3, 4), (0, 4), (6, 0), (9, 0), (9, 4), (6, 4),
    }  # fmt: skip


def test_clipping_keeps_vertices_within_exactly_and_drops_what_is_outside() -> None:
    points = ring((1.1, 2.2), (7.7, 3.3), (4.4, 8.8))
    inside = clip(Outline((points,)), 10, 10)
    assert inside is not None
    np.testing.assert_array_equal(inside.rings[0], points)
    assert clip(Outline((points + 20,)), 10, 10) is None
    assert clip(Outline((points - (7.7, 0),)), 10, 10) is None  # it touches the border in one point


def same(first: Sequence[Outline], second: Sequence[Outline]) -> bool:
    return [outline.label for outline in first] == [outline.label for outline in second] and all(
        len(a.rings) == len(b.rings) and all(np.array_equal(x, y) for x, y in zip(a.rings, b.rings, strict=True))
        for a, b in zip(first, second, strict=True)
    )


def coco_of(outlines: Sequence[Outline], height: int, width: int) -> dict[str, Any]:
    names = sorted({outline.label for outline in outlines})
    annotations = [
        {"id": number, "image_id": 7, "category_id": names.index(outline.label) + 1}
        | (coco_annotation(outline, fill(outline.rings, height, width)) or {})
        for number, outline in enumerate(outlines, start=1)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    images = [{"id": 7, "file_name": "a b.png", "height": height, "width": width}]
    return {"images": images, "annotations": annotations, "categories": categories}


def own_form(outlines: Sequence[Outline]) -> dict[str, Any]:
    """Write outlines as the o-ring system does."""
    rings = [(outline.label, ring.tolist()) for outline in outlines for ring in outline.rings]
    return {"polygons": [{"label": label, "points": [{"x": x, "y": y} for x, y in ring]} for label, ring in rings]}


def test_a_round_trip_through_all_forms_keeps_every_vertex(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    first = [Outline((star(rng, 9, (4, 20)),), "Pitting"), Outline((SQUARE / 3,), "cut, deep")]
    labelme = write_json(tmp_path / "a.json", to_labelme(first, "a b.png", 60, 70))
    second = read_annotation(labelme, "a b.png", 60, 70).outlines
    own = write_json(tmp_path / "b.json", own_form(second))
    third = read_annotation(own, "a b.png", 60, 70).outlines
    coco = write_json(tmp_path / "c.json", coco_of(third, 60, 70))
    fourth = read_annotation(coco, tmp_path / "images" / "a b.png", 60, 70).outlines
    again = write_json(tmp_path / "d.json", to_labelme(fourth, "a b.png", 60, 70))
    assert same(first, second)
    assert same(first, third)
    assert same(first, fourth)
    assert again.read_bytes() == labelme.read_bytes()


def test_an_object_of_two_rings_stays_one_in_labelme_and_coco(tmp_path: Path) -> None:
    objects = [Outline((SQUARE, SQUARE + 20), "burr"), Outline((SQUARE + 40,), "burr")]
    labelme = write_json(tmp_path / "a.json", to_labelme(objects, "a b.png", 60, 70))
    coco = write_json(tmp_path / "b.json", coco_of(objects, 60, 70))
    assert same(objects, read_annotation(labelme, "a b.png", 60, 70).outlines)
    assert same(objects, read_annotation(coco, "a b.png", 60, 70).outlines)


def test_the_systems_own_form_is_read_as_it_is_written(tmp_path: Path) -> None:
    text = '\ufeff{"polygons": [{"points": [{"x": 2, "y": 3}, {"x": 8.25, "y": 3}, {"x": 8, "y": 9}]}]}'
    outlines = read_annotation(write_json(tmp_path / "a_mask.json", text), "a.bmp", 12, 12).outlines
    assert [outline.rings[0].tolist() for outline in outlines] == [[[2, 3], [8.25, 3], [8, 9]]]


def test_rectangles_of_labelme_are_outlines() -> None:
    shapes = [{"label": "pit", "shape_type": "rectangle", "points": [[1, 2], [5, 8]]}]
    (outline,) = parse_labels({"shapes": shapes}, "a.json").outlines
    assert fill(outline.rings, 10, 10).sum() == 24


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"polygons": [', "is not JSON that can be read"),
        ("", "is empty"),
        ('{"regions": []}', "holds 'regions', which is not a known form"),
        ("[1, 2]", "not a known form"),
        ({"shapes": [], "imageHeight": 20, "imageWidth": 30}, "is for a picture of 30x20 pixels, but .* has 60x50"),
        ({"images": [{"id": 1, "file_name": "b.png"}], "annotations": [], "categories": []}, "does not name"),
        ({"images": [{"id": 1}], "annotations": [], "categories": []}, "lacks something"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_with_a_remedy(tmp_path: Path, content: Any, message: str) -> None:
    path = write_json(tmp_path / "labels 1.json", content)
    with pytest.raises(UnreadableImageError, match=message) as caught:
        read_annotation(path, "a.png", 50, 60)
    assert caught.value.path == str(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([{"x": 1, "y": 1}, {"x": 5, "y": 5}], "with 2 points, where an outline needs three"),
        ([], "with 0 points"),
        ([{"x": 1, "y": 1}, {"x": 5, "y": 5}, {"x": 5}], "points are not x and y"),
        ([[1, 1], [5, float("nan")], [5, 9]], "not a number"),
        ([[70, 3], [90, 3], [90, 20]], "lies outside the picture"),
        ([[55, 3], [90, 3], [90, 20], [55, 20]], "lies outside the picture"),
        ([[5.1, 5.1], [5.3, 5.1], [5.2, 5.3]], "covers no pixel"),
    ],
)
def test_one_wrong_outline_is_named_and_the_others_stay(tmp_path: Path, points: Any, message: str) -> None:
    good = {"points": SQUARE.tolist()}
    path = write_json(tmp_path / "a.json", {"polygons": [good, {"points": points}, good]})
    labels = read_annotation(path, "a.png", 50, 60)
    assert len(labels.outlines) == 2
    (problem,) = labels.problems
    assert message in problem.problem
    assert problem.path == str(path)
    assert "left out" in problem.remedy


def test_an_outline_that_reaches_a_little_over_the_edge_stays(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"polygons": [{"points": (SQUARE - (3, 0)).tolist()}]})
    assert len(read_annotation(path, "a.png", 50, 60).outlines) == 1


def test_coco_segmentations_that_are_no_polygons_are_named(tmp_path: Path) -> None:
    content = coco_of([Outline((SQUARE,), "pit")], 60, 70)
    encoded = {"counts": [0, 3], "size": [60, 70]}
    content["annotations"] += [{"id": 9, "image_id": 7, "category_id": 1, "segmentation": encoded}]
    content["annotations"] += [{"id": 10, "image_id": 7, "category_id": 1, "segmentation": []}]
    labels = read_annotation(write_json(tmp_path / "a.json", content), "a b.png", 60, 70)
    assert len(labels.outlines) == 1
    assert ["run-length" in problem.problem for problem in labels.problems] == [True, False]


def test_pictures_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": r"F:\old rings\good\1.bmp", "height": 20, "width": 20},
        {"id": 2, "file_name": r"F:\old rings\notok\1.bmp", "height": 20, "width": 20},
    ]
    annotations = [{"id": 1, "image_id": 2, "category_id": 4, "segmentation": [SQUARE.ravel().tolist()]}]
    path = write_json(tmp_path / "a.json", {"images": images, "annotations": annotations})
    assert split_path(r"F:\old rings\.\good\1.bmp") == ("old rings", "good", "1.bmp")
    assert read_annotation(path, tmp_path / "good" / "1.bmp", 20, 20).outlines == []
    assert len(read_annotation(path, tmp_path / "notok" / "1.bmp", 20, 20).outlines) == 1


def test_a_coco_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", coco_of([Outline((SQUARE,), "pit")], 60, 70))
    assert len(read_annotation(path, "a b.png", 60, 70).outlines) == 1
    before = load_coco(path)
    assert load_coco(path) is before
    write_json(path, coco_of([], 60, 70))
    assert read_annotation(path, "a b.png", 60, 70).outlines == []


@pytest.mark.parametrize(("folder", "count"), [("rings", 299), ("spindle", 191)])
def test_real_outlines_are_all_usable(shared_data: Path, folder: str, count: int) -> None:
    found = 0
    for path in sorted((shared_data / "oring" / folder / "labels").glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        labels = read_annotation(path, path.stem, data["imageHeight"], data["imageWidth"])
        assert not labels.problems
        found += len(labels.outlines)
        for shape, outline in zip(data["shapes"], labels.outlines, strict=True):
            np.testing.assert_array_equal(outline.rings[0], np.array(shape["points"]))
            assert close_to(fill(outline.rings, *labels.size or (0, 0)), outline.rings[0])
    assert found == count


def close_to(mask: npt.NDArray[np.bool_], points: Points) -> bool:
    """Compare with what labelme itself would fill, by OpenCV: borders included, so a little more."""
    filled = np.zeros(mask.shape, dtype=np.uint8)
    cv2.fillPoly(filled, [np.round(points).astype(np.int32)], 1)
    return bool((mask & ~cv2.dilate(filled, np.ones((3, 3), np.uint8)).astype(bool)).sum() == 0)
