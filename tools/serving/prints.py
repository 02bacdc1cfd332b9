"""What people see of a table of verdicts: print jobs, layers with their neighbours, and what was confirmed by day."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from callbacks.measures.figures import Chart, Line
from callbacks.report.assets import FOLDER as REPORT
from callbacks.report.charts.line_chart import line_chart, names_of_lines
from callbacks.report.print_job import WIDTHS, Layer
from datamodules.errors import UnreadableImageError

from .frame import PAGES, page
from .layer_images import layer_image
from .limits import RefusedError
from .links import links_of

if TYPE_CHECKING:
    from tools.runs.verdicts import Day

    from .archive import Archive
    from .state import State

STATIC = {
    "print_job.css": (REPORT / "print_job.css", "text/css"),
    "prints.js": (PAGES / "prints.js", "text/javascript"),
}
NO_TABLE = "Expected a table of verdicts, but this server has none; start it with table=sqlite:///results.db."
USUAL_DAYS = 30
Word = Annotated[str, Query(max_length=1000)]

router = APIRouter(include_in_schema=False)


@router.get("/jobs")
async def jobs(request: Request) -> HTMLResponse:
    """List print jobs, the latest first."""
    archive = _archive(request)
    found = await run_in_threadpool(archive.jobs)
    listed = [
        (job, f"/job?{urlencode({'machine': job.machine, 'job': job.job})}", archive.outline(job)) for job in found
    ]
    return page("jobs.html.j2", jobs=listed, links=links_of(_state(request), "/jobs"))


@router.get("/job")
async def job(request: Request, machine: Word = "", job: Word = "") -> HTMLResponse:
    """Show the layers of a job in order."""
    archive = _archive(request)
    found = await run_in_threadpool(archive.job, machine, job)
    if not found.layers:
        raise RefusedError(404, f"Expected a job with judged layers, but found none named {job!r}; see /jobs.")
    return await run_in_threadpool(
        lambda: page("job.html.j2", job=found, image=address, links=links_of(_state(request), "/jobs"))
    )


@router.get("/layer/{number}.webp")
async def image(request: Request, number: int) -> Response:
    """Give the image of a judged layer, with what was found drawn over it where that is there."""
    archive, state = _archive(request), _state(request)
    white = next(iter(state.catalogue.models.values())).judge.white_level
    found = await run_in_threadpool(archive.layer, number)
    if found is None:
        raise RefusedError(404, f"Expected a layer that was judged, but found none of number {number}.")
    try:
        drawn = await run_in_threadpool(layer_image, found.image_path, found.folder if found.flagged else "", white)
    except UnreadableImageError as error:
        raise RefusedError(404, f"Expected the image of layer {number}, but it {error.problem}.") from error
    return Response(drawn, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})


@router.post("/confirm/{number}")
async def confirm(
    request: Request,
    number: int,
    label: Annotated[str, Form(max_length=20)],
    by: Annotated[str, Form(max_length=100)] = "",
) -> JSONResponse:
    """Keep what somebody says of a layer."""
    archive, who = _archive(request), by.strip() or "somebody"
    try:
        found = await run_in_threadpool(archive.confirm, number, label, who)
    except ValueError as error:
        raise RefusedError(422, str(error)) from error
    if found is None:
        raise RefusedError(404, f"Expected a layer that was judged, but found none of number {number}.")
    return JSONResponse({"label": found.label, "by": found.by})


@router.get("/history")
async def history(
    request: Request,
    first: Annotated[str, Query(alias="from", max_length=10)] = "",
    last: Annotated[str, Query(alias="to", max_length=10)] = "",
) -> HTMLResponse:
    """Show flagged against confirmed, from a day to another."""
    begin, end = _span(first, last)
    days = await run_in_threadpool(_archive(request).days, begin, end)
    return page(
        "history.html.j2",
        days=days,
        sums=_sums(days),
        begin=begin,
        end=end,
        drawn=_drawn(days),
        strokes=names_of_lines(_chart(days)) if days else [],
        query=urlencode({"from": begin.isoformat(), "to": end.isoformat()}),
        links=links_of(_state(request), "/history"),
    )


@router.get("/history.csv")
async def history_table(
    request: Request,
    first: Annotated[str, Query(alias="from", max_length=10)] = "",
    last: Annotated[str, Query(alias="to", max_length=10)] = "",
) -> PlainTextResponse:
    """Give the same as a table."""
    days = await run_in_threadpool(_archive(request).days, *_span(first, last))
    lines = ["day,images,flagged,confirmed,false_alarms,missed,unseen", *(",".join(map(str, day)) for day in days)]
    named = {"Content-Disposition": "attachment; filename=history.csv"}
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/csv", headers=named)


def address(layer: Layer) -> str:
    """Return the address of a layer's image."""
    return f"/layer/{layer.id}.webp" if Path(layer.image_path).is_file() else ""


def _state(request: Request) -> "State":
    state: State = request.app.state.loupe
    return state


def _archive(request: Request) -> "Archive":
    archive = _state(request).archive
    if archive is None:
        raise RefusedError(404, NO_TABLE)
    return archive


def _span(first: str, last: str) -> tuple[date, date]:
    """Read two days; the last thirty where they are left out."""
    today = datetime.now(UTC).date()
    try:
        end = date.fromisoformat(last) if last else today
        begin = date.fromisoformat(first) if first else end - timedelta(days=USUAL_DAYS - 1)
        end + timedelta(days=1)  # the day after is asked for, too
    except (ValueError, OverflowError) as error:
        raise RefusedError(422, f"Expected from and to as 2026-01-31, but found {first!r} and {last!r}.") from error
    if begin > end:
        raise RefusedError(422, f"Expected from to be no later than to, but found {begin} and {end}.")
    return begin, end


def _sums(days: "list[Day]") -> dict[str, int]:
    return {name: sum(getattr(day, name) for day in days) for name in (*COUNTED, "images", "missed")}


COUNTED = ("flagged", "confirmed", "false_alarms", "unseen")


def _chart(days: "list[Day]") -> Chart:
    begin = date.fromisoformat(days[0].day)
    place_N = [float((date.fromisoformat(day.day) - begin).days) for day in days]
    lines = [
        Line("flagged", place_N, [float(day.flagged) for day in days]),
        Line("flagged and confirmed", place_N, [float(day.confirmed) for day in days]),
    ]
    return Chart("Flagged against confirmed", f"days since {begin}", "images", lines)


def _drawn(days: "list[Day]") -> list[tuple[str, str]]:
    return [(name, line_chart(_chart(days), width)) for name, width in WIDTHS.items()] if len(days) > 1 else []
