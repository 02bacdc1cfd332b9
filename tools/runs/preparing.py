"""Prepare raw images, and say what was written and what was left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools.configuring.build import build

from .ownership import sole_writer

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from datamodules.prepare.preparation import Preparation, Prepared

NAMED = 10  # files left out that are named on the screen


def prepare(config: DictConfig) -> None:
    """Build what the config names, let it write, and print what it did."""
    preparation: Preparation = build(config, "prepare")
    out = Path(config.out).expanduser()
    with sole_writer(out.parent if out.suffix else out):  # limits are one file
        print(report(preparation.write()))


def report(prepared: Prepared) -> str:
    """Say what was written and what was left out."""
    counts = ", ".join(f"{name} {count}" for name, count in prepared.tiles.items())
    cut = f"Cut {prepared.images} pictures to {sum(prepared.tiles.values())} tiles ({counts}) in {prepared.out}"
    lines = [prepared.summary or cut, *prepared.notes]
    if prepared.left_out:
        lines.append(f"Problems, {len(prepared.left_out)} in all:")
        lines += [f"  {problem}" for problem in prepared.left_out[:NAMED]]
        if len(prepared.left_out) > NAMED:
            lines.append(f"  and {len(prepared.left_out) - NAMED} more: the summary in that folder names them all")
    lines.append(f"Next: {prepared.next_step}")
    return "\n".join(lines)
