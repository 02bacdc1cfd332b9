"""The page of a prediction: every image with its verdict, and a certificate of the lot to print and sign.

Written without a template engine, since the runner of a bundle writes it, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from string import Template
from typing import TYPE_CHECKING

from .assets import FOLDER, read_script, read_style
from .signing import decision_fields, lot_fields, signature_fields
from .wording import DASH, percent, plural, score, score_decimals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .lot_rows import Line

STYLES = ("page.css", "lot.css")
SKELETON, SCRIPT = "lot.html", "lot.js"
FILES = (*STYLES, SKELETON, SCRIPT)
"""What the page is made of, beside this file: bundles ship it."""
PRINTED = 8  # cards of a print, as styles and script have it
MOST_LINES = 5000  # of the certificate; the table on disk has them all
RULE = (
    "An image is called defective where its score reaches the image threshold. On an image that is called defective, "
    "what reaches the pixel threshold is outlined and listed as a defect; on one that is called good, nothing is."
)
BY_RULES = (
    "The model calls an image defective where its score reaches the image threshold. Rules of acceptance judge each "
    "part by its defects: so everything that reaches the pixel threshold is outlined and listed, on every image."
)


@dataclass(frozen=True)
class Lot:
    """What the page shows.

    Attributes:
        lines: Of ``predictions.jsonl``, in the order of the page.
        lot: Name of the lot or batch; empty: left to be filled in.
        part: Part number; likewise.
        model: What judged, in a few words.
        thresholds: For images, by scope: ``all``, ``kind NAME``.
        promise: What the threshold promises, in a sentence; empty where nobody said.
        notes: Sentences that a reader must not miss.
        date: As text.
        source: Gives the address of an image or a layer of the page by its name; empty where it was not kept.
        judged: Whether rules of acceptance judged the parts.
    """

    lines: Sequence[Line]
    lot: str
    part: str
    model: str
    thresholds: Mapping[str, float]
    promise: str
    notes: Sequence[str]
    date: str
    source: Callable[[str], str]
    judged: bool = False


def render_lot(lot: Lot) -> str:
    """Render the page; nothing of it is fetched from anywhere but beside it."""
    lines, (code, own) = lot.lines, read_script(SCRIPT)
    images = [ShownImage.of(line, lot) for line in lines]
    known = [line.score for line in lines if not line.error]
    decimals = score_decimals(min(known), max(known)) if known else 3
    sentence = sentence_of(lines, judged=lot.judged)
    title = ", ".join(filter(None, (lot.lot and f"Lot {lot.lot}", lot.part and f"part {lot.part}"))) or "Prediction"
    values = {
        "title": escape(f"{title}: {sentence}"),
        "heading": escape(title),
        "style": read_style(*STYLES),
        "script": code,
        "script_hash": own,
        "date": escape(lot.date),
        "sentence": escape(sentence),
        "warnings": _warnings(lot.notes),
        "filters": _filters(lines),
        "cards": "\n".join(_cards([one for one in images if one.shown], decimals)),
        "without": _without(images),
        "rule": escape(BY_RULES if lot.judged else RULE),
        "named": lot_fields(lot.lot, lot.part),
        "facts": "".join(_fact(*fact) for fact in _facts(lines, lot)),
        "decision": decision_fields(),
        "signature": signature_fields(),
        "lines": "\n".join(_line(number, line, decimals) for number, line in enumerate(_listed(lines), 1)),
        "more": f"{len(lines) - MOST_LINES:,} more are in predictions.csv." if len(lines) > MOST_LINES else "",
        "dash": DASH,
    }
    return Template((FOLDER / SKELETON).read_text(encoding="utf-8")).substitute(values)


def sentence_of(lines: Sequence[Line], *, judged: bool) -> str:
    """Say in one sentence what became of the lot."""
    counts = _counts(lines)
    listed = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
    counted = f"{plural(len(lines), 'image')}: {listed or 'none'}"
    good, all_of_them = (counts.get("accepted" if judged else "good", 0), len(lines) - counts["not judged"])
    return f"{counted}. Yield {percent(good / all_of_them)}." if all_of_them else f"{counted}."


def _counts(lines: Sequence[Line]) -> dict[str, int]:
    """Count what became of images: verdicts, or states where rules judged, and those without either."""
    states = [line.state for line in lines if not line.error]
    ordered = ("defective", "good", "rejected", "rework", "unknown", "accepted")
    found = {state: states.count(state) for state in ordered if state in states}
    return found | {"not judged": sum(bool(line.error) for line in lines)}


def _warnings(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="warnings"><h2>Read this first</h2><ul>{items}</ul></section>'


def _filters(lines: Sequence[Line]) -> str:
    counts = {"all": len(lines), **{name: number for name, number in _counts(lines).items() if number}}
    return "".join(
        f'<label><input type="radio" name="show" value="{escape(name)}"{" checked" if name == "all" else ""}> '
        f"{escape(name)} <small>{number:,}</small></label>"
        for name, number in counts.items()
    )


@dataclass(frozen=True)
class ShownImage:
    """A line with the addresses of its image and of the layer over it; empty where they were not kept."""

    line: Line
    image: str = ""
    layer: str = ""

    @classmethod
    def of(cls, line: Line, lot: Lot) -> ShownImage:
        """Ask for the addresses, once: the first ones are in the page itself."""
        return cls(line, *(lot.source(f"{line.page}{suffix}") if line.page else "" for suffix in (".jpg", ".map.webp")))

    @property
    def shown(self) -> bool:
        """Tell whether it has a card: all with an image, and what could not be judged."""
        return bool(self.image or self.line.error)


def _cards(images: Sequence[ShownImage], decimals: int) -> list[str]:
    """Draw the cards of images; those that a print shows are there before anybody scrolls."""
    return [_card(one, decimals, "eager" if place < PRINTED else "lazy") for place, one in enumerate(images)]


def _card(one: ShownImage, decimals: int, loading: str) -> str:
    """Draw the card of an image: itself, the map over it, and what was decided."""
    line, image, layer = one.line, one.image, one.layer
    name, state = escape(line.name), escape(line.state)
    about = f'data-state="{state}" data-score="{line.score:.9g}" data-far="{line.far:.9g}"'
    if line.error:
        about = 'class="card failed" data-state="not judged" data-score="" data-far=""'
        return f'<figure {about}><p class="error">{escape(line.error)}</p><figcaption>{name}</figcaption></figure>'
    size = f' width="{line.width}" height="{line.height}"'
    lazy = f'loading="{loading}" decoding="async"'
    over = f'<img class="map" src="{layer}" alt="" {lazy}>' if layer else ""
    drawn = f'<img src="{image}" alt="{name}"{size} {lazy}>'
    return (
        f'<figure class="card {state}" {about}><button type="button" class="view" aria-label="{name}, larger">{drawn}'
        f'{over}</button><figcaption><b><i class="dot {state}"></i>{state}</b> {_reading(line, decimals)}'
        f'<span class="name">{_breakable(name)}</span>{_beside(line)}</figcaption></figure>'
    )


def _reading(line: Line, decimals: int) -> str:
    """Write a score against its threshold."""
    sign = "\N{GREATER-THAN OR EQUAL TO}" if line.score >= line.threshold else "&lt;"
    written = f"score {score(line.score, decimals)} {sign} threshold {score(line.threshold, decimals)}"
    return f'<span class="score">{written}</span>'


def _meaning(line: Line) -> list[str]:
    """Say what a score is worth: the probability of a defect, else where it lies among good images."""
    if line.probability is not None:
        return [f"probability of a defect {percent(line.probability)}"]
    if line.rank is None:
        return []
    share = {0.0: "none", 1.0: "all"}.get(line.rank, percent(line.rank))
    return [f"higher than {share} of the good calibration images"]


def _beside(line: Line) -> str:
    remarks = [*_meaning(line), *([plural(line.defects, "defect")] if line.defects else []), *line.remarks]
    return f'<span class="beside">{escape("; ".join(remarks))}</span>' if remarks else ""


def _breakable(name: str) -> str:
    return name.replace("/", "/<wbr>").replace("_", "_<wbr>")


def _without(images: Sequence[ShownImage]) -> str:
    on_page = sum(one.shown for one in images)
    linked = sum(bool(one.image) and not one.image.startswith("data:") for one in images)
    sentences = []
    if on_page < len(images):
        sentences.append(
            f"{on_page:,} of {len(images):,} images are shown, those called defective and those nearest to the "
            "threshold before others; the list below has all."
        )
    if linked:
        sentences.append(
            f"{plural(linked, 'image')} of these lie in the folder page beside this file: keep both together."
        )
    return f'<p class="aside">{escape(" ".join(sentences))}</p>' if sentences else ""


def _facts(lines: Sequence[Line], lot: Lot) -> list[tuple[str, str]]:
    counts = _counts(lines)
    images = f"{len(lines):,} (" + ", ".join(f"{number:,} {name}" for name, number in counts.items()) + ")"
    good = counts.get("accepted" if lot.judged else "good", 0)
    judged = len(lines) - counts["not judged"]
    thresholds = "; ".join(
        f"{value:.6g}" if scope == "all" else f"{value:.6g} for {scope}" for scope, value in lot.thresholds.items()
    )
    return [
        ("Images", images),
        ("Yield", f"{percent(good / judged)} of those that were judged" if judged else DASH),
        ("Defects listed", f"{sum(line.defects for line in lines):,}"),
        ("Inspected", lot.date),
        ("Model", lot.model),
        ("Image threshold", f"{thresholds}, raw score"),
        *([("It promises", lot.promise)] if lot.promise else []),
    ]


def _fact(name: str, text: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>"


def _listed(lines: Sequence[Line]) -> Sequence[Line]:
    return lines[:MOST_LINES]


def _line(number: int, line: Line, decimals: int) -> str:
    cells = (
        (line.error, "", "", "")
        if line.error
        else (
            "; ".join(filter(None, ("" if line.state == line.verdict else line.verdict, *line.remarks))),
            score(line.score, decimals),
            score(line.threshold, decimals),
            str(line.defects),
        )
    )
    name, *numbers = cells
    written = "".join(f'<td class="n">{text}</td>' for text in numbers)
    state = "not judged" if line.error else line.state
    return (
        f'<tr><td class="n">{number}</td><td class="path">{_breakable(escape(line.name))}</td>'
        f'<td><i class="dot {escape(state)}"></i>{escape(state)}</td>{written}<td>{escape(name)}</td></tr>'
    )
