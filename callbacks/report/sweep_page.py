"""The page of a sweep: what won, how certain that is, what mattered, and what it costs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .sweep_figures import Costed, Ranked, importance_figure, on_front, parallel_figure, pareto_figure, ranking_figure
from .wording import DASH, breakable, percent, plural, share, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_FOLDER = Path(__file__).parent
_WIDTHS = {"narrow": 340.0, "middle": 680.0, "wide": 1080.0}
_HALF = {"narrow": 340.0, "middle": 540.0}
_MOST_RANKED = 15  # rows of a ranking, shared by the data sets
_MOST_SETTINGS = 30  # rows of the comparison over data sets
_MOST_OPEN = 20  # trials of the table that is shown unfolded

Span = tuple[float, float, float]


@dataclass(frozen=True)
class SweptTrial:
    """A trial as the page shows it.

    Attributes:
        id: Of the trial.
        state: ``complete``, ``pruned`` or ``failed``.
        data: Name of its data set; empty where there is one alone.
        seed: Its seed and fold, where several were tried: ``0``, ``fold 2`` or ``0, fold 2``; empty otherwise.
        setting: What else was chosen for it, by key.
        calibration: AUROC on calibration pictures with the ends of its interval; None where there is none.
        test: The same on test pictures.
        milliseconds: Of the model per picture; None where unknown.
        size_mib: Of the checkpoint; None where unknown.
        seconds: Of the whole trial.
        page: Address of its own report, relative; empty where it has none.
    """

    id: str
    state: str
    data: str
    seed: str
    setting: Mapping[str, str]
    calibration: Span | None
    test: Span | None
    milliseconds: float | None
    size_mib: float | None
    seconds: float
    page: str = ""

    @property
    def name(self) -> str:
        """The setting on one line; what chooses a whole config, such as a model, needs no key beside it."""
        words = [text if "." not in key else f"{key.rpartition('.')[2]} {text}" for key, text in self.setting.items()]
        return ", ".join(words) or "as configured"

    @property
    def repetition(self) -> str:
        """Which seed and fold it had, in words."""
        return f"seed {self.seed}" if self.seed[:1].isdigit() else self.seed


@dataclass(frozen=True)
class SweepContent:
    """Everything that the page shows.

    Attributes:
        title: Name of the sweep.
        trials: Best first.
        axes: Values of every key that differs, in order.
        importances: Key and its share of the objective's spread, largest first.
        about: Name and value of facts about the sweep.
        command: That goes on with it.
        warnings: Sentences that a reader must not miss.
    """

    title: str
    trials: Sequence[SweptTrial]
    axes: Mapping[str, Sequence[str]]
    importances: Sequence[tuple[str, float]]
    about: Sequence[tuple[str, str]]
    command: str
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Merged:
    """A setting over all data sets and seeds on which it was tried.

    Attributes:
        name: The setting on one line.
        trials: How many.
        by_data: Mean AUROC over seeds, on calibration and on test pictures, by data set.
        calibration: Mean over data sets.
        test: Mean over data sets; None where there is none.
        milliseconds: Mean; None where unknown.
        size_mib: Mean; None where unknown.
    """

    name: str
    trials: int
    by_data: Mapping[str, tuple[float, float | None]]
    calibration: float
    test: float | None
    milliseconds: float | None
    size_mib: float | None


def render_sweep(content: SweepContent) -> str:
    """Render the page: HTML with its styles and figures inside; the same content gives the same bytes."""
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,  # names and values come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"share": share, "percent": percent, "plural": plural, "span": span, "breakable": breakable}
    style = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "sweep.css"))
    judged = [trial for trial in content.trials if trial.state == "complete" and trial.calibration is not None]
    merged = merge(judged)
    data = list(dict.fromkeys(trial.data for trial in judged))
    return templates.get_template(
        "sweep.html.j2"
    ).render(
        style=Markup(style),  # noqa: S704 - the package's own files
        content=content,
        verdict=verdict(judged, merged, data),
        rates=rates(judged),
        data=data,
        merged=merged[:_MOST_SETTINGS],
        left_out=max(0, len(merged) - _MOST_SETTINGS),
        best_of={name: max(one.by_data[name][0] for one in merged if name in one.by_data) for name in data},
        rankings=_rankings(judged, data),
        parallel=_parallel(content, judged),
        importances=_drawn(_WIDTHS, lambda width: importance_figure(content.importances, width))
        if content.importances
        else [],
        fronts=_fronts(merged, len(data)),
        counts={
            state: sum(trial.state == state for trial in content.trials) for state in ("complete", "pruned", "failed")
        },
        with_seed=any(trial.seed for trial in content.trials),
        keys=[key for key in content.axes if any(key in trial.setting for trial in content.trials)],
        most_open=_MOST_OPEN,
        dash=DASH,
    )


def merge(trials: Sequence[SweptTrial]) -> list[Merged]:
    """Merge trials that differ in data, seed and fold alone; best mean first, those on fewer data sets last."""
    groups: dict[tuple[tuple[str, str], ...], list[SweptTrial]] = defaultdict(list)
    for trial in trials:
        groups[tuple(trial.setting.items())].append(trial)
    merged = [_merged(group) for group in groups.values()]
    return sorted(merged, key=lambda one: (-len(one.by_data), -one.calibration))


def verdict(judged: Sequence[SweptTrial], merged: Sequence[Merged], data: Sequence[str]) -> str:
    """Say what won, in one sentence."""
    if not judged:
        return "No trial could be ranked."
    first = merged[0]
    if len(data) == 1:
        repeated = any(trial.seed for trial in judged)
        found = f"{'a mean' if repeated else 'an'} AUROC of {share(first.calibration)}"
        over = f" over {plural(first.trials, 'trial')}" if repeated else ""
        return f"{first.name} ranks calibration pictures best, with {found}{over}."
    found = f"with a mean AUROC of {share(first.calibration)}"
    return f"{first.name} ranks calibration pictures best over {len(first.by_data)} data sets, {found}."


def rates(judged: Sequence[SweptTrial]) -> str:
    """Say how far the winner is from the rest."""
    first = next(iter(judged), None)
    if first is None or first.calibration is None or len({trial.data for trial in judged}) > 1:
        return ""
    low = first.calibration[1]
    close = sum(trial.calibration is not None and trial.calibration[0] >= low for trial in judged[1:])
    if not close:
        return "No other trial reaches into its 95 % interval."
    total = len(judged) - 1
    others = (
        "The other trial" if total == 1 else f"All {total} others" if close == total else f"{close} of {total} others"
    )
    verb = "reaches" if close == 1 else "reach"
    return f"{others} {verb} into its 95 % interval: calibration pictures do not tell them apart."


def _merged(group: Sequence[SweptTrial]) -> Merged:
    by_data: dict[str, tuple[float, float | None]] = {}
    for name in dict.fromkeys(trial.data for trial in group):
        own = [trial for trial in group if trial.data == name]
        by_data[name] = (
            fmean(_value(trial.calibration) for trial in own),
            _mean([trial.test and trial.test[0] for trial in own]),
        )
    return Merged(
        name=group[0].name,
        trials=len(group),
        by_data=by_data,
        calibration=fmean(calibration for calibration, _ in by_data.values()),
        test=_mean([test for _, test in by_data.values()]),
        milliseconds=_mean([trial.milliseconds for trial in group]),
        size_mib=_mean([trial.size_mib for trial in group]),
    )


def _rankings(judged: Sequence[SweptTrial], data: Sequence[str]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """One ranking per data set: AUROCs of different pictures cannot be compared."""
    most = max(4, _MOST_RANKED // max(1, len(data)))
    drawn = []
    for name in data:
        own = [trial for trial in judged if trial.data == name][:most]
        rows = [
            Ranked(", ".join(filter(None, (trial.name, trial.repetition))), trial.calibration, trial.test)
            for trial in own
        ]
        drawn.append((name, _drawn(_WIDTHS, partial(ranking_figure, rows))))
    return drawn


def _parallel(content: SweepContent, judged: Sequence[SweptTrial]) -> list[tuple[str, Markup]]:
    rows = [({**trial.setting, "data": trial.data, "seed": trial.seed}, _value(trial.calibration)) for trial in judged]
    axes = {key: values for key, values in content.axes.items() if len(values) > 1}
    if len(judged) < 2 or not axes:
        return []
    known = [({key: text for key, text in setting.items() if text}, value) for setting, value in rows]
    return _drawn({"middle": 680.0, "wide": 1080.0}, lambda width: parallel_figure(axes, known, width, "AUROC"))


def _fronts(merged: Sequence[Merged], sets: int) -> list[dict[str, Any]]:
    """Quality over time and over size, with the names of those on the front."""
    most = max((len(one.by_data) for one in merged), default=0)
    whole = [one for one in merged if len(one.by_data) == most]  # means over other data would not compare
    quality = (
        "AUROC on calibration pictures" if sets == 1 else f"mean AUROC on calibration pictures of {sets} data sets"
    )
    drawn = []
    for title, axis, costs in (
        ("Quality and time", "milliseconds per picture", [one.milliseconds for one in whole]),
        ("Quality and size", "size of the checkpoint, MiB", [one.size_mib for one in whole]),
    ):
        known = [(one, cost) for one, cost in zip(whole, costs, strict=True) if cost]
        if not known:
            continue
        best = on_front([cost for _, cost in known], [one.calibration for one, _ in known])
        found = [Costed(one.name, cost, one.calibration, front) for (one, cost), front in zip(known, best, strict=True)]
        names = [one for one in sorted(found, key=lambda one: one.cost) if one.best]
        figures = _drawn(_HALF, partial(pareto_figure, found, axis, quality))
        drawn.append({"title": title, "figures": figures, "front": names, "unit": "ms" if "milli" in axis else "MiB"})
    return drawn


def _drawn(widths: Mapping[str, float], draw: Callable[[float], Markup]) -> list[tuple[str, Markup]]:
    return [(name, draw(width)) for name, width in widths.items()]


def _value(span: Span | None) -> float:
    return float("nan") if span is None else span[0]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
