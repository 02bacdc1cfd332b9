"""Exports of other tools, as these really write them: each is refused by its name, and never read as all good."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from datamodules.base import excluded_table
from datamodules.errors import DataError
from datamodules.oring import OringDataModule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BAD = ("006", "007", "008")
CORNERS = [(20, 20), (36, 20), (36, 32), (20, 32)]


def images(root: Path, folder: str = "images") -> None:
    rng = np.random.default_rng(8)
    (root / folder).mkdir(parents=True, exist_ok=True)
    for index in range(9):
        values = rng.integers(0, 90, (64, 64), dtype=np.uint8)
        assert cv2.imwrite(str(root / folder / f"{index:03}.png"), values)


def put(root: Path, name: str, content: Any) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def percent(corners: list[tuple[int, int]]) -> list[list[float]]:
    return [[100 * x / 64, 100 * y / 64] for x, y in corners]


def via_1(root: Path) -> None:
    entries = {}
    for index in range(9):
        stem = f"{index:03}"
        region = {"shape_attributes": {"name": "polygon", "all_points_x": [20, 36, 36], "all_points_y": [20, 20, 32]}}
        regions = {"0": region} if stem in BAD else {}
        entries[f"{stem}.png99"] = {"filename": f"{stem}.png", "size": 99, "regions": regions, "file_attributes": {}}
    put(root, "via_export_json.json", entries)


def via_2_project(root: Path) -> None:
    via_1(root)
    entries = json.loads((root / "via_export_json.json").read_text(encoding="utf-8"))
    (root / "via_export_json.json").unlink()
    put(root, "via_project.json", {"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": {}})


def via_3(root: Path) -> None:
    project = {"pid": "x", "pname": "rings", "vid_list": ["1"]}
    metadata = {"1_a": {"vid": "1", "xy": [7, 20, 20, 36, 20], "av": {"1": "scratch"}}}
    put(root, "via3.json", {"project": project, "config": {}, "attribute": {}, "file": {}, "metadata": metadata,
                            "view": {}})  # fmt: skip


def via_csv(root: Path) -> None:
    head = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    put(root, "via_export_csv.csv", "\n".join([head, *(f'{stem}.png,99,"{{}}",1,0,"{{}}","{{}}"' for stem in BAD)]))


def label_studio(root: Path) -> None:
    value = {"points": percent(CORNERS), "polygonlabels": ["scratch"]}
    result = [{"type": "polygonlabels", "original_width": 64, "original_height": 64, "value": value}]
    tasks = [{"id": 1, "annotations": [{"result": result}], "data": {"image": f"/data/upload/1/{s}.png"}} for s in BAD]
    put(root, "project-1-at-2026-01-31-10-00-3f.json", tasks)


def label_studio_min(root: Path) -> None:
    label = [{"points": percent(CORNERS), "polygonlabels": ["scratch"]}]
    tasks = [{"image": f"/data/upload/1/{s}.png", "id": 1, "label": label, "annotator": 1, "annotation_id": 1,
              "lead_time": 3.2} for s in BAD]  # fmt: skip
    put(root, "project-1-at-min.json", tasks)


def supervisely(root: Path) -> None:
    (root / "images").rename(root / "img")
    for index in range(9):
        points = {"exterior": [[20, 20], [36, 20], [36, 32]], "interior": []}
        found = [{"classTitle": "scratch", "geometryType": "polygon", "points": points}] if f"{index:03}" in BAD else []
        put(root, f"ann/{index:03}.png.json", {"size": {"height": 64, "width": 64}, "tags": [], "objects": found})
    put(root, "meta.json", {"classes": [{"title": "scratch"}], "tags": [], "projectType": "images"})


def vott(root: Path) -> None:
    for stem in BAD:
        regions = [{"id": "a", "type": "POLYGON", "tags": ["scratch"], "points": [{"x": 20, "y": 20}]}]
        put(root, f"vott/{stem}-asset.json", {"asset": {"name": f"{stem}.png"}, "regions": regions, "version": "2.1.0"})


def vott_export(root: Path) -> None:
    put(root, "rings-export.json", {"name": "rings", "assets": {"x": {"asset": {}, "regions": []}}, "tags": []})


def yolo(root: Path) -> None:
    for stem in BAD:
        put(root, f"labels/{stem}.txt", "0 0.4375 0.40625 0.25 0.1875\n")
    put(root, "classes.txt", "scratch\n")
    put(root, "data.yaml", "names: [scratch]\n")


def yolo_with_empty_files(root: Path) -> None:
    yolo(root)
    for stem in ("000", "001"):
        put(root, f"labels/{stem}.txt", "")


def yolo_beside(root: Path) -> None:
    put(root, "images/006.txt", "0 0.31 0.31 0.56 0.31 0.56 0.5 0.31 0.5")


def dota(root: Path) -> None:
    put(root, "labelTxt/006.txt", "imagesource:x\n20 20 36 20 36 32 20 32 scratch 0\n")


def kitti(root: Path) -> None:
    put(root, "label_2/006.txt", "scratch 0.00 0 0.00 20.0 20.0 36.0 32.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0\n")


def voc(root: Path) -> None:
    for stem in BAD:
        box = "<bndbox><xmin>20</xmin><ymin>20</ymin><xmax>36</xmax><ymax>32</ymax></bndbox>"
        found = f"<object><name>scratch</name>{box}</object>"
        put(root, f"Annotations/{stem}.xml", f"<annotation><filename>{stem}.png</filename>{found}</annotation>")


def voc_beside(root: Path) -> None:
    put(
        root,
        "images/006.xml",
        "<?xml version='1.0'?>\n<annotation verified='yes'><object><bndbox/></object></annotation>",
    )


def cvat_xml(root: Path) -> None:
    put(root, "annotations.xml", "<?xml version='1.0'?><annotations><version>1.1</version><image id='0' name='006.png'>"
                                 "<polygon label='scratch' points='20,20;36,20'/></image></annotations>")  # fmt: skip


def old_labelme(root: Path) -> None:
    put(root, "Annotations/006.xml", "<annotation><filename>006.png</filename><object><polygon><pt><x>20</x></pt>"
                                     "</polygon></object></annotation>")  # fmt: skip


def imglab(root: Path) -> None:
    put(
        root,
        "rings.xml",
        "<dataset><name>x</name><images><image file='images/006.png'><box top='20'/></image></images></dataset>",
    )


def labelbox_old(root: Path) -> None:
    put(root, "export.json", [{"ID": "c", "Labeled Data": "https://x/006.png", "Label": {"objects": []}}])


def labelbox_lines(root: Path) -> None:
    lines = [{"data_row": {"external_id": f"{stem}.png"}, "projects": {"p": {"labels": []}}} for stem in BAD]
    put(root, "export.ndjson", "\n".join(map(json.dumps, lines)))


def labelbox_lines_as_json(root: Path) -> None:
    lines = [{"data_row": {"external_id": f"{stem}.png"}, "projects": {"p": {"labels": []}}} for stem in BAD]
    put(root, "export.json", "\n".join(map(json.dumps, lines)))


def create_ml(root: Path) -> None:
    box = {"label": "scratch", "coordinates": {"x": 28, "y": 26, "width": 16, "height": 12}}
    put(root, "images/_annotations.createml.json", [{"image": f"{stem}.png", "annotations": [box]} for stem in BAD])


def retina_net(root: Path) -> None:
    rows = [f"images/{stem}.png,20,20,36,32,scratch" for stem in BAD] + ["images/000.png,,,,,"]
    put(root, "annotations.csv", "\n".join(rows))


def tensorflow_csv(root: Path) -> None:
    head = "filename,width,height,class,xmin,ymin,xmax,ymax"
    put(root, "images/_annotations.csv", "\n".join([head, *(f"{s}.png,64,64,scratch,20,20,36,32" for s in BAD)]))


def open_images(root: Path) -> None:
    put(root, "boxes.csv", "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n006,x,/m/1,1,0.3,0.5,0.3,0.5\n")


def kaggle(root: Path) -> None:
    put(root, "train.csv", "ImageId_ClassId,EncodedPixels\n006.png_1,1300 12\n")


def auto_ml(root: Path) -> None:
    put(root, "import.csv", "TRAIN,gs://bucket/006.png,scratch,0.3,0.3,,,0.5,0.5,,\n")


def list_of_names(root: Path) -> None:
    put(root, "defective.json", [f"{stem}.png" for stem in BAD])


def some_table(root: Path) -> None:
    put(root, "measured.csv", "picture;width;remark\n006.png;12;scratch\n007.png;3;scratch\n")


def sage_maker(root: Path) -> None:
    put(root, "output.manifest", json.dumps({"source-ref": "s3://b/006.png", "rings": {"annotations": []}}) + "\n{}\n")


def coco_results(root: Path) -> None:
    put(root, "results.json", [{"image_id": 6, "category_id": 1, "bbox": [20, 20, 16, 12], "score": 0.9}])


def coco_panoptic(root: Path) -> None:
    annotations = [{"image_id": 6, "file_name": "006.png", "segments_info": [{"id": 1, "category_id": 1}]}]
    put(root, "annotations/panoptic_train.json", {"images": [{"id": 6, "file_name": "006.png"}],
                                                  "annotations": annotations, "categories": []})  # fmt: skip


def coco_without_annotations(root: Path) -> None:
    put(root, "annotations/image_info.json", {"images": [{"id": 6, "file_name": "006.png"}], "categories": []})


def datumaro(root: Path) -> None:
    item = {"id": "006", "annotations": [{"type": "polygon", "points": [20, 20, 36, 20, 36, 32]}]}
    put(root, "annotations/default.json", {"info": {}, "categories": {"label": {}}, "items": [item]})


def cityscapes(root: Path) -> None:
    objects = [{"label": "scratch", "polygon": CORNERS}]
    put(root, "gtFine/006_gtFine_polygons.json", {"imgHeight": 64, "imgWidth": 64, "objects": objects})


def darwin(root: Path) -> None:
    put(root, "annotations/006.json", {"version": "2.0", "item": {"name": "006.png"}, "annotations": [{"name": "s"}]})


def super_annotate(root: Path) -> None:
    put(root, "006.png.json", {"metadata": {"name": "006.png"}, "instances": [{"type": "polygon"}], "tags": []})


def geo_json(root: Path) -> None:
    put(root, "images/006.geojson.json", {"type": "FeatureCollection", "features": [{"type": "Feature"}]})


def hasty(root: Path) -> None:
    put(root, "hasty.json", {"project_name": "x", "images": [{"image_name": "006.png", "labels": [{"id": 1}]}]})


def bdd(root: Path) -> None:
    put(root, "bdd.json", [{"name": "006.png", "labels": [{"category": "scratch"}]}])


def isat(root: Path) -> None:
    put(root, "images/006.json", {"info": {"description": "ISAT", "name": "006.png"}, "objects": [{"category": "s"}]})


EXPORTS: list[tuple[Callable[[Path], None], str]] = [
    (via_1, "VIA"), (via_2_project, "VIA project"), (via_3, "VIA 3"), (via_csv, "VIA"),
    (label_studio, "Label Studio"), (label_studio_min, "Label Studio"), (supervisely, "Supervisely"),
    (vott, "VoTT"), (vott_export, "VoTT"), (yolo, "YOLO"), (yolo_with_empty_files, "YOLO"), (yolo_beside, "YOLO"),
    (dota, "DOTA"), (kitti, "KITTI"), (voc, "Pascal VOC"), (voc_beside, "Pascal VOC"), (cvat_xml, "CVAT"),
    (old_labelme, "old LabelMe"), (imglab, "imglab"), (labelbox_old, "Labelbox"), (labelbox_lines, "Labelbox"),
    (labelbox_lines_as_json, "Labelbox"), (create_ml, "CreateML"), (retina_net, "RetinaNet"),
    (tensorflow_csv, "TensorFlow"), (open_images, "boxes"), (kaggle, "run lengths"), (auto_ml, "AutoML"),
    (list_of_names, "a list of 3 entries"),
    (some_table, "a table with 'picture', 'width', 'remark'"), (sage_maker, "SageMaker"),
    (coco_results, "COCO results"), (coco_panoptic, "panoptic"), (coco_without_annotations, "without annotations"),
    (datumaro, "Datumaro"), (cityscapes, "Cityscapes"), (darwin, "V7"), (super_annotate, "SuperAnnotate"),
    (geo_json, "GeoJSON"), (hasty, "Hasty"), (bdd, "BDD100K"), (isat, "ISAT"),
]  # fmt: skip


def setup(root: Path) -> OringDataModule:
    data = OringDataModule(root=str(root), image_size=(64, 64), num_workers=0)
    data.samples, problems = data.listing()
    data.excluded = excluded_table(problems)
    return data


@pytest.mark.parametrize(("write", "name"), EXPORTS, ids=[write.__name__ for write, _ in EXPORTS])
@pytest.mark.parametrize("beside_others", [False, True], ids=["alone", "beside labelme files"])
def test_an_export_of_another_tool_is_refused_by_its_name(
    tmp_path: Path, write: Callable[[Path], None], name: str, *, beside_others: bool
) -> None:
    images(tmp_path)
    if beside_others:
        shape = {"label": "pit", "points": CORNERS, "shape_type": "polygon"}
        put(tmp_path, "labels/002.json", {"shapes": [shape], "imageHeight": 64, "imageWidth": 64})
    write(tmp_path)
    with pytest.raises(DataError) as caught:
        setup(tmp_path)
    assert name in str(caught.value)
    assert ";" in str(caught.value), "a remedy follows"


@pytest.mark.parametrize(("write", "name"), EXPORTS, ids=[write.__name__ for write, _ in EXPORTS])
def test_images_sorted_into_folders_go_on_once_it_is_moved_away_as_the_message_says(
    tmp_path: Path, write: Callable[[Path], None], name: str
) -> None:
    del name
    images(tmp_path, "images/good")
    (tmp_path / "images" / "bad").mkdir()
    for stem in BAD:
        (tmp_path / "images" / "good" / f"{stem}.png").rename(tmp_path / "images" / "bad" / f"{stem}.png")
    if write is not supervisely:  # it moves the images
        write(tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".png"]:
        try:
            setup(tmp_path)
            break
        except DataError as error:
            assert "move them out of data.root" in str(error) or "is not read" in str(error)  # noqa: PT017
        path.unlink()
    assert setup(tmp_path).samples["label_index"].tolist().count(1) == len(BAD)


def test_what_holds_no_labels_is_named_and_stops_nothing(tmp_path: Path) -> None:
    images(tmp_path)
    put(tmp_path, "labels/006.json", {"shapes": [{"label": "pit", "points": CORNERS}]})
    put(tmp_path, "notes.json", {"categories": [{"id": 0, "name": "pit"}], "info": {"contributor": "Label Studio"}})
    put(tmp_path, "README.txt", "These are rings.")
    put(tmp_path, "classes.json", ["pit", "scratch"])
    put(tmp_path, "labels/classes.txt", "pit\nscratch\n")
    put(tmp_path, "lamp/settings.json", {"exposure": 12})
    put(tmp_path, "lamp/log.csv", "time,temperature\n1,20.5\n")
    put(tmp_path, "lamp/scan.xml", "<scan><lamp/></scan>")
    put(tmp_path, ".cache/labels.json", "{")
    data = setup(tmp_path)
    assert data.samples["label_index"].tolist().count(1) == 1
    named = {path.rsplit("/", 1)[-1] for path in data.excluded["path"]}
    assert named == {"notes.json", "classes.json", "settings.json", "log.csv", "scan.xml"}
    assert data.excluded["remedy"].ne("").all()
