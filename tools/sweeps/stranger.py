"""The plan of a sweep whose command nobody typed: read back from a journal, it may be a stranger's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from configs import CONFIG_DIR
from tools.configuring.config import parse_override
from tools.configuring.plain_config import read_config
from tools.configuring.trust import ADVICE, check_values, is_trusting
from tools.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from .plan import Plan
    from .space import Axis

HERE = {None, "auto", "local"}  # addresses of Ray that lead to no machine of the journal's choice


def check_plan(plan: Plan, folder: Path) -> None:
    """Refuse a plan that names code, unless the command said ``trust=true``.

    Raises:
        ConfigError: Names the key, and ``trust=true``.
    """
    if is_trusting():
        return
    own = read_config(CONFIG_DIR / "sweep" / "default.yaml").trial
    for key, found, known in (("trial", plan.config.trial, {own}), ("address", plan.config.address, HERE)):
        if found not in known:
            raise ConfigError(
                f"Expected the sweep in {folder} to run here, by Loupe, but found sweep.{key}={found}; {ADVICE}"
            )
    for axis in plan.axes:
        for text in axis.choices:
            check_values(_nested(axis, text), folder)


def _nested(axis: Axis, text: str) -> dict[str, object]:
    """Put the value of an axis under its key, as the config will have it."""
    *above, leaf = axis.key.split(".")
    value: dict[str, object] = {leaf: parse_override(axis.override(text)).value()}
    for name in reversed(above):
        value = {name: value}
    return value
