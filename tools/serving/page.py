"""What people see: templates of the server, one small script, and images by names that nobody can guess."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response

from datamodules.enhancing.enhancement import ZONES
from tools.runner.familiar import Familiar

from .answers import answer_of
from .api import Files, Kind, Name, judged
from .catalogue import Served
from .frame import PAGES, STYLES, page
from .limits import RefusedError
from .links import links_of
from .receiving import images_of
from .shelf import Shown, Sight, views_of
from .trying import dials_of, tried

if TYPE_CHECKING:
    from .state import State

STATIC = {
    **STYLES,
    "serve.js": (PAGES / "serve.js", "text/javascript"),
    "watch.js": (PAGES / "watch.js", "text/javascript"),
}

MOST_TRIED = 5000  # images that limits are tried on together

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request) -> HTMLResponse:
    """Show the page on which images are dropped."""
    state: State = request.app.state.loupe
    models = [
        served.about()
        | {
            "dials": dials_of(served.judge.acceptance),
            "searches": served.judge.instances,
            "finds": served.judge.find_kind is not None,
            "own": served.judge.own_thresholds(),
        }
        for served in state.catalogue.models.values()
    ]
    return page("home.html.j2", models=models, limits=state.limits, links=links_of(state, "/"))


@router.post("/show")
async def show(request: Request, files: Files, model: Name = "", kind: Kind = "") -> JSONResponse:
    """Judge images as ``/predict`` does, and keep what the page shows of them for a while, under a name."""
    state: State = request.app.state.loupe
    served = state.catalogue.find(model, kind)
    sights = [Sight(image, served.judge) for image in images_of(files, state.limits)]
    results = await judged(request, served, files, [sight.image for sight in sights], kind)

    def draw() -> list[dict[str, Any]]:
        pairs = zip(sights, results, strict=True)
        return [
            answer_of(result, served.name) | {"id": state.shelf.put(sight.draw(result, served))}
            for sight, result in pairs
        ]

    return JSONResponse(await run_in_threadpool(draw))


@router.get("/shown/{name}")
async def shown(request: Request, name: str) -> HTMLResponse:
    """Show what was found on an image."""
    state: State = request.app.state.loupe
    found, served = _find(state, name)
    if found.input_3HW is not None and "reconstruction" not in found.drawn:
        found.drawn |= await _views(found, served)
    filters = [part for part in found.drawn if part.startswith("bottleneck-")]
    decision = served.judge.responsible(found.result.kind).decision
    about = served.about() | {"threshold": found.result.threshold, "promise": decision.promise_of(found.result.kind)}
    answer = answer_of(found.result, found.model)
    nearest = served.likeness.there and found.described is not None
    return page(
        "shown.html.j2",
        name=name,
        answer=answer,
        drawn=found.drawn,
        filters=filters,
        model=about,
        nearest=nearest,
        zones={number: word for word, number in ZONES.items()},
    )


@router.get("/shown/{name}/nearest.webp")
async def nearest(request: Request, name: str) -> Response:
    """Give the good image that looks most like it."""
    state: State = request.app.state.loupe
    found, served = _find(state, name)
    if found.described is None:
        raise RefusedError(404, "Expected an image that could be read, but this could not.")
    image = await run_in_threadpool(served.likeness.nearest, found.described, found.result.kind)
    if image is None:
        raise RefusedError(404, "Expected good images of the training, but none is there any more.")
    return Response(image, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})


class Tried(BaseModel):
    """Other limits for images that the page shows.

    Attributes:
        model: That judged them.
        ids: Their names on the shelf.
        limits: By the names of dials.
        threshold: For the score; None: the calibrated one.
    """

    model: str = Field(max_length=500)
    ids: list[str] = Field(max_length=MOST_TRIED)
    limits: dict[str, float] = {}
    threshold: float | None = None


@router.post("/try")
async def attempt(request: Request, asked: Tried) -> JSONResponse:
    """Say what other limits would make of images, by their names; those that have left the shelf are left out."""
    state: State = request.app.state.loupe
    served = state.catalogue.find(asked.model)
    if asked.threshold is not None and served.judge.instances:
        raise RefusedError(422, "Expected no threshold for a model that finds instances, but found one.")
    held = {name: found.result for name in asked.ids if (found := _held(state, name, served)) is not None}
    try:
        outcome = await run_in_threadpool(tried, [*held.values()], served.judge, asked.limits, asked.threshold)
    except ValueError as error:
        raise RefusedError(422, str(error)) from error
    return JSONResponse(dict(zip(held, outcome, strict=True)))


class Listed(BaseModel):
    """Images that belong together.

    Attributes:
        model: That judged them.
        ids: Their names on the shelf.
    """

    model: str = Field(max_length=500)
    ids: list[str] = Field(max_length=MOST_TRIED)


@router.post("/drift")
async def drift(request: Request, asked: Listed) -> JSONResponse:
    """Say how the images of a lot, as a whole, differ from those of the training."""
    state: State = request.app.state.loupe
    served = state.catalogue.find(asked.model)
    found = [held.result.row() for name in asked.ids if (held := _held(state, name, served)) is not None]

    def conclude() -> list[str]:
        members = served.judge.members
        familiar = Familiar(served.judge.usual, {kind: member.usual for kind, member in members.items()})
        for row in found:
            familiar.add(row)
        return familiar.conclude() if found else []

    return JSONResponse(await run_in_threadpool(conclude))


def _held(state: "State", name: str, served: Served) -> Shown | None:
    found = state.shelf.find(name)
    return found if found is not None and found.model == served.name and not found.result.error else None


@router.get("/shown/{name}/{part}.webp")
async def image(request: Request, name: str, part: str) -> Response:
    """Give an image, or a layer over it."""
    state: State = request.app.state.loupe
    found, _ = _find(state, name)
    if part not in found.drawn:
        raise RefusedError(404, f"Expected an image that is there, but found none named {part!r}.")
    return Response(found.drawn[part], media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})


@router.get("/watch")
async def watch(request: Request) -> HTMLResponse:
    """Show the newest verdict, large."""
    state: State = request.app.state.loupe
    return page("watch.html.j2", watching=state.watcher is not None, links=links_of(state, "/watch"))


@router.get("/watch/newest")
async def newest(request: Request) -> JSONResponse:
    """List the newest verdicts, the newest first, and say why none can come, where that is so."""
    state: State = request.app.state.loupe
    watcher = state.watcher
    return JSONResponse({"entries": [] if watcher is None else watcher.recent, "lost": watcher.lost if watcher else ""})


async def _views(found: Shown, served: Served) -> dict[str, bytes]:
    """Ask the model what it went by, between two batches."""
    promise = served.batcher.call(lambda: views_of(found, served))
    return await run_in_threadpool(promise.result)


def _find(state: "State", name: str) -> tuple[Shown, Served]:
    found = state.shelf.find(name)
    if found is None:
        raise RefusedError(404, "Expected an image that is still held, but it has left; drop it again.")
    return found, state.catalogue.find(found.model)
