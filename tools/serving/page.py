"""What people see: templates of the server, one small script, and images by names that nobody can guess."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response

from .answers import answer_of
from .api import Files, Kind, Name, judged
from .catalogue import Served
from .frame import PAGES, STYLES, page
from .limits import RefusedError
from .links import links_of
from .receiving import images_of
from .shelf import Shown, Sight, views_of

if TYPE_CHECKING:
    from .state import State

STATIC = {
    **STYLES,
    "serve.js": (PAGES / "serve.js", "text/javascript"),
    "watch.js": (PAGES / "watch.js", "text/javascript"),
}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home(request: Request) -> HTMLResponse:
    """Show the page on which images are dropped."""
    state: State = request.app.state.loupe
    models = [served.about() for served in state.catalogue.models.values()]
    return page("home.html.j2", models=models, limits=state.limits, links=links_of(state, "/"))


@router.post("/show")
async def show(request: Request, files: Files, model: Name = "", kind: Kind = "") -> JSONResponse:
    """Judge images as ``/predict`` does, and keep what the page shows of them for a while, under a name."""
    state: State = request.app.state.loupe
    served = state.catalogue.find(model, kind)
    sights = [Sight(picture, served.judge) for picture in images_of(files, state.limits)]
    results = await judged(request, served, [sight.picture for sight in sights], kind)

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
    if served.judge.views is not None and found.input_3HW is not None and "reconstruction" not in found.drawn:
        found.drawn |= await _views(found, served)
    filters = [part for part in found.drawn if part.startswith("bottleneck-")]
    about = served.about() | {"threshold": found.result.threshold}
    answer = answer_of(found.result, found.model)
    return page("shown.html.j2", name=name, answer=answer, drawn=found.drawn, filters=filters, model=about)


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
