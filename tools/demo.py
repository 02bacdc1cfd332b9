"""``loupe demo``: the whole way from pictures to a report, on drawn pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .config import compose_config, require_values
from .door import open_door, print_config

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = """examples:
  loupe demo
  loupe demo data.domain=meta_atom"""


def main(args: Sequence[str]) -> int:
    """Run the demo; return the exit status."""
    return open_door("demo", args, run, EPILOG)


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Compose the demo's config, and train unless it is only to be shown."""
    config = compose_config("demo", overrides)
    if show:
        print_config(config)
        return
    require_values(config)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .training import train  # noqa: PLC0415

    subject = config.data.get("domain", config.choices.data)
    print(f"Drawing pictures ({subject}), training, testing: a minute or two.")
    print("For your own pictures: loupe train data=folder data.root=PATH")
    train(config)
