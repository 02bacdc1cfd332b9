"""``loupe export``: a trained run as a bundle that judges images without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .configuring.config import parse_overrides, require_values
from .errors import ConfigError
from .runs.run_state import is_finished, unfinished
from .runs.trained import find_trained
from .signals import keeping_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .runs.trained import Trained

PRECISIONS = ("fp32", "fp16", "int8")
EPILOG = """examples:
  loupe export run=runs/fiber-patchcore/2026-01-31_12-00-00
  loupe export run=RUN precisions=[fp32,int8] out=bundles/fiber
  loupe export sweep=sweeps/fiber metric=image_auroc
  loupe export sweep=sweeps/lines data=fiber         # of a sweep over several data sets

The export fails, and says where, unless the bundle judges calibration pictures and odd files as the checkpoint does.
Then: loupe predict bundle=RUN/bundle source=PATH, or anywhere else: python BUNDLE/predict.py PATH"""


def main(args: Sequence[str]) -> int:
    """Export from overrides; return the exit status."""
    return run_verb("export", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Find the run, and export it unless the config is only to be shown."""
    trained = find(overrides)
    precisions = list(trained.config.precisions)
    if wrong := [name for name in precisions if name not in PRECISIONS]:
        raise ConfigError(f"Expected precisions to be some of {', '.join(PRECISIONS)}, but found {wrong[0]!r}.")
    for key in ("pictures", "samples"):
        if trained.config[key] < 1:
            raise ConfigError(f"Expected {key} to be at least 1, but found {trained.config[key]}.")
    if show:
        print_config(trained.config)
        return
    require_values(trained.config)
    if trained.folder is not None and not is_finished(trained.folder) and not trained.config.unfinished:
        raise ConfigError(f"{unfinished(trained.folder)}, or export it as it is with unfinished=true.")
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .bundles.exporting import export  # noqa: PLC0415

    with keeping_note(lambda: "no bundle was written; run the command again"):
        export(trained)


def find(overrides: Sequence[str]) -> Trained:
    """Find what ``run=`` names, or the best run of ``sweep=``."""
    values = {override.key_or_group: override.value() for override in parse_overrides(overrides)}
    if values.get("run") is not None and values.get("sweep") is not None:
        raise ConfigError("Expected run or sweep, but found both; leave one out.")
    if values.get("sweep") is not None:
        from .sweeps.data_names import is_data_of  # noqa: PLC0415 - only sweeps need it
        from .sweeps.journal import read_trials  # noqa: PLC0415
        from .sweeps.leaderboard import OBJECTIVE, best_run, existing_sweep  # noqa: PLC0415

        metric, data = str(values.get("metric") or OBJECTIVE), values.get("data")
        folder = existing_sweep(str(values["sweep"]))
        if data is not None and is_data_of(list(read_trials(folder).values()), str(data)):
            overrides = [override for override in overrides if not override.startswith("data=")]
        else:
            data = None  # it changes the group data, as for a run
        overrides = [*overrides, f"run={best_run(folder, metric, None if data is None else str(data))}"]
    return find_trained("export", overrides, changeable=("data", "acceptance"))
