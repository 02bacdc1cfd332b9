"""From sources to files of results: one pass, in bounded memory."""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from callbacks.acceptance.judgement import STATES
from datamodules.errors import DataError

from .familiar import DRIFT, Familiar
from .page import Heading, write_page
from .page_images import EDGE
from .rescaled import Rescaled
from .sources import find_images, require_images
from .spec_check import require_kind
from .writing import DEFECTS, RECORD, TABLE, Sink, Which, Writer

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from pathlib import Path

    from .input_image import InputImage
    from .judge import Judge

Errors = Literal["fail", "ok"]
ERRORS: tuple[str, ...] = get_args(Errors)
LINE_EVERY_S = 10.0  # of progress, in a log


class Options(NamedTuple):
    """How to go through the images.

    Attributes:
        kind: The sub-population whose thresholds hold; empty: all.
        batch_size: Images judged together.
        readers: Threads that read ahead.
        every: Of a video, one frame in so many.
        overlays: Images to draw the map over.
        masks: Images whose mask is written.
        limit: Stop after so many; None: at the end.
        page: Images that ``index.html`` shows at most; 0: there is no page.
        lot: Name of the lot or batch, for its certificate; empty: left open.
        part: Part number, likewise.
        model: What judges, in words, likewise; empty: as the judge calls itself.
        errors: ``fail``: a call that could not judge everything ends with an error; ``ok``: it does not.
    """

    kind: str = ""
    batch_size: int = 8
    readers: int = 2
    every: int = 1
    overlays: Which = "defective"
    masks: Which = "none"
    limit: int | None = None
    errors: Errors = "fail"
    page: int = 0
    lot: str = ""
    part: str = ""
    model: str = ""


class Summary(NamedTuple):
    """What a call left: all rows, those of earlier calls included; ``earlier`` of them were there before.

    ``defects`` of them are listed, one by one; None where nobody measured them. ``first_failed`` says of the first rows
    without a verdict why they have none, ``notes`` how images differ from those of the training. ``states`` counts the
    parts that rules accept or do not; empty without rules. ``page`` is there to be looked at, where one was made.
    """

    images: int
    defective: int
    failed: int
    earlier: int
    seconds: float
    defects: int | None = None
    first_failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    states: Mapping[str, int] = {}
    page: Path | None = None

    def __str__(self) -> str:
        """Say it in a sentence."""
        good = self.images - self.defective - self.failed
        before = f" {self.earlier} of them had been judged before." if self.earlier else ""
        noun = "picture" if self.images == 1 else "pictures"
        sentence = f"{self.images} {noun}: {self.defective} defective, {good} good, {self.failed} not judged.{before}"
        listed = [] if self.defects is None else [f"{self.defects} defects are listed in {DEFECTS}."]
        counted = ", ".join(f"{self.states[state]} {state}" for state in STATES if state in self.states)
        judged = [f"By the rules: {counted}."] if counted else []
        return "\n".join([sentence, *judged, *listed, *self.notes])


def require_all(summary: Summary, options: Options, remedy: str) -> None:
    """Refuse to end well where something could not be judged; every row is written by then.

    Raises:
        DataError: Says how many, with examples, and ``remedy``: how to say that this is expected.
    """
    if summary.failed and options.errors == "fail":
        more = "; and others" if summary.failed > len(summary.first_failed) else ""
        examples = "; ".join(summary.first_failed) + more
        raise DataError(
            f"Expected a verdict on every image, but {summary.failed} of {summary.images} have none: {examples}"
            f". Their rows in {TABLE} say why. {remedy}"
        )


def known_kinds(judge: Judge) -> list[str]:
    """List the sub-populations that thresholds, or rules for defects and parts, tell apart."""
    rules = judge.measuring.rules.severity if judge.measuring is not None else ()
    accepted = judge.acceptance.kinds if judge.acceptance is not None else ()
    return sorted(
        {
            *judge.members,
            *judge.decision.kinds,
            *accepted,
            *(str(kind) for rule in rules for kind in rule.get("kinds", ())),
        }
    )


def check_call(judge: Judge, sources: Sequence[str], options: Options) -> None:
    """Refuse what nothing would come of, before anything is written.

    Raises:
        DataError: A source names nothing.
        BundleError: There is no such kind.
    """
    require_kind(options.kind, known_kinds(judge))
    require_images(sources)


def _waiting(judge: Judge, sources: Sequence[str], every: int, done: Container[str]) -> Iterator[InputImage]:
    """Yield the images that have no row yet; where cells are judged within their arrays, these meet first."""
    if judge.arrays is None or any("://" in source for source in sources):  # a stream does not end
        yield from find_images(sources, every, done)
    else:
        yield from (image for image in judge.arrays.meet(find_images(sources, every)) if image.name not in done)


def _thresholds(judge: Judge) -> dict[str, dict[str, float]]:
    return {
        "image_threshold": {name: float(value) for name, value in judge.decision.image.items()},
        "pixel_threshold": {name: float(value) for name, value in judge.decision.pixel.items()},
    }


def predict(
    judge: Judge,
    sources: Sequence[str],
    out: str | Path,
    options: Options | None = None,
    sink: Sink | None = None,
) -> Summary:
    """Judge every image of ``sources`` that has no row in ``out`` yet.

    A call that was interrupted leaves whole rows; the same call again goes on behind them.

    ``sink`` takes the rows, too; None: nobody does.

    Raises:
        DataError: A source names nothing.
        BundleError: ``out`` holds results of something else, or cannot be written to.
    """
    options = options or Options()
    about = judge.about | {
        "kind": options.kind,
        **_thresholds(judge),
        "defects": judge.measuring and asdict(judge.measuring.rules),
    }
    if judge.members:
        about["members"] = {kind: {**member.about, **_thresholds(member)} for kind, member in judge.members.items()}
    if judge.acceptance is not None:  # folders of calls without rules say nothing of them
        about["acceptance"] = judge.acceptance.to_dict()
    started = last = time.monotonic()
    check_call(judge, sources, options)
    judge.shows = EDGE if options.page else 0
    familiar = Familiar(judge.usual, {kind: member.usual for kind, member in judge.members.items()})
    rescaled = Rescaled(judge)
    how = (options.overlays, options.masks, judge.measuring, familiar, sink, options.page)
    with Writer(out, about, *how, layered=judge.places is not None) as writer:
        earlier = len(writer.done)
        images = itertools.islice(_waiting(judge, sources, options.every, writer.done), options.limit)
        for prepared in judge.batches(images, options.batch_size, options.readers, options.kind):
            for result in judge.judge(prepared, [options.kind] * len(prepared)):
                writer.write(result)
                rescaled.update(result)
            writer.flush()
            if time.monotonic() - last >= LINE_EVERY_S:
                last = time.monotonic()
                sys.stderr.write(f"{writer.rows} pictures, {last - started:.0f} s\n")
        writer.conclude()
        seconds = time.monotonic() - started
        counts = (writer.rows, writer.defective, writer.failed, earlier)
        notes = [*rescaled.conclude(), *writer.familiar.conclude(writer.folder / DRIFT)]
        about_lot = Heading(options.lot, options.part, options.model)
        page = write_page(writer.folder / RECORD, judge, writer.images, about_lot, notes) if options.page else None
        known = tuple(writer.first_failed), tuple(notes), dict(writer.states)
        return Summary(*counts, seconds, writer.defects, *known, page)
