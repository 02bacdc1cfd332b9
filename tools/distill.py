"""``loupe distill``: a feature network of one's own, from images without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .configuring.config import compose_config, require_values
from .configuring.side_by_side import NETWORKS
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

STUDENTS = ("loupe_net", "pdn_s", "pdn_m")
EPILOG = """examples:
  loupe distill teacher.weights=FILE data=PATH out=features
  loupe distill teacher=wide_resnet50_2 'data=[PATH,PATH]' out=features rounds=200
  loupe distill teacher.name=resnet50 teacher.weights=hub data=PATH out=features
  loupe distill 'teacher=[loupe,efficientnet_lite0]' start=grown data=PATH out=features
  loupe distill student=pdn_s teacher=wide_resnet50_2 teacher.layers=[2,3] data=PATH out=teacher

Then:
  loupe train backbone=loupe backbone.weights=features/loupe_net.safetensors ...
  loupe train model=efficient_ad_s model.teacher.weights=teacher/pdn_s.safetensors ...

Stop it whenever you like: the same command goes on after the last whole round.
Watch it with tensorboard --logdir OUT."""


def main(args: Sequence[str]) -> int:
    """Distill from overrides; return the exit status."""
    return run_verb("distill", args, run, EPILOG, shown=["teacher"])


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Compose the config, and distill unless it is only to be shown."""
    config = compose_config("distill", overrides)
    if config.student not in STUDENTS:
        raise ConfigError(f"Expected student to be one of {', '.join(STUDENTS)}, but found {config.student!r}.")
    if show:
        print_config(config)
        return
    require_values(config)
    teachers = config.teacher.get(NETWORKS, {"teacher": config.teacher}).values()
    if any(teacher.weights == "none" for teacher in teachers):
        raise ConfigError(
            "Expected a teacher that has learnt something, but found teacher.weights=none; give a file with "
            "teacher.weights=PATH, or teacher=loupe, which ships with Loupe."
        )
    with working("loading torch"):  # here, since help and errors must not wait for it
        from .runs.distilling import distill_images  # noqa: PLC0415

    distill_images(config)
