"""A trained run, a checkpoint or a bundle in place of the untrained detector of the line of fiber end faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.zones.masks import zone_map
from tools.errors import ConfigError
from tools.runner.bundle import Bundle
from tools.runner.face import Marks
from tools.runner.specification import SPEC, BundleError

if TYPE_CHECKING:
    from datamodules.files.images import Array
    from datamodules.zones.finding import Zones
    from datamodules.zones.view import View
    from models.faces.view import FaceView
    from tools.runner.face import Detector
    from tools.runner.judge import Judge


def model_detector(run: str) -> tuple[Detector, dict[str, Any]]:
    """Return what marks as a model does, and plain values that tell it from other models.

    Raises:
        ConfigError: There is no such run or bundle, or it cannot be used.
    """
    judge = _judge_of(run)

    def mark(values: Array, view: View, face: FaceView | None, zones: Zones) -> Marks | None:
        del face
        height, width = values.shape[:2]
        known = None if zones.cladding is None else zone_map(zones.cladding, zones.core, (height, width))
        result = judge(values, zones=known)
        if result.mask is None:
            return None
        mask_HW = result.placed.mask_on_disk(result.mask)
        inner_HW = mask_HW[view.top : view.top + view.grey_HW.shape[0], view.left : view.left + view.grey_HW.shape[1]]
        return Marks(inner_HW, result.score, result.verdict, float(result.threshold))

    return mark, {"run": judge.about}


def _judge_of(run: str) -> Judge:
    """Open a bundle, or restore the model of a run."""
    if (Path(run).expanduser() / SPEC).is_file():
        try:
            return Bundle(Path(run).expanduser())
        except BundleError as error:
            raise ConfigError(str(error)) from error
    from tools.runs.predicting import judge_of  # noqa: PLC0415 - a bundle does without torch
    from tools.runs.reading import reading_of  # noqa: PLC0415
    from tools.runs.trained import find_trained  # noqa: PLC0415

    trained = find_trained("predict", [f"run={run}"], changeable=("data",))
    return judge_of(trained, reading_of(trained.config.data))
