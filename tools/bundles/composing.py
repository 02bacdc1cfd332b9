"""What a bundle's runner has to put together, in plain values: graphs, instances, tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datamodules.outlines.instances import PART
from models.components.reconstruction import LUMA
from models.components.screening import PASSED
from models.hybrid import HybridModel
from models.mask_rcnn import MaskRcnnModel
from models.self_reference import QUANTUM, SelfReferenceModel
from tools.errors import ConfigError
from tools.runner.composition import ALONE, HYBRID, INSTANCES, SINGLE

if TYPE_CHECKING:
    from torch import nn

    from models.base import InspectionModel
    from models.components.tiled import Tiling

ROUNDING = 1e-5  # share by which scores of different runtimes differ, generously


def composition_of(module: InspectionModel, size: tuple[int, int]) -> dict[str, Any]:
    """Say how the runner has to put together what the graphs of a model answer.

    Args:
        module: The model.
        size: Height and width of its pictures.

    Raises:
        ConfigError: No graph can hold the model, and no runner makes up for it.
    """
    composition = _of_network(module.model)
    if composition is None:
        if module.not_exportable:
            raise ConfigError(
                f"Expected a model that can be exported, but {type(module).__name__} cannot: {module.not_exportable}; "
                "use loupe predict run=."
            )
        composition = {"kind": SINGLE}
    return composition if module.tiling is None else composition | {"tiles": tiles_of(module.tiling, size)}


def _of_network(network: nn.Module) -> dict[str, Any] | None:
    """Describe networks of which a graph holds a part at most; None for others."""
    if isinstance(network, HybridModel):
        # A threshold that lies on a calibration picture would pass it once a runtime rounds in another way.
        line = float(network.screening_threshold)
        screening = {"screening_threshold": line - ROUNDING * abs(line), "passed": PASSED}
        return {"kind": HYBRID} | screening | _of_instances(network.inspection)
    if isinstance(network, MaskRcnnModel):
        return {"kind": INSTANCES} | _of_instances(network)
    if isinstance(network, SelfReferenceModel):
        rules = ("patch_size", "block_size", "step", "ridge", "top_share")
        weights = list(LUMA) if network.channels == 1 else None
        return {"kind": ALONE, "weights": weights, "quantum": QUANTUM} | {
            rule: getattr(network, rule) for rule in rules
        }
    return None


def _of_instances(network: MaskRcnnModel) -> dict[str, Any]:
    threshold = float(network.network.roi_heads.score_thresh)
    return {"score_threshold": threshold, "mask_threshold": network.mask_threshold, "part": PART}


def tiles_of(tiling: Tiling, size: tuple[int, int]) -> dict[str, Any]:
    """Say where tiles lie on pictures of ``size`` (height, width), and how they are blended, in plain values."""
    rows, columns = (tiling.axis(length) for length in size)
    return {
        "size": tiling.size,
        "rows": rows.starts,
        "columns": columns.starts,
        "row_weights": rows.weight_S.tolist(),
        "column_weights": columns.weight_S.tolist(),
        "merge_overlap": tiling.merge_overlap,
        "limit": tiling.limit,
    }
