"""The heavy half of ``loupe serve``: from its config to a server that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from datamodules.progress import working

from .app import make_app
from .archive import Archive
from .camera import CameraWatcher, is_camera
from .catalogue import open_catalogue
from .keeping import Keeper
from .limits import MEGA, Limits
from .recording import Recorder, table_of
from .running import open_socket, serve
from .state import State
from .watching import FolderWatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig

    from .catalogue import Served
    from .watching import Watcher


def start(config: DictConfig, labels_of: Callable[[Path], Path]) -> None:
    """Serve until a signal comes.

    Args:
        config: Of the verb.
        labels_of: Writes the labels of a journal as a table beside it, and returns that.

    Raises:
        ConfigError: A model cannot be opened, or the address is taken.
    """
    keeper = Keeper(config.keep)
    bound = open_socket(str(config.host), config.port)
    with working("opening models"):
        catalogue = open_catalogue(_plain(config.run), _plain(config.bundle), config.batch_size, config.waiting)
    state = State(catalogue, limits_of(config), keeper, None if config.token is None else str(config.token))
    if config.table is not None:
        journal = None if config.journal is None else Path(str(config.journal)).expanduser()
        state.archive = Archive(str(config.table), journal, _plain(config.layers), config.layer_um, labels_of)
        state.recorder = Recorder(str(config.table), [*catalogue.models.values()])
    if config.watch is not None:
        state.watcher = watcher_of(config, catalogue.find(""), state)
    names, port = ", ".join(catalogue.models), bound.getsockname()[1]
    host = f"[{config.host}]" if ":" in str(config.host) else str(config.host)
    serve(make_app(state), bound, f"Serving {names} at http://{host}:{port} (Ctrl-C ends it)")
    print("Ended; everything that was taken has been answered.")


def watcher_of(config: DictConfig, served: Served, state: State) -> Watcher:
    """Open what is watched, and the table that takes its verdicts, if there is one.

    Raises:
        ConfigError: There is no such folder or database.
    """
    asked = str(config.watch)
    if is_camera(asked):
        watcher: Watcher = CameraWatcher(asked, served, state.shelf, float(config.watch_every))
        place = watcher.name if isinstance(watcher, CameraWatcher) else asked
    else:
        watcher = FolderWatcher(asked, served, state.limits, state.shelf)
        place = str(watcher.folder)
    if config.table is not None:
        watcher.sink = table_of(str(config.table), served, Path(place))
    return watcher


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
