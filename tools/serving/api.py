"""What programs ask: ``POST /predict``, ``/models``, ``/health``, ``/metrics``."""

import asyncio
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse

from tools.runner.input_image import InputImage
from tools.runner.result import Result

from .answers import answer_of
from .catalogue import Served
from .limits import RefusedError
from .receiving import images_of

if TYPE_CHECKING:
    from .guarding import Noted
    from .state import State

router = APIRouter()


class Answer(BaseModel):
    """What was found on one image; the order is that of the files."""

    model_config = ConfigDict(extra="allow")

    image: str = Field(description="Name of the file")
    model: str = Field(description="What judged it")
    verdict: str = Field(description="good or defective; empty where it could not be judged")
    score: float | None = Field(description="Raw, higher is worse")
    threshold: float | None = Field(description="Defective where score >= threshold")
    probability: float | None = Field(description="Of being defective, where it could be fitted honestly")
    rank_among_good: float | None = Field(description="Share of good calibration images with a lower score, in [0, 1]")
    accepted: str = Field(description="accepted, rework, rejected or unknown; empty without rules")
    reasons: str = Field(description="Why, in words")
    height: int | None
    width: int | None
    defects: list[dict[str, Any]] = Field(description="As defects.csv lists them")
    error: str = Field(description="Why there is no verdict; empty where there is one")


class Refusal(BaseModel):
    """Why there is no answer."""

    error: str
    request_id: str


class Model(BaseModel):
    """A model that is served."""

    name: str
    sort: str = Field(description="run or bundle")
    height: int
    width: int
    threshold: float
    promise: str = Field(description="What the threshold promises")
    kinds: list[str] = Field(description="Sub-populations that it tells apart")
    thresholds: dict[str, float] = Field(description="Of the kinds that have thresholds of their own")
    acceptance: str = Field(description="Name of the rules that accept parts; empty without")
    model: dict[str, str]


class Health(BaseModel):
    """Whether the server answers."""

    status: str
    models: list[str]
    waiting: int
    uptime_s: float


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": text}
    for status, text in {
        400: "The request is not a multipart form",
        401: "The token is missing or wrong",
        403: "The request comes from somewhere else",
        404: "There is no such model, or it tells no such kind apart",
        408: "The request took too long to arrive",
        409: "The address and the form name two models or kinds",
        413: "The request is too large",
        422: "The request lacks something, or means nothing",
        429: "Too much is waiting; try again",
        503: "The answer took too long, or the server is ending",
    }.items()
}
Name = Annotated[str, Query(description="Of the model; empty: the first", max_length=500)]
Kind = Annotated[str, Query(description="Sub-population whose threshold holds; empty: all", max_length=500)]
FormName = Annotated[str, Form(alias="model", description="The same as in the address", max_length=500)]
FormKind = Annotated[str, Form(alias="kind", description="The same as in the address", max_length=500)]
Files = Annotated[list[UploadFile], File(description="One image or more", min_length=1)]


@router.post("/predict", responses=REFUSALS, response_model=list[Answer])
async def predict(
    request: Request,
    files: Files,
    model: Name = "",
    kind: Kind = "",
    form_model: FormName = "",
    form_kind: FormKind = "",
) -> JSONResponse:
    """Judge images: one answer per file, in their order. Those that cannot be judged say why in ``error``."""
    state: State = request.app.state.loupe
    model, kind = _agreed("model", model, form_model), _agreed("kind", kind, form_kind)
    served = state.catalogue.find(model, kind)
    results = await judged(request, served, files, images_of(files, state.limits), kind)
    return JSONResponse([answer_of(result, served.name) for result in results])


@router.get("/models", responses={401: REFUSALS[401], 403: REFUSALS[403]})
async def models(request: Request) -> list[Model]:
    """List the models; the first is meant where a request names none."""
    state: State = request.app.state.loupe
    return [Model(**served.about()) for served in state.catalogue.models.values()]


def _agreed(key: str, address: str, form: str) -> str:
    """Take what the address or the form says, which must not contradict each other."""
    if address and form and address != form:
        raise RefusedError(409, f"Expected one {key}, but found {address!r} in the address and {form!r} in the form.")
    return address or form


@router.head("/health", include_in_schema=False)
@router.get("/health", responses={403: REFUSALS[403], 503: {"model": Health, "description": "It is ending"}})
async def health(request: Request) -> JSONResponse:
    """Tell whether the server takes requests: 200, or 503 while it ends."""
    state: State = request.app.state.loupe
    found = Health(
        status="ending" if state.ending else "ok",
        models=list(state.catalogue.models),
        waiting=state.catalogue.waiting,
        uptime_s=round(time.time() - state.counters.started, 1),
    )
    return JSONResponse(found.model_dump(), 503 if state.ending else 200)


@router.get("/metrics", responses={401: REFUSALS[401], 403: REFUSALS[403]}, response_class=PlainTextResponse)
async def metrics(request: Request) -> PlainTextResponse:
    """Count requests, images and seconds, for Prometheus."""
    state: State = request.app.state.loupe
    served = state.catalogue.models
    waiting = {name: model.batcher.waiting for name, model in served.items()}
    batches = {name: model.batcher.batches for name, model in served.items()}
    return PlainTextResponse(state.counters.text(waiting, batches), media_type="text/plain; version=0.0.4")


async def judged(
    request: Request, served: Served, files: list[UploadFile], images: list[InputImage], kind: str
) -> list[Result]:
    """Judge the images of a request, together with those of others; keep what is to be kept.

    Raises:
        RefusedError: Too much is waiting, or it took too long.
    """
    state: State = request.app.state.loupe
    noted: Noted = request.state.noted
    results = await _all(served.batcher.submit(images, kind), state.limits.seconds * (1 + len(images) / 10))
    noted.images = len(results)
    for result in results:
        state.counters.image(served.name, result.verdict)
    state.keeper.keep(results, served.name, noted.id)
    if state.recorder is not None:
        await run_in_threadpool(state.recorder.record, [file.file for file in files], results, served.name)
    return results


async def _all(promises: list[Future[Result]], seconds: float) -> list[Result]:
    """Wait for all results; give up what is left where the caller goes away or it takes too long."""
    try:
        async with asyncio.timeout(seconds):
            return [await asyncio.wrap_future(promise) for promise in promises]
    except TimeoutError:
        raise RefusedError(503, f"Expected an answer within {seconds:g} s, but it takes longer; send less.") from None
    finally:
        for promise in promises:
            promise.cancel()  # those that are done stay as they are
