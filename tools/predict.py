"""``loupe predict``: verdicts on files, folders or globs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .config import require_values
from .door import open_door, print_config
from .errors import ConfigError
from .runs.trained import find_trained

if TYPE_CHECKING:
    from collections.abc import Sequence

OVERLAYS = ("defective", "all", "none")
EPILOG = """examples:
  loupe predict run=runs/fiber-patchcore/2026-01-31_12-00-00 source=PATH
  loupe predict run=best.ckpt 'source=[a.png, pictures/*.jpg]' overlay=all

A picture that cannot be read becomes a row that says why; the others go on."""


def main(args: Sequence[str]) -> int:
    """Predict from overrides; return the exit status."""
    return open_door("predict", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Find the run, and judge the source unless the config is only to be shown."""
    trained = find_trained("predict", overrides, changeable=("data",))
    if trained.config.overlay not in OVERLAYS:
        raise ConfigError(f"Expected overlay to be one of {', '.join(OVERLAYS)}, but found {trained.config.overlay!r}.")
    if show:
        print_config(trained.config)
        return
    trained.config.data.root = "."  # the run's own pictures play no part
    require_values(trained.config)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.predicting import predict  # noqa: PLC0415

    predict(trained)
