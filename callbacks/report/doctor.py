"""The doctor's page: what is wrong with a data set, what Loupe will do about it, and what a person can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .breaking import breakable
from .charts.doctor_figures import shortcut_figure
from .overlays import MARKED_COLOUR, Mask, RgbImage, data_uri, overlay
from .wording import DASH, percent, plural, share, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from datamodules.health.shortcuts import Shortcut

Level = Literal["problem", "warning", "note"]
LEVELS: tuple[Level, ...] = ("problem", "warning", "note")

_FOLDER = Path(__file__).parent
_WIDTHS = {"narrow": 340.0, "middle": 680.0, "wide": 1080.0}
_NAMES_OPEN = 6  # of files that a finding lists unfolded


class Shot(NamedTuple):
    """One image of a contact sheet: what is written under it, the image (H, W, 3), and its mask (H, W), if any."""

    caption: str
    image: RgbImage
    mask: Mask | None


class Sheet(NamedTuple):
    """Images to look at; ``together`` of them, such as the two of a pair, stand side by side."""

    title: str
    shots: Sequence[Shot]
    together: int = 1


@dataclass(frozen=True)
class Finding:
    """Something about a data set that its owner should know.

    Attributes:
        key: Short stable name, for programs that read the JSON.
        level: ``problem``: results will be wrong; ``warning``: they may be; ``note``: worth knowing.
        title: In a few words.
        found: What was found, with numbers.
        loupe: What Loupe does about it by itself.
        advice: What a person can do about it.
        count: Images, pairs or groups that it is about.
        names: Files that it is about.
        sheet: Images that show it.
        table: Its numbers, one row for each thing that is compared.
    """

    key: str
    level: Level
    title: str
    found: str
    loupe: str
    advice: str
    count: int = 0
    names: Sequence[str] = ()
    sheet: Sheet | None = None
    table: pd.DataFrame | None = None


@dataclass(frozen=True)
class DoctorContent:
    """Everything that the page shows.

    Attributes:
        title: Name of the data set.
        verdict: The result in one sentence.
        about: Name and value of what the data set is.
        findings: The gravest first.
        passed: What was looked for and not found.
        tables: Title, and rows with named columns; such as images by split and label.
        shortcuts: Name of a set of images to how well single numbers separate its labels; the first two are drawn.
        shortcut_table: The same in numbers, one row per set and one column per number.
        sheets: Good images, and every type of defect.
        excluded: What training leaves out: ``path, problem, remedy``.
        command: To repeat it.
    """

    title: str
    verdict: str
    about: Sequence[tuple[str, str]]
    findings: Sequence[Finding]
    passed: Sequence[str]
    tables: Sequence[tuple[str, pd.DataFrame]]
    shortcuts: Mapping[str, Sequence[Shortcut]]
    shortcut_table: pd.DataFrame
    sheets: Sequence[Sheet]
    excluded: pd.DataFrame
    command: str


def render_doctor(content: DoctorContent) -> str:
    """Render the page: HTML with its styles, figures and images inside; the same content gives the same bytes."""
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,  # names of files and kinds come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"share": share, "percent": percent, "plural": plural, "span": span, "breakable": breakable}
    drawn = dict(list(content.shortcuts.items())[:2])
    style = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "doctor.css"))
    return templates.get_template("doctor.html.j2").render(
        style=Markup(style),  # noqa: S704 - the package's own files
        content=content,
        counts={level: sum(one.level == level for one in content.findings) for level in LEVELS},
        findings=[_written(one) for one in content.findings],
        sheets=[_drawn(sheet) for sheet in content.sheets if sheet.shots],
        figures=[(name, shortcut_figure(drawn, width)) for name, width in _WIDTHS.items()]
        if any(drawn.values())
        else [],
        sets=list(drawn),
        excluded=content.excluded.astype(str).to_dict("records"),
        names_open=_NAMES_OPEN,
        marked_colour=f"rgb{MARKED_COLOUR}",
        dash=DASH,
    )


def _written(finding: Finding) -> dict[str, Any]:
    return {"it": finding, "sheet": None if finding.sheet is None else _drawn(finding.sheet)}


def _drawn(sheet: Sheet) -> dict[str, Any]:
    """Return images as addresses, masks outlined, in sets of those that stand together."""
    shots = [
        {"caption": shot.caption, "source": data_uri(_outlined(shot), 320), "size": shot.image.shape[:2]}
        for shot in sheet.shots
    ]
    sets = [shots[start : start + sheet.together] for start in range(0, len(shots), sheet.together)]
    return {"title": sheet.title, "sets": sets, "masked": any(shot.mask is not None for shot in sheet.shots)}


def _outlined(shot: Shot) -> RgbImage:
    nothing = np.zeros(shot.image.shape[:2], np.float32)
    return shot.image if shot.mask is None else overlay(shot.image, nothing, 0, 1, shot.mask)
