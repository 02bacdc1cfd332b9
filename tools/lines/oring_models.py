"""What looks for defects on rings: trained runs or bundles, one for all types of ring, or one of each type's own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from datamodules.layouts.files import is_evened
from tools.errors import ConfigError
from tools.runner.specification import BundleError, hash_file

from .oring_search import Search
from .oring_tiles import TileRules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omegaconf import DictConfig

    from callbacks.statistics.usual import Usual
    from models.base import InspectionModel
    from tools.runs.trained import Trained

Background = Literal["auto", "even", "keep"]
OVERLAP = 0.16  # of a tile's side, as the o-ring system has it: 100 of 640 pixels
ALL = ""


class Asked(NamedTuple):
    """How the line is to look.

    Attributes:
        background: ``even``: made even around the parts; ``keep``: as it is; ``auto``: as the run's images were.
        bin: Pixels of the image that become one, down and across.
        threshold: In place of the model's own; None: that.
    """

    background: Background
    bin: int
    threshold: float | None


class Searches:
    """The searches of a line, by type of ring.

    Args:
        by_kind: One under the empty name is for all types without their own.
    """

    def __init__(self, by_kind: Mapping[str, Search], about: Mapping[str, Any]) -> None:
        self.by_kind = by_kind
        self.about = about

    def of(self, kind: str) -> Search | None:
        """Return the search for a type; None where there is none for it."""
        return self.by_kind.get(kind, self.by_kind.get(ALL))


def open_searches(
    run: str | Mapping[str, str] | None, bundle: str | Mapping[str, str] | None, asked: Asked
) -> Searches | None:
    """Open what looks for defects; None where nobody named anything.

    Raises:
        ConfigError: Both are named, or one cannot be used.
    """
    if run is None and bundle is None:
        return None
    if run is not None and bundle is not None:
        raise ConfigError("Expected run or bundle, but found both; leave one out.")
    named = run if run is not None else bundle
    paths = {ALL: named} if isinstance(named, str) else dict(named or {})
    opened: dict[str, tuple[Search, str]] = {}
    for kind, path in paths.items():
        try:
            opened[kind] = _of_run(path, asked) if run is not None else _of_bundle(path, asked)
        except BundleError as error:
            raise ConfigError(str(error)) from error
    return Searches(
        {kind: search for kind, (search, _) in opened.items()}, {kind: sha256 for kind, (_, sha256) in opened.items()}
    )


def _of_run(path: str, asked: Asked) -> tuple[Search, str]:
    """Open a trained run: its network judges tiles, whatever it was trained on."""
    from tools.runs.trained import find_trained  # noqa: PLC0415 - geometry alone does without torch

    trained = find_trained("predict", [f"run={_quoted(path)}", "source=none"], changeable=())
    from callbacks.decisions.calibration import calibration_of  # noqa: PLC0415
    from models.components.tiled import Tiling  # noqa: PLC0415 - as below
    from tools.runner.decision import Decision  # noqa: PLC0415
    from tools.runs.checkpoint import read_checkpoint, restore  # noqa: PLC0415
    from tools.runs.predicting import infer  # noqa: PLC0415
    from tools.runs.reading import reading_of  # noqa: PLC0415
    from tools.runs.trainers import build_trainer  # noqa: PLC0415

    module = restore(read_checkpoint(trained.checkpoint)).eval()
    _use_device(module)
    reading = reading_of(trained.config.data)
    calibration = calibration_of(module)
    tiling, module.tiling = module.tiling, None
    image_size = (reading.height, reading.width)
    plan = module.export_plan(image_size)
    rules = (
        TileRules(image_size, (round(OVERLAP * image_size[0]), round(OVERLAP * image_size[1])), 0.5, 5000)
        if not isinstance(tiling, Tiling)
        else TileRules(
            (tiling.size,) * 2, (round(tiling.overlap * tiling.size),) * 2, tiling.merge_overlap, tiling.limit
        )
    )
    search = Search(
        judge=partial(infer, module, build_trainer(trained.config, []).precision_plugin),
        decision=Decision(calibration.summary(), asked.threshold),
        rules=rules,
        scale=_scale(image_size, _size_on_disk(trained) or _usual_size(calibration.usual)),
        bin=asked.bin,
        even=_is_even(asked.background, trained.config),
        white_level=reading.white_level,
        enhance=reading.enhance,
        classes=getattr(module, "classes", ()),
        passed=None if plan is None else plan.composition.get("passed"),
    )
    return search, hash_file(trained.checkpoint)


def _of_bundle(path: str, asked: Asked) -> tuple[Search, str]:
    """Open a bundle: its graphs judge tiles, whatever image size it was exported for."""
    from tools.runner.bundle import Bundle  # noqa: PLC0415 - geometry alone does without any runtime
    from tools.runner.composition import compose  # noqa: PLC0415 - as above
    from tools.runner.network import open_graphs  # noqa: PLC0415 - as above
    from tools.runner.searching import open_arrays  # noqa: PLC0415 - as above
    from tools.runner.specification import SPEC  # noqa: PLC0415 - as above

    bundle = Bundle(path, image_threshold=asked.threshold)
    composition = bundle.spec["composition"]
    tiles = composition.get("tiles")
    alone = bundle.spec | {"composition": {key: value for key, value in composition.items() if key != "tiles"}}
    side = (tiles["size"],) * 2 if tiles else bundle.size
    overlap = (round(OVERLAP * side[0]), round(OVERLAP * side[1]))
    rules = TileRules(
        side, overlap, tiles["merge_overlap"] if tiles else 0.5, tiles.get("limit", 5000) if tiles else 5000
    )
    search = Search(
        judge=compose(
            alone, open_graphs(bundle.folder, bundle.form, None), open_arrays(bundle.folder, composition), None
        ),
        decision=bundle.decision,
        rules=rules,
        scale=_scale(bundle.size, _usual_size(bundle.usual)),
        bin=asked.bin,
        even=asked.background == "even" or (asked.background == "auto" and bool(bundle.spec["data"].get("even"))),
        white_level=bundle.white_level,
        enhance=bundle.enhance,
        part=int(composition.get("part", 2)),
        classes=tuple(bundle.spec.get("classes") or ()),
        passed=composition.get("passed"),
    )
    return search, hash_file(bundle.folder / SPEC)


def _use_device(module: InspectionModel) -> None:
    import torch  # noqa: PLC0415

    module.to("cuda" if torch.cuda.is_available() else "cpu")


def _quoted(path: str) -> str:
    return "'" + path.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _scale(size: tuple[int, int], on_disk: tuple[float, float] | None) -> tuple[float, float]:
    """Say how many pixels the model saw per pixel of the images that it learned from."""
    if on_disk is None:
        return (1.0, 1.0)
    down, across = size[0] / on_disk[0], size[1] / on_disk[1]
    return (1.0, 1.0) if abs(down - 1) < 0.01 and abs(across - 1) < 0.01 else (down, across)


def _size_on_disk(trained: Trained) -> tuple[float, float] | None:
    """Return the usual height and width of the images that a run learned from."""
    from datamodules.table import read_table  # noqa: PLC0415 - pandas

    path = None if trained.folder is None else trained.folder.samples
    if path is None or not path.is_file():
        return None
    samples = read_table(path)
    if not {"height", "width"} <= set(samples.columns) or samples[["height", "width"]].isna().all().any():
        return None
    return float(samples["height"].median()), float(samples["width"].median())


def _usual_size(usual: Usual | None) -> tuple[float, float] | None:
    """The same, of what a model noted of its images; None where it noted nothing."""
    if usual is None or not len(usual.reference_NF):
        return None
    height, width = (float(value) for value in np.nanmedian(usual.reference_NF[:, :2], axis=0))
    return (height, width) if np.isfinite([height, width]).all() else None


def _is_even(background: Background, config: DictConfig) -> bool:
    """Tell whether the images that a run learned from had their background made even."""
    if background != "auto":
        return background == "even"
    return is_evened(str(config.data.get("root") or "."))
