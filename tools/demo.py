"""``loupe demo``: the whole way from pictures to a report, on drawn pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from .training import train  # noqa: PLC0415 - torch and anomalib take seconds to import; errors must not wait

    subject = config.data.get("domain", config.choices.data)
    print(f"Drawing pictures ({subject}), training, testing: a minute or two.")
    train(config)
    print("Open the report in a browser. Then train on your own pictures: loupe train data=folder data.root=PATH")
