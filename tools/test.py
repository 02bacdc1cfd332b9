"""``loupe test``: a run on its own test images, or on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .configuring.config import parse_overrides, require_values
from .runs.run_state import warn_of_unfinished
from .runs.trained import find_trained, require_one_model
from .signals import keeping_note

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANGEABLE = ("data", "trainer", "callbacks", "acceptance", "report")
LOADING = {"data.batch_size", "data.num_workers"}  # how images are loaded, not which
EPILOG = """examples:
  loupe test latest
  loupe test run=runs/fiber-patchcore/2026-01-31_12-00-00
  loupe test run=best.ckpt data=folder data.root=PATH
  loupe test run=runs/fiber-patchcore/2026-01-31_12-00-00 report=true    # a page for a run that was trained without

With other data, every picture is tested that the data itself does not keep for training, except for those that the run
was trained or calibrated on."""


def main(args: Sequence[str]) -> int:
    """Test from overrides; return the exit status."""
    return run_verb("test", args, run, EPILOG, shown=("data", "trainer"))


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Find the run, and test it unless its config is only to be shown."""
    trained = find_trained("test", overrides, CHANGEABLE)
    require_one_model(trained, "test")
    if show:
        print_config(trained.config)
        return
    keys = {override.key_or_group for override in parse_overrides(overrides)}
    changed = {key for key in keys if key.split(".", 1)[0] == "data"} - LOADING
    if changed and "data.split_from" not in keys and "split_from" in trained.config.data:
        trained.config.data.split_from = None  # what the run was trained with says nothing of other images
    if changed and not {"data.test_share", "data.calibration_share"} & keys:
        trained.config.data.test_share, trained.config.data.calibration_share = 1.0, 0.0
    require_values(trained.config)
    warn_of_unfinished(trained.folder)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.retesting import retest  # noqa: PLC0415

    with keeping_note(lambda: "the run itself is unchanged; run the command again"):
        retest(trained, other_data=bool(changed))
