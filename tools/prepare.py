"""``loupe prepare DOMAIN``: raw images to tiles, labels and splits.

A domain is a file ``configs/prepare_DOMAIN.yaml``, which names what does it: some
``datamodules.prepare.preparation.Preparation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from configs import CONFIG_DIR

from .command import HELP_FLAGS, help_text, print_config, run_verb
from .configuring.config import compose_config, nearest, require_values
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = """examples:
  loupe prepare oring source=PATH out=PATH
  loupe prepare oring source=PATH out=PATH kind=model1 tile=512 overlap=64
  loupe prepare oring --help

A file that cannot be used is named and left out; the others go on. The same source and keys give the same bytes."""


def main(args: Sequence[str]) -> int:
    """Prepare from a domain and overrides; return the exit status."""
    named = [arg for arg in args if arg in domains()]
    if named and HELP_FLAGS & set(args):
        print(help_text(f"prepare_{named[0]}", EPILOG, shown=()).replace("loupe prepare_", "loupe prepare "))
        return 0
    epilog = f"domains: {', '.join(domains())}; each has keys of its own: loupe prepare DOMAIN --help\n\n{EPILOG}"
    return run_verb("prepare", args, run, epilog, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Compose the domain's config, and prepare unless it is only to be shown."""
    domain, rest = _domain(overrides)
    config = compose_config(f"prepare_{domain}", rest)
    config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "choices"])
    if show:
        print_config(config)
        return
    require_values(config)
    from .runs.preparing import prepare  # noqa: PLC0415 - torch and anomalib take seconds to import; errors must not wait

    prepare(config)


def domains() -> list[str]:
    """List the domains that can be prepared."""
    return sorted(path.stem.removeprefix("prepare_") for path in CONFIG_DIR.glob("prepare_*.yaml"))


def _domain(args: Sequence[str]) -> tuple[str, list[str]]:
    """Take the domain out of the arguments.

    Raises:
        ConfigError: There is none, there are several, or it cannot be prepared.
    """
    words = [arg for arg in args if "=" not in arg]
    if len(words) != 1 or words[0] not in domains():
        near = nearest(words[0], domains()) if words else None
        hint = f"did you mean 'loupe prepare {near}'?" if near else f"there are: {', '.join(domains())}."
        raise ConfigError(f"Expected one domain, but found {' '.join(words) or 'none'}; {hint}")
    return words[0], [arg for arg in args if arg != words[0]]
