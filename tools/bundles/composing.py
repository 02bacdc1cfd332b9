"""What a bundle's runner has to put together, in plain values: graphs, instances, tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.errors import ConfigError

if TYPE_CHECKING:
    from models.base import InspectionModel
    from models.components.tiled import Tiling
    from models.export_plan import ExportPlan


def plan_of(module: InspectionModel) -> ExportPlan:
    """Ask a model how it leaves torch.

    Raises:
        ConfigError: No graph can hold the model, and no runner makes up for it.
    """
    plan = module.export_plan()
    if plan is None:
        raise ConfigError(
            f"Expected a model that can be exported, but {type(module).__name__} cannot: {module.not_exportable}; "
            "use loupe predict run=."
        )
    return plan


def composition_of(module: InspectionModel, size: tuple[int, int]) -> dict[str, Any]:
    """Say how the runner has to put together what the graphs of a model answer.

    Args:
        module: The model.
        size: Height and width of its images.

    Raises:
        ConfigError: As ``plan_of``.
    """
    composition = dict(plan_of(module).composition)
    return composition if module.tiling is None else composition | {"tiles": tiles_of(module.tiling, size)}


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
