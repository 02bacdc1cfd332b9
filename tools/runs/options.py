"""From the keys of ``configs/predict.yaml`` to the runner's options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omegaconf import ListConfig

from tools.runner.predicting import Options

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig


ERRORS_EXPECTED = "If that is expected, set errors=ok."


def options_of(config: DictConfig, batch_size: int, model: str = "") -> Options:
    """Gather the options; ``model`` says in words what judges, for the page."""
    return Options(
        kind=config.kind,
        batch_size=batch_size,
        every=config.every,
        overlays=config.overlay,
        masks=config.mask,
        errors=config.errors,
        page=config.page,
        lot=str(config.lot or ""),
        part=str(config.part or ""),
        model=model,
    )


def how_to_go_on(out: Path) -> str:
    """Say what a prediction that is ended leaves."""
    return f"what was judged so far is kept in {out}; the same command with out={out} goes on"


def as_list(source: Any) -> list[str]:
    """Return one source, or several, as a list of texts."""
    return [str(entry) for entry in source] if isinstance(source, ListConfig | list) else [str(source)]
