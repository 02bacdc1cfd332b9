"""What a bundle's runner has to put together, in plain values: graphs, instances, tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.errors import ConfigError

if TYPE_CHECKING:
    from models.base import InspectionModel
    from models.export_plan import ExportPlan


def plan_of(module: InspectionModel, size: tuple[int, int]) -> ExportPlan:
    """Ask a model how it leaves torch, for images of a size (height, width).

    Raises:
        ConfigError: No graph can hold the model, and no runner makes up for it.
    """
    try:
        plan = module.export_plan(size)
    except ValueError as error:  # a setting that no runner can follow
        raise ConfigError(str(error)) from error
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
    composition = dict(plan_of(module, size).composition)
    return composition if module.tiling is None else composition | {"tiles": module.tiling.to_plain(size)}
