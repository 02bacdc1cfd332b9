"""``loupe serve``: trained runs and bundles in a browser, and for programs."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from configs import CONFIG_DIR

from .command import print_config, run_verb
from .configuring.config import apply_overrides, parse_overrides
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NEEDED = ("fastapi", "uvicorn", "python_multipart")
LOCAL = ("127.0.0.1", "localhost", "::1")
LARGEST_PORT = 65535
SHORTEST_TOKEN = 8
EPILOG = """examples:
  loupe serve latest                                  # then open http://127.0.0.1:8000
  loupe serve bundle=RUN/bundle                       # needs no torch
  loupe serve run={top: RUN, side: RUN}               # several, chosen by name
  loupe serve latest watch=rtsp://camera/stream      # the newest verdict large, at /watch
  loupe serve latest table=sqlite:///results.db       # print jobs, and flagged against confirmed
  loupe serve latest host=0.0.0.0 token=LONG_SECRET   # for others in the house
  curl -F files=@a.png -F files=@b.png http://127.0.0.1:8000/predict

docs/serve.md has more."""


def main(args: Sequence[str]) -> int:
    """Serve from overrides; return the exit status."""
    return run_verb("serve", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Open what is to be served, and answer until a signal comes, unless the config is only to be shown."""
    config = OmegaConf.load(CONFIG_DIR / "serve.yaml")
    if not isinstance(config, DictConfig):
        raise TypeError("Expected serve.yaml to hold keys.")
    apply_overrides(config, parse_overrides(overrides))
    check(config)
    if show:
        print_config(config)
        return
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"Expected {missing[0]} to be installed, but found none; run: pip install 'loupe-inspect[serve]'"
        )
    from .serving.starting import start  # noqa: PLC0415 - help and errors must not wait for it

    start(config, _labels_of)


def _labels_of(journal: Path) -> Path:
    """Write what a journal of ``loupe label`` says as a table; return that."""
    from .labelling.images_file import labels_of_journal  # noqa: PLC0415 - only servers with a journal need it

    return labels_of_journal(journal)


def check(config: DictConfig) -> None:
    """Refuse values with which nothing could be served, or strangers could come in.

    Raises:
        ConfigError: Names the key.
    """
    if config.run is None and config.bundle is None:
        raise ConfigError("Expected run= or bundle=, but found neither; loupe runs lists the runs that there are.")
    for key in ("batch_size", "waiting", "max_files", "max_file_mb", "max_request_mb", "max_megapixels", "timeout"):
        if not 0 < config[key] < float("inf"):
            raise ConfigError(f"Expected {key} to be above 0, but found {config[key]}.")
    if not 0 < config.watch_every < float("inf"):
        raise ConfigError(f"Expected watch_every to be above 0, but found {config.watch_every}.")
    check_prints(config)
    check_address(config)


def check_prints(config: DictConfig) -> None:
    """Refuse what a table of verdicts cannot be shown with.

    Raises:
        ConfigError: Names the key.
    """
    for key in ("journal", "layers", "layer_um"):
        if config[key] is not None and config.table is None:
            raise ConfigError(f"Expected table= beside {key}=, which is about verdicts that it holds, but found none.")
    if config.layer_um is not None and not (_is_number(config.layer_um) and 0 < config.layer_um < float("inf")):
        raise ConfigError(f"Expected layer_um to be above 0, or null, but found {config.layer_um!r}.")
    layers = (
        [] if config.layers is None else config.layers.values() if hasattr(config.layers, "values") else [config.layers]
    )
    for value in layers:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"Expected layers to be a number from 1, or {{JOB: NUMBER}}, but found {value!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_address(config: DictConfig) -> None:
    """Refuse an address that is none, or one that lets strangers in without a token.

    Raises:
        ConfigError: Names the key.
    """
    if not 0 <= config.port <= LARGEST_PORT:
        raise ConfigError(f"Expected port to be from 0 to {LARGEST_PORT}, but found {config.port}.")
    if not str(config.host):
        raise ConfigError("Expected host to be an address, but found nothing; host=127.0.0.1 is this machine alone.")
    if config.token is None and str(config.host) not in LOCAL:
        raise ConfigError(
            f"Expected a token, since host={config.host} lets other machines in, but found none; set token=LONG_SECRET."
        )
    if config.token is not None and len(str(config.token)) < SHORTEST_TOKEN:
        raise ConfigError(f"Expected token to have at least {SHORTEST_TOKEN} characters, but found fewer.")
