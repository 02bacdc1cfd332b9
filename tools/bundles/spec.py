"""``spec.json``: everything that a runner, or whoever reads a bundle in ten years, has to know, in plain values."""

from __future__ import annotations

import importlib.metadata
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from timm.models import get_pretrained_cfg

from callbacks.decisions.calibration import calibration_of
from callbacks.statistics.usual import EMBEDDING
from datamodules.layouts.files import is_evened
from tools.runner.composition import EMBEDDING as GRAPH_EMBEDDING
from tools.runner.composition import INPUT, MAP, SCORE
from tools.runner.specification import CLOUD, CLOUD_FILE, SCHEMA
from tools.runs.accepting import acceptance_of, inspector_by
from tools.runs.defect_listing import measuring_of
from tools.runs.reading import places_of
from tools.runs.zoning import zoning_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from callbacks.statistics.cloud import Cloud
    from models.base import InspectionModel

    from .calibration_images import CalibrationImages

RESIZE = "by area average along an axis that shrinks, bilinearly along one that grows (OpenCV INTER_AREA, INTER_LINEAR)"
UNKNOWN_LICENCE = "unknown: ask whoever made the weights"


def describe(
    module: InspectionModel,
    config: DictConfig,
    images: CalibrationImages,
    forms: Sequence[Mapping[str, Any]],
    composition: Mapping[str, Any],
    evidence: Mapping[str, Any],
    cloud: Cloud | None = None,
) -> dict[str, Any]:
    """Describe a bundle.

    Args:
        module: The checkpoint.
        config: Of its run.
        images: Of that run.
        forms: The graphs' files by runtime and precision.
        composition: How graphs work together.
        evidence: ``metrics`` and ``environment`` of the run, where there is one, and ``epoch``, counted from 1, of the
            checkpoint; None where its training had none.
        cloud: Where embeddings of usual images lie, if the graphs give any.
    """
    reading = images.datamodule.reading
    tiles = composition.get("tiles")
    size = [tiles["size"]] * 2 if tiles else [reading.height, reading.width]
    calibration = calibration_of(module)
    summary = calibration.summary()
    usual = calibration.usual
    if usual is not None and cloud is None:
        usual = usual.without(EMBEDDING)
    zones = summary["pixel"].get("zone", {})
    origin, measuring = module.origin(), measuring_of(config, calibration)
    return {
        "schema": SCHEMA,
        "name": "-".join(filter(None, (config.choices.data, config.data.get("domain"), config.choices.model))),
        "made": {
            "by": f"loupe {importlib.metadata.version('loupe-inspect')}",
            "at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "commit": evidence["environment"].get("commit"),
            "epoch": evidence["epoch"],
        },
        "model": without_folders(OmegaConf.to_container(config.model, resolve=True)),
        "weights": {**without_folders(origin), "licence": licence(origin)} if origin else None,
        "input": {
            "name": INPUT,
            "shape": ["batch", 3, *size],
            "type": "float32",
            "values": "RGB in [0, 1]; a grey picture has three equal channels",
            "resize": {"height": reading.height, "width": reading.width, "fit": reading.fit, "rule": RESIZE},
            "white_level": reading.white_level,
            "enhance": reading.enhance.to_plain(),
            "normalisation": "in the graph",
        },
        "outputs": [
            {"name": SCORE, "shape": ["batch"], "unit": "raw: higher is worse, unbounded; no probability"},
            {
                "name": MAP,
                "shape": ["batch", *size],
                "unit": "raw: higher is worse, unbounded; its own scale",
            },
            *({"name": name, "unit": "to look at; no verdict rests on it"} for name in composition.get("views", ())),
            *([{"name": GRAPH_EMBEDDING, "unit": "one vector; how far it lies out flags images"}] if cloud else []),
        ],
        "composition": dict(composition),
        "forms": [dict(form) for form in forms],
        "thresholds": summary,
        "usual": None if usual is None else usual.to_dict(),
        **({CLOUD: CLOUD_FILE} if cloud is not None else {}),
        "defects": measuring.to_dict(),
        "classes": list(module.classes),
        "zoning": zoning.to_dict() if (zoning := zoning_of(config, calibration)) is not None else None,
        "acceptance": acceptance.to_dict() if (acceptance := acceptance_of(config)) is not None else None,
        **(
            {"end_faces": inspector.to_dict()}
            if (inspector := inspector_by(config, acceptance, measuring)) is not None
            else {}
        ),
        **({"layers": places.to_dict()} if (places := places_of(config.data)) is not None else {}),
        "zones": {"needed": bool(zones), "ids": sorted(zones), "file": "8-bit grey, as large as the picture"},
        "data": {
            "hash": evidence["environment"].get("data_hash") or images.datamodule.content_hash,
            "splits": images.splits,
            "calibration": summary["pictures"],
            "even": is_evened(images.datamodule.root),
        },
        "metrics": evidence["metrics"],
    }


def without_folders(value: Any) -> Any:
    """Keep of every path in nested plain values its last part: where files lay on the machine is nobody's business."""
    if isinstance(value, dict):
        return {key: without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_folders(entry) for entry in value]
    return Path(value).name if isinstance(value, str) and Path(value).expanduser().is_absolute() else value


def licence(origin: Mapping[str, str]) -> str:
    """Say under which licence pre-trained weights stand, as far as that is known."""
    if stated := origin.get("licence"):
        return stated
    weights, name = origin.get("weights", ""), origin.get("name", "")
    if weights == "bundled":
        return "Apache-2.0"
    if weights == "none":
        return "none: the features are untrained"
    known = get_pretrained_cfg(name) if weights == "hub" else None
    return (known.license if known is not None else None) or UNKNOWN_LICENCE
