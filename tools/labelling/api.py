"""What the page asks of its server: images, what is next, and to keep what was said."""

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, Response

from datamodules.errors import DataError, UnreadableImageError
from tools.errors import ConfigError
from tools.serving.frame import PAGES as FRAME
from tools.serving.frame import STYLES, page
from tools.serving.limits import RefusedError

from .desk import FIRST, UnknownError
from .entries import Mark
from .foreign import size_of
from .items import Item
from .journal import NothingToTurnError
from .lens import BusyError
from .seeing import Sent, mask_on_disk, png_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .room import Room

PAGES = FRAME.parents[1] / "labelling" / "pages"
SCRIPTS = ("label.js", "view.js", "marks.js", "pointing.js", "sending.js")
STATIC = {
    **STYLES,
    "label.css": (PAGES / "label.css", "text/css"),
    **{
        name: (PAGES / name, "text/javascript")
        for name in ("label.js", "view.js", "marks.js", "pointing.js", "sending.js")
    },
}
LONGEST = 200
AGAIN = {"Cache-Control": "private, max-age=600"}

T = TypeVar("T")

router = APIRouter(include_in_schema=False)

Name = Annotated[str, Query(max_length=4000)]
Word = Annotated[str, Query(max_length=LONGEST)]


class Opinion(BaseModel):
    """A verdict on its way.

    ``mask`` is a PNG in base 64, ``keep`` for the one that the image has, or empty.
    """

    request: str = Field(min_length=8, max_length=LONGEST)
    by: str = Field(min_length=1, max_length=LONGEST)
    image: str = Field(max_length=4000)
    verdict: str = Field(max_length=20)
    type: str = Field("", max_length=LONGEST)
    mask: str = ""
    which: str = FIRST


class Turn(BaseModel):
    """Something to undo, or to do again."""

    request: str = Field(min_length=8, max_length=LONGEST)
    by: str = Field(min_length=1, max_length=LONGEST)
    which: str = FIRST


class Here(BaseModel):
    """Somebody who is still there."""

    by: str = Field(min_length=1, max_length=LONGEST)


class Lesson(BaseModel):
    """A good image that the model shall learn."""

    by: str = Field(min_length=1, max_length=LONGEST)
    image: str = Field(max_length=4000)


class Wanted(BaseModel):
    """Something to write."""

    what: str = Field(max_length=LONGEST)


@router.get("/")
def home(request: Request) -> HTMLResponse:
    """Show the page."""
    room = _room(request)
    about = {"title": room.title, "by": room.by, "out": str(room.out), "exports": list(room.exports)}
    return page("label.html.j2", folder=PAGES, about=about, has_model=room.lens.there, can_learn=room.teacher.there)


@router.get("/label/next")
def upcoming(request: Request, by: Word, which: Word = FIRST) -> dict[str, Any]:
    """Return the next images for a person, and how many there are of each sort."""
    room = _room(request)
    return _next(room, by, which) | {"types": room.desk.types}


@router.get("/label/shown")
def shown(request: Request, image: Name, by: Word, which: Word = FIRST) -> dict[str, Any]:
    """Say what is shown beside an image."""
    return _known(lambda: _room(request).desk.shown(image, by, which))


@router.get("/label/summary")
def summary(request: Request) -> dict[str, Any]:
    """Count what was labelled, and say how far inspectors agree."""
    desk = _room(request).desk
    return {"counts": desk.counts(), "agreement": desk.agreement(), "types": desk.types}


@router.post("/label/say")
def say(request: Request, opinion: Opinion) -> dict[str, Any]:
    """Keep a verdict: it is on the disk before this answers."""
    room = _room(request)

    def keep() -> dict[str, Any]:
        item = room.desk.item(opinion.image)
        mark = Mark(opinion.verdict, opinion.type.strip(), _mask(room, item, opinion))
        entry = room.desk.say(opinion.request, opinion.by, opinion.image, mark, opinion.which)
        return {"number": entry.number, "image": entry.image} | _next(room, opinion.by, opinion.which)

    return _known(keep)


@router.post("/label/undo")
def undo(request: Request, turn: Turn) -> dict[str, Any]:
    """Take back a person's last verdict, and return to its image."""
    room = _room(request)
    return _known(lambda: _turned(room, room.desk.journal.undo(turn.request, turn.by).image, turn))


@router.post("/label/redo")
def redo(request: Request, turn: Turn) -> dict[str, Any]:
    """Restore the verdict that a person took back last."""
    room = _room(request)
    return _known(lambda: _turned(room, room.desk.journal.redo(turn.request, turn.by).image, turn))


@router.post("/label/learn")
def learn(request: Request, lesson: Lesson) -> dict[str, Any]:
    """Let the model learn an image that counts as good; this takes as long as ``loupe extend`` takes."""
    room = _room(request)
    item = _known(lambda: room.desk.item(lesson.image))
    try:
        return {"said": room.teacher.teach(item, lesson.by)}
    except (ConfigError, DataError, OSError) as error:
        raise RefusedError(409, str(error)) from error


@router.post("/label/here")
def here(request: Request, somebody: Here) -> dict[str, Any]:
    """Note that a person is still there: the images that they hold stay theirs."""
    room = _room(request)
    room.desk.leases.touch(somebody.by)
    return {}


@router.post("/label/export")
def export(request: Request, wanted: Wanted) -> dict[str, Any]:
    """Write what is known for others."""
    write = _room(request).exports.get(wanted.what)
    if write is None:
        raise RefusedError(404, f"Expected one of {', '.join(_room(request).exports)}, but found {wanted.what!r}.")
    try:
        return {"said": write()}
    except (DataError, OSError) as error:
        raise RefusedError(409, str(error)) from error


@router.get("/label/image")
def image(request: Request, image: Name, part: Word = "image") -> Response:
    """Give an image, or a layer over it: image, before, after, map, model, drawn or disk."""
    room = _room(request)
    item = _known(lambda: room.desk.item(image))
    try:
        sent = _sent(room, item, part)
    except (UnreadableImageError, OSError) as error:
        raise RefusedError(404, str(error)) from error
    except BusyError:
        return Response(status_code=204)  # ask again: the page does, and nobody is told of an error
    if sent is None:
        raise RefusedError(404, f"Expected something to show as {part!r}, but there is none.")
    keep = {} if part == "drawn" else AGAIN
    return Response(sent.png, media_type="image/png", headers=sent.headers | keep)


@router.get("/label/beside")
def beside(request: Request, image: Name) -> dict[str, Any]:
    """Name what is shown beside an image: the layers before and after it, or a good one that looks alike."""
    room = _room(request)
    item = _known(lambda: room.desk.item(image))
    layers = [part for part, path in (("before", item.before), ("after", item.after)) if path]
    return {"layers": layers, "good": "" if layers else room.alike.nearest_good(image)}


def _sent(room: "Room", item: Item, part: str) -> Sent | None:
    if part == "image":
        return room.sights.image(item.path, item.box)
    if part in {"before", "after"}:
        path = item.before if part == "before" else item.after
        return None if path is None else room.sights.image(path)
    if part == "disk":
        return Sent(mask_on_disk(item))
    if part == "drawn":
        label = room.desk.journal.state.label(item.name)
        if label is None or not label.mark.mask:
            return None
        return Sent(png_of(room.masks.read(label.mark.mask).astype("uint8") * 255))
    seen = room.lens.see(item) if part in {"map", "model"} else None
    return None if seen is None else Sent(seen.map if part == "map" else seen.mask)


def _mask(room: "Room", item: Item, opinion: Opinion) -> str:
    if opinion.mask == "keep":
        label = room.desk.journal.state.label(item.name)
        return "" if label is None else label.mark.mask
    if not opinion.mask:
        return ""
    try:
        return room.masks.keep(base64.b64decode(opinion.mask, validate=True), size_of(item))
    except (ValueError, binascii.Error) as error:
        raise RefusedError(422, str(error)) from error


def _next(room: "Room", by: str, which: str) -> dict[str, Any]:
    desk = room.desk
    names = _known(lambda: desk.upcoming(by, which))
    return {"next": [desk.shown(name, by, which) for name in names]}


def _turned(room: "Room", name: str, turn: Turn) -> dict[str, Any]:
    return {"image": room.desk.shown(name, turn.by, turn.which)} | _next(room, turn.by, turn.which)


def _known(ask: "Callable[[], T]") -> T:
    """Call the desk, and turn what it refuses or could not store into HTTP errors."""
    try:
        return ask()
    except UnknownError as error:
        raise RefusedError(404, str(error)) from error
    except NothingToTurnError:
        raise RefusedError(409, "Expected something to take back or to do again, but there is nothing more.") from None
    except OSError as error:
        reason = f"Expected the disk to keep it, but: {error.strerror}; nothing was kept. Make room, and say it again."
        raise RefusedError(507, reason) from error


def _room(request: Request) -> "Room":
    room: Room = request.app.state.room
    return room
