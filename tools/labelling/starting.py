"""The heavy half of ``loupe label``: from its config to a page that is served, or to what is printed or written."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI

from datamodules.errors import DataError
from datamodules.files.csv_text import LINE_END, Rows, guarded
from datamodules.progress import working
from tools.errors import ConfigError
from tools.runner.owning import Owner
from tools.runner.predicting import Options, predict
from tools.runner.specification import BundleError
from tools.runner.writing import RECORD, TABLE
from tools.runs.known_runs import find_run
from tools.runs.options import as_list
from tools.runs.run_files import CONFIG
from tools.runs.run_folder import RunFolder
from tools.runs.trained import find_trained
from tools.serving.catalogue import open_bundle, open_run
from tools.serving.counting import Counters
from tools.serving.frame import frame_router, guard
from tools.serving.limits import MEGA, Limits
from tools.serving.running import open_socket, serve

from .api import STATIC, router
from .desk import Desk, Order
from .foreign import write_coco, write_labelme
from .gathering import items_of_data, scored_by
from .images_file import write_images
from .items import Gathered, items_of_predictions, items_of_run
from .journal import JOURNAL, Journal
from .labels_file import write_labels
from .leases import Leases
from .lens import Alike, Lens
from .masks import MASKS, Masks
from .returning import return_labels
from .room import Room
from .seeing import Sights
from .teaching import Teacher

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig

    from tools.runner.judge import Judge

PATHS = frozenset({"/", "/label", "/login", "/static"})
JUDGED = "predictions"
LARGEST_MB = 64


def start(config: DictConfig, by: str) -> None:
    """Show, write or serve, as the config says.

    Raises:
        ConfigError: Nothing can be labelled so, or somebody else serves the page already.
        DataError: There are no images, or the journal is damaged.
    """
    out = out_of(config)
    try:
        out.mkdir(parents=True, exist_ok=True)
        owner = Owner(out)
    except BundleError as error:
        raise ConfigError(
            f"Expected nobody else to label into {out}, but another process does; several people use one page: "
            "open it, and type your name there."
        ) from error
    except OSError as error:
        raise ConfigError(f"Expected out to be a folder to write to, but {out}: {error.strerror}.") from error
    try:
        room = open_room(config, out, by)
        if config.show is not None:
            print(SHOWN[str(config.show)](room.desk), end="")
        elif config.export is not None:
            print(_export(room, str(config.export)))
        else:
            _serve(room, config)
    finally:
        owner.release()


def open_room(config: DictConfig, out: Path, by: str) -> Room:
    """Gather the images, and open journal and desk."""
    opener = _opener(config)
    lens = Lens(opener)
    gathered = gather_images(config, out, opener)
    for remark in gathered.remarks:
        print(remark)
    desk = Desk(gathered, Journal(out / JOURNAL), Leases(), Order(config.random, config.seed), list(config.types))
    write_images(desk, out)
    masks = Masks(out / MASKS)
    white = config.data.white_level if config.data is not None else None
    room = Room(
        desk, masks, Sights(white), lens, Alike(desk), out, by, _title(config), Teacher(_run_of(config), desk, lens)
    )
    room.exports = {
        "csv": lambda: f"Labels {write_labels(desk, out)}",
        "coco": lambda: f"COCO {write_coco(desk, masks, out)}",
        "labelme": lambda: f"Files of labelme's {write_labelme(desk, masks, out)}",
    }
    if config.data is not None:
        room.exports["data"] = partial(_into_data, config, room)
    return room


def gather_images(config: DictConfig, out: Path, opener: Callable[[], Judge] | None) -> Gathered:
    """Find the images: those of ``data``, ``source`` or ``run``; judge them first where nobody has.

    Raises:
        ConfigError: A model or data cannot be opened.
        DataError: There are no images.
    """
    if config.data is not None:
        with working("listing images"):
            gathered = items_of_data(config)
        if opener is None:
            return gathered
        files = sorted({str(item.path) for item in gathered.items.values() if not item.box})
        return scored_by(gathered, _judged(files, out, opener)) if files else gathered
    if config.source is not None:
        sources = as_list(config.source)
        if len(sources) == 1 and _holds_predictions(Path(sources[0])):
            return items_of_predictions(Path(sources[0]))
        if opener is None:
            raise DataError(
                f"Expected source to be a folder with predictions.csv, as loupe predict writes it, but found none at "
                f"{sources[0]}; give run= or bundle= to judge its images, or data.root= to label without a model."
            )
        return _judged(sources, out, opener)
    return items_of_run(RunFolder.open(find_run(str(config.run))))


def out_of(config: DictConfig) -> Path:
    """Return the folder of the journal."""
    if config.out is not None:
        return Path(str(config.out)).expanduser()
    if config.data is not None:
        return Path("labels") / Path(str(config.data.root)).expanduser().resolve().name
    if config.source is not None and _holds_predictions(place := Path(as_list(config.source)[0]).expanduser()):
        return (place if place.is_dir() else place.parent) / "labels"
    if config.run is not None:
        return RunFolder.open(find_run(str(config.run))).path / "labels"
    return Path("labels") / Path(as_list(config.source)[0]).expanduser().resolve().name


def queue_text(desk: Desk) -> str:
    """List the images in the order in which they are shown, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(Rows(text), lineterminator=LINE_END)
    writer.writerow(("image", "score", "threshold", "picked", "label"))
    labelled = {name for name, item in desk.gathered.items.items() if item.given or desk.journal.state.label(name)}
    for one in desk.queue.order(labelled):
        item, label = desk.item(one.name), desk.journal.state.label(one.name)
        verdict = label.mark.verdict if label is not None else item.given.verdict if item.given is not None else ""
        writer.writerow(guarded(value) for value in (one.name, item.score, item.threshold, one.picked, verdict))
    return text.getvalue()


def history_text(desk: Desk) -> str:
    """Tell every line of the journal in words."""
    lines = []
    for entry in desk.journal.state.entries.values():
        before, after = ("nothing" if mark is None else _worded(asdict(mark)) for mark in (entry.before, entry.after))
        act = "" if entry.act == "mark" else f" ({entry.act}{f' of {entry.of}' if entry.of else ''})"
        lines.append(f"{entry.number} {entry.when} {entry.by}: {entry.image}: {before} -> {after}{act}\n")
    return "".join(lines)


SHOWN: dict[str, Callable[[Desk], str]] = {
    "queue": queue_text,
    "agreement": lambda desk: json.dumps(desk.agreement(), indent=2, ensure_ascii=False) + "\n",
    "history": history_text,
    "counts": lambda desk: json.dumps(desk.counts(), indent=2, ensure_ascii=False) + "\n",
}


def make_app(room: Room, token: str | None) -> FastAPI:
    """Put the page's server together; no page of it asks another host for anything."""
    app = FastAPI(title="Loupe", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.room = room
    app.include_router(router)
    app.include_router(frame_router(token, STATIC))
    limits = Limits(file_bytes=LARGEST_MB * MEGA, request_bytes=LARGEST_MB * MEGA)
    guard(app, limits, token, Counters(), PATHS)
    return app


def _serve(room: Room, config: DictConfig) -> None:
    token = None if config.token is None else str(config.token)
    bound = open_socket(str(config.host), config.port)
    room.lens.warm()
    port = bound.getsockname()[1]
    host = f"[{config.host}]" if ":" in str(config.host) else str(config.host)
    counts = room.desk.counts()
    print(f"{counts['images']} images, {counts['labelled']} of them labelled; all that is said goes to {room.out}")
    serve(make_app(room, token), bound, f"Labelling at http://{host}:{port} (Ctrl-C ends it)")
    print(f"Labels {write_labels(room.desk, room.out)}")


def _judged(sources: list[str], out: Path, opener: Callable[[], Judge]) -> Gathered:
    """Judge images, once by each state of a model: after ``loupe calibrate`` or ``extend`` it is another."""
    with working("opening the model"):
        judge = opener()
    state = hashlib.sha256(json.dumps(judge.about, sort_keys=True).encode()).hexdigest()[:12]
    folder = out / JUDGED / state
    try:
        print(predict(judge, sources, folder, Options(overlays="none", errors="ok")))
    except BundleError as error:
        raise ConfigError(f"{error} Its folder is that of an earlier call: give another out=.") from error
    return items_of_predictions(folder)


def _opener(config: DictConfig) -> Callable[[], Judge] | None:
    if config.bundle is not None:
        return partial(open_bundle, str(config.bundle))
    run = _run_of(config)
    return None if run is None else partial(open_run, run)


def _run_of(config: DictConfig) -> str | None:
    """Name the run whose scores are shown; none where a bundle judges, or nothing is known."""
    if config.bundle is not None:
        return None
    if config.run is None and config.source is not None:
        return _run_of_predictions(Path(as_list(config.source)[0]).expanduser())
    return None if config.run is None else str(config.run)


def _run_of_predictions(folder: Path) -> str | None:
    """Find the run that judged, if its predictions name one that is there."""
    if not (folder / CONFIG).is_file() or not (folder / RECORD).is_file():
        return None
    try:
        run = str(RunFolder(folder).load_config().run)
        return run if find_trained("predict", [f"run={run}"], changeable=()).checkpoint.is_file() else None
    except (ConfigError, AttributeError):
        return None


def _holds_predictions(path: Path) -> bool:
    path = path.expanduser()
    return (path.is_file() and path.suffix == ".csv") or any((path / name).is_file() for name in (RECORD, TABLE))


def _into_data(config: DictConfig, room: Room) -> str:
    known = config.data.get("defective_classes") if config.choices.data == "meta_atom" else None
    root, data = Path(str(config.data.root)), str(config.choices.data)
    return str(return_labels(room.desk, room.masks, data, root, room.out, tuple(known or ())))


def _export(room: Room, what: str) -> str:
    if what not in room.exports:
        raise ConfigError(f"Expected export to be {', '.join(room.exports)}, but found {what!r}; data needs data=.")
    return room.exports[what]()


def _title(config: DictConfig) -> str:
    what = config.data.root if config.data is not None else config.source or config.run
    return Path(str(as_list(what)[0] if config.source is not None and config.data is None else what)).name or "images"


def _worded(mark: dict[str, str]) -> str:
    return " ".join(part for part in (mark["verdict"], mark["type"], "with a mask" if mark["mask"] else "") if part)
