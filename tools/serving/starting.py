"""The heavy half of ``loupe serve``: from its config to a server that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from datamodules.progress import working

from .app import make_app
from .catalogue import open_catalogue
from .keeping import Keeper
from .limits import MEGA, Limits
from .running import open_socket, serve
from .state import State
from .watching import Watcher

if TYPE_CHECKING:
    from omegaconf import DictConfig


def start(config: DictConfig) -> None:
    """Serve until a signal comes.

    Raises:
        ConfigError: A model cannot be opened, or the address is taken.
    """
    keeper = Keeper(config.keep)
    bound = open_socket(str(config.host), config.port)
    with working("opening models"):
        catalogue = open_catalogue(_plain(config.run), _plain(config.bundle), config.batch_size, config.waiting)
    state = State(catalogue, limits_of(config), keeper, None if config.token is None else str(config.token))
    if config.watch is not None:
        state.watcher = Watcher(config.watch, catalogue.find(""), state.limits, state.shelf)
    names, port = ", ".join(catalogue.models), bound.getsockname()[1]
    host = f"[{config.host}]" if ":" in str(config.host) else str(config.host)
    serve(make_app(state), bound, f"Serving {names} at http://{host}:{port} (Ctrl-C ends it)")
    print("Ended; everything that was taken has been answered.")


def limits_of(config: DictConfig) -> Limits:
    """Gather the limits."""
    return Limits(
        file_bytes=round(config.max_file_mb * MEGA),
        request_bytes=round(config.max_request_mb * MEGA),
        files=config.max_files,
        pixels=round(config.max_megapixels * MEGA),
        waiting=config.waiting,
        seconds=config.timeout,
    )


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
