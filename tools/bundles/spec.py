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
from datamodules.files.fitting import OWN
from datamodules.layouts.files import is_evened
from models.features.origins import networks_of
from tools.runner.composition import EMBEDDING as GRAPH_EMBEDDING
from tools.runner.composition import INPUT, MAP, SCORE
from tools.runner.specification import CLOUD, CLOUD_FILE, SCHEMA
from tools.runs.accepting import acceptance_of, inspector_by
from tools.runs.defect_listing import measuring_of
from tools.runs.reading import places_of
from tools.runs.zoning import zoning_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from callbacks.decisions.calibration import Calibration
    from callbacks.statistics.cloud import Cloud
    from datamodules.samples.dataset import Reading
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
    summary, origin = calibration.summary(), module.origin()
    return {
        "schema": SCHEMA,
        "name": "-".join(filter(None, (config.choices.data, config.data.get("domain"), config.choices.model))),
        "made": _made(evidence),
        "model": without_folders(OmegaConf.to_container(config.model, resolve=True)),
        "weights": {**without_folders(origin), **licences(origin)} if origin else None,
        "input": _input(reading, size, OmegaConf.select(config.data, "square")),
        "outputs": _outputs(size, composition.get("views", ()), describes=cloud is not None),
        "composition": dict(composition),
        "forms": [dict(form) for form in forms],
        "thresholds": summary,
        "usual": _usual(calibration, knows_embeddings=cloud is not None),
        **({CLOUD: CLOUD_FILE} if cloud is not None else {}),
        "classes": list(module.classes),
        **_judging(config, calibration),
        **({"layers": places.to_dict()} if (places := places_of(config.data)) is not None else {}),
        "data": {
            "hash": evidence["environment"].get("data_hash") or images.datamodule.content_hash,
            "splits": images.splits,
            "calibration": summary["pictures"],
            "even": is_evened(images.datamodule.root),
        },
        "metrics": evidence["metrics"],
    }


def _made(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Say by what the bundle was made, when, and from which commit and epoch."""
    return {
        "by": f"loupe {importlib.metadata.version('loupe-inspect')}",
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": evidence["environment"].get("commit"),
        "epoch": evidence["epoch"],
    }


def _input(reading: Reading, size: Sequence[int], square: int | None) -> dict[str, Any]:
    """Say what the graph takes, (height, width) large, and how it is made of a file."""
    resize = {"height": reading.height, "width": reading.width, "fit": reading.fit, "rule": RESIZE}
    if square is not None:  # of larger images, which the model learnt from
        resize["square"] = square
    sides = ["height", "width"] if reading.fit == OWN else [*size]
    return {
        "name": INPUT,
        "shape": ["batch", 3, *sides],
        "type": "float32",
        "values": "RGB in [0, 1]; a grey picture has three equal channels",
        "resize": resize,
        "marked_padding": True,  # a value v of the padding comes as -1 - v, and so the first channel of ground
        "foreground": None if reading.foreground is None else reading.foreground.to_dict(),
        "white_level": reading.white_level,
        "enhance": reading.enhance.to_plain(),
        "normalisation": "in the graph",
    }


def _outputs(size: Sequence[int], views: Sequence[str], *, describes: bool) -> list[dict[str, Any]]:
    """Say what the graph gives: score and map, what is only to look at, and the embedding if it ``describes``."""
    return [
        {"name": SCORE, "shape": ["batch"], "unit": "raw: higher is worse, unbounded; no probability"},
        {"name": MAP, "shape": ["batch", *size], "unit": "raw: higher is worse, unbounded; its own scale"},
        *({"name": name, "unit": "to look at; no verdict rests on it"} for name in views),
        *([{"name": GRAPH_EMBEDDING, "unit": "one vector; how far it lies out flags images"}] if describes else []),
    ]


def _usual(calibration: Calibration, *, knows_embeddings: bool) -> dict[str, Any] | None:
    """Say what usual images are like, by the facts that a bundle can tell."""
    usual = calibration.usual
    if usual is None:
        return None
    return (usual if knows_embeddings else usual.without(EMBEDDING)).to_dict()


def _judging(config: DictConfig, calibration: Calibration) -> dict[str, Any]:
    """Say how defects are measured, and how zones and rules judge the part."""
    measuring, acceptance = measuring_of(config, calibration), acceptance_of(config)
    zoning, inspector = zoning_of(config, calibration), inspector_by(config, acceptance, measuring)
    zones = calibration.summary()["pixel"].get("zone", {})
    return {
        "defects": measuring.to_dict(),
        "zoning": None if zoning is None else zoning.to_dict(),
        "acceptance": None if acceptance is None else acceptance.to_dict(),
        **({} if inspector is None else {"end_faces": inspector.to_dict()}),
        "zones": {"needed": bool(zones), "ids": sorted(zones), "file": "8-bit grey, as large as the picture"},
    }


def without_folders(value: Any) -> Any:
    """Keep of every path in nested plain values its last part: where files lay on the machine is nobody's business."""
    if isinstance(value, dict):
        return {key: without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_folders(entry) for entry in value]
    return Path(value).name if isinstance(value, str) and Path(value).expanduser().is_absolute() else value


def licences(origin: Mapping[str, str]) -> dict[str, str]:
    """Say under which licences the weights of all networks stand, and, as ``licence``, that of all together."""
    found = {prefix: licence(facts) for prefix, facts in networks_of(origin).items()}
    together = {"licence": "; ".join(dict.fromkeys(found.values())) or licence(origin)}
    return {f"{prefix}_licence": value for prefix, value in found.items() if prefix} | together


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
