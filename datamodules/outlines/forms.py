"""Which tool wrote a label file that is not read here, and which of its exports is.

Every form is told from its content, never from the file's name. What is known to hold no labels is a companion; what no
rule knows is unknown, and may hold labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

READ_FORMS = "COCO, labelme or the o-ring system's form"
UNKNOWN_REMEDY = f"export its labels as {READ_FORMS}; if it holds none, move it out of data.root"


@dataclass(frozen=True)
class Form:
    """What a file is.

    Attributes:
        name: As a person calls it, with its article, such as "a VIA project".
        remedy: What to do with it.
        labels: It holds labels; False where it is known to hold none, None where nobody knows.
    """

    name: str
    remedy: str
    labels: bool | None = True

    @property
    def what(self) -> str:
        """Continue a sentence that begins with the file's path."""
        return f"is {self.name}" if self.labels is not None else f"holds {self.name}"


def coco_from(tool: str) -> str:
    """Say which export of a tool to choose."""
    return f"choose COCO when you export from {tool}"


def recognise(data: Any) -> Form:
    """Tell the form of loaded JSON that is neither COCO, labelme, nor the o-ring system's."""
    if isinstance(data, dict):
        return next((form for form, fits in _OBJECTS if fits(data)), None) or _unknown_object(data)
    if isinstance(data, list):
        first = next((entry for entry in data if isinstance(entry, dict)), None)
        found = first and next((form for form, fits in _LISTS if fits(first)), None)
        if data and all(isinstance(entry, str) and "." not in entry for entry in data):  # with dots: names of files
            return Form("a list of words, such as classes", "delete it, or leave it", labels=False)
        return found or Form(f"a list of {len(data)} entries of no known form", UNKNOWN_REMEDY, None)
    return Form(f"nothing but a {type(data).__name__}", UNKNOWN_REMEDY, None)


def _unknown_object(data: dict[str, Any]) -> Form:
    keys = ", ".join(repr(key[:40]) for key in list(data)[:5])
    return Form(keys or "an empty object", UNKNOWN_REMEDY, None)


def _has(*keys: str) -> Callable[[dict[str, Any]], bool]:
    return lambda data: all(key in data for key in keys)


def _all_have(*keys: str) -> Callable[[dict[str, Any]], bool]:
    """Tell whether an object holds objects alone, of which every one has some keys."""
    return lambda data: (
        bool(data) and all(isinstance(entry, dict) and all(key in entry for key in keys) for entry in data.values())
    )


def _any_in(key: str, inner: str) -> Callable[[dict[str, Any]], bool]:
    """Tell whether a list in the object holds an object that has a key."""

    def fits(data: dict[str, Any]) -> bool:
        entries = data.get(key)
        return isinstance(entries, list) and any(isinstance(entry, dict) and inner in entry for entry in entries)

    return fits


def _is_nothing_but(*keys: str) -> Callable[[dict[str, Any]], bool]:
    return lambda data: bool(data) and set(data) <= set(keys)


def _geo(data: dict[str, Any]) -> bool:
    return data.get("type") in {"FeatureCollection", "Feature"}


_VIA = "save the project as COCO (Annotation, Export Annotations in COCO format)"
_STUDIO = coco_from("Label Studio")
_SUPERVISELY = "export it from Supervisely with the app Export to COCO"
_BOX = "convert it to COCO with Labelbox's converter (labelbox.data.serialization.COCOConverter)"
_TO_COCO = "convert it to COCO, for example with CVAT or Datumaro"

_OBJECTS: tuple[tuple[Form, Callable[[dict[str, Any]], bool]], ...] = (
    (Form("a VIA project", _VIA), _has("_via_img_metadata")),
    (Form("a VIA 3 project", _TO_COCO), _has("project", "file", "metadata", "view")),
    (Form("an export of VIA", _VIA), _all_have("filename", "regions")),
    (Form("a label file of VoTT", "convert it to COCO, or export from VoTT as Pascal VOC and convert that"),
     lambda data: any(_has(*keys)(data) for keys in (("asset", "regions"), ("assets", "tags"), ("frames", "tags")))),
    (Form("an export of Label Studio (JSON)", _STUDIO), _has("annotations", "data")),
    (Form("a label file of Supervisely", _SUPERVISELY), _any_in("objects", "geometryType")),
    (Form("a label file of Supervisely", _SUPERVISELY), _has("objects", "size")),
    (Form("Supervisely's list of classes", "delete it", labels=False), _has("classes", "tags", "projectType")),
    (Form("Supervisely's list of classes", "delete it", labels=False), _any_in("classes", "title")),
    (Form("a label file of Cityscapes", _TO_COCO), _has("imgHeight", "imgWidth", "objects")),
    (Form("a label file of ISAT", coco_from("ISAT")), _has("info", "objects")),
    (Form("a label file of SuperAnnotate", coco_from("SuperAnnotate")), _has("metadata", "instances")),
    (Form("an export of Labelbox", _BOX), _has("data_row", "projects")),
    (Form("a label file of V7 Darwin", coco_from("V7")), _has("item", "annotations")),
    (Form("a label file of V7 Darwin", coco_from("V7")), _has("dataset", "image", "annotations")),
    (Form("a label file of SA-1B", _TO_COCO), _has("image", "annotations")),
    (Form("a data set of Datumaro", "export it as COCO (datum convert -f coco)"), _has("categories", "items")),
    (Form("an export of Hasty", coco_from("Hasty")), _any_in("images", "labels")),
    (Form("GeoJSON", _TO_COCO), _geo),
    (Form("a COCO panoptic file", "choose COCO instances when you export"), _any_in("annotations", "segments_info")),
    (Form("a file of COCO captions", "delete it", labels=False), _any_in("annotations", "caption")),
    (Form("a COCO file without annotations", "export it with its annotations: a good image is listed there too"),
     lambda data: isinstance(data.get("images"), list) and not data.get("annotations")),
    (Form("a COCO file without images", "export it with its images"), _any_in("annotations", "image_id")),
    (Form("a manifest of SageMaker Ground Truth", _TO_COCO), _has("source-ref")),
    (Form("a list of classes", "delete it, or leave it", labels=False),
     _is_nothing_but("categories", "info", "licenses")),
)  # fmt: skip

_LISTS: tuple[tuple[Form, Callable[[dict[str, Any]], bool]], ...] = (
    (Form("an export of Label Studio (JSON)", _STUDIO),
     lambda entry: "data" in entry and bool({"annotations", "completions", "predictions"} & set(entry))),
    (Form("an export of Label Studio (JSON-MIN)", _STUDIO), _has("annotation_id")),
    (Form("an export of Label Studio (JSON-MIN)", _STUDIO), _has("annotator", "id")),
    (Form("an export of Labelbox", _BOX), _has("Labeled Data")),
    (Form("an export of Labelbox", _BOX), _has("data_row")),
    (Form("CreateML", coco_from("the tool that wrote it")), _has("image", "annotations")),
    (Form("a list of COCO results, which a model predicted", "export the annotations themselves as COCO"),
     _has("image_id", "category_id")),
    (Form("a label file of BDD100K", _TO_COCO), _has("name", "labels")),
    (Form("an export of VIA", _VIA), _has("filename", "regions")),
    (Form("GeoJSON", _TO_COCO), _geo),
    (Form("a list of labelme files", "keep one labelme file per image"), _has("shapes")),
)  # fmt: skip
