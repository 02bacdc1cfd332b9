"""The page of a sweep: what won, how certain that is, what mattered, and what it costs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .breaking import breakable
from .charts.sweep_figures import (
    Costed,
    Ranked,
    importance_figure,
    on_front,
    parallel_figure,
    pareto_figure,
    ranking_figure,
)
from .sweep_content import Merged, Span, SweepContent, SweptTrial, best_of, merge
from .sweep_history import Step, history_figure
from .wording import DASH, percent, plural, share, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Merged", "Span", "SweepContent", "SweptTrial", "merge", "render_sweep"]

_FOLDER = Path(__file__).parent
_WIDTHS = {"narrow": 340.0, "middle": 680.0, "wide": 1080.0}
_HALF = {"narrow": 340.0, "middle": 540.0}
_MOST_RANKED = 15  # rows of a ranking, shared by the data sets
_MOST_SETTINGS = 30  # rows of the comparison over data sets
_MOST_OPEN = 20  # trials of the table that is shown unfolded
_MOST_NAMED = 4  # data sets whose best is told in the verdict

Drawn = list[tuple[str, Markup]]


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
    merged, data = merge(content.ranked), content.data
    return templates.get_template(
        "sweep.html.j2"
    ).render(
        style=Markup(style),  # noqa: S704 - the package's own files
        content=content,
        verdict=verdict(content.ranked, merged, data),
        rates=rates(content.ranked),
        data=data,
        merged=merged[:_MOST_SETTINGS],
        left_out=max(0, len(merged) - _MOST_SETTINGS),
        best_of={name: one.name for name in data if (one := best_of(merged, name)) is not None},
        rankings=_rankings(content),
        parallels=_parallels(content),
        importances=_drawn(_WIDTHS, lambda width: importance_figure(content.importances, width))
        if content.importances
        else [],
        histories=_histories(content),
        fronts=[front for name in data for front in _fronts(merged, name)],
        counts={
            state: sum(trial.state == state for trial in content.trials) for state in ("complete", "pruned", "failed")
        },
        places=_places(content.trials),
        with_seed=any(trial.seed for trial in content.trials),
        keys=[key for key in content.axes if any(key in trial.setting for trial in content.trials)],
        most_open=_MOST_OPEN,
        dash=DASH,
    )


def verdict(ranked: Sequence[SweptTrial], merged: Sequence[Merged], data: Sequence[str]) -> str:
    """Say what won: of several data sets, on each, since figures of different images cannot be compared."""
    if not ranked:
        return "No trial could be ranked."
    if len(data) == 1:
        first = merged[0]
        repeated = any(trial.seed for trial in ranked)
        found = f"{'a mean' if repeated else 'an'} AUROC of {share(first.by_data[data[0]][0])}"
        over = f" over {plural(first.trials, 'trial')}" if repeated else ""
        return f"{first.name} ranks calibration pictures best, with {found}{over}."
    firsts = {name: best_of(merged, name) for name in data}
    best = {name: one for name, one in firsts.items() if one is not None}
    named = [f"{one.name} on {name} ({share(one.by_data[name][0])})" for name, one in list(best.items())[:_MOST_NAMED]]
    if (more := len(best) - _MOST_NAMED) > 0:
        named.append(f"and on {plural(more, 'data set')} more")
    if blind := [name for name in data if name not in best]:
        named.append(f"none on {', '.join(blind)}")
    return f"Ranked best by AUROC on calibration pictures: {'; '.join(named)}."


def rates(ranked: Sequence[SweptTrial]) -> str:
    """Say how far the winner is from the rest."""
    first = next(iter(ranked), None)
    if first is None or first.calibration is None or len({trial.data for trial in ranked}) > 1:
        return ""
    low = first.calibration[1]
    if low is None:
        return ""
    close = sum(trial.calibration is not None and trial.calibration[0] >= low for trial in ranked[1:])
    total = len(ranked) - 1
    if not total:
        return ""
    if not close:
        return "No other trial reaches into its 95 % interval."
    others = (
        "The other trial" if total == 1 else f"All {total} others" if close == total else f"{close} of {total} others"
    )
    verb = "reaches" if close == 1 else "reach"
    return f"{others} {verb} into its 95 % interval: calibration pictures do not tell them apart."


def _places(trials: Sequence[SweptTrial]) -> dict[str, int | str]:
    """Say of every trial what stands for its rank: the place of its setting on its data set, or how it ended."""
    counted: dict[str, int] = {}
    places: dict[str, int | str] = {}
    for trial in trials:
        if trial.ranked:
            counted[trial.data] = counted.get(trial.data, 0) + 1
            places[trial.id] = trial.rank or counted[trial.data]
        else:
            places[trial.id] = DASH if trial.state == "complete" else trial.state
    return places


def _rankings(content: SweepContent) -> list[tuple[str, Drawn]]:
    """Rank each data set by itself, as AUROCs of different images cannot be compared; none without a ranking."""
    most = max(4, _MOST_RANKED // max(1, len(content.data)))
    drawn: list[tuple[str, Drawn]] = []
    places = _places(content.trials)
    for name in content.data:
        own = [trial for trial in content.ranked if trial.data == name][:most]
        rows = [Ranked(_whole_name(trial), trial.calibration, trial.test, places[trial.id]) for trial in own]
        drawn.append((name, _drawn(_WIDTHS, partial(ranking_figure, rows)) if rows else []))
    return drawn


def _whole_name(trial: SweptTrial) -> str:
    return ", ".join(filter(None, (trial.name, trial.repetition)))


def _parallels(content: SweepContent) -> list[tuple[str, Drawn]]:
    """Parallel coordinates for every data set with two trials or more that can be ranked."""
    axes = {key: values for key, values in content.axes.items() if len(values) > 1 and key != "data"}
    drawn: list[tuple[str, Drawn]] = []
    for name in content.data:
        own = [trial for trial in content.ranked if trial.data == name]
        settings = [{**trial.setting, **({"seed": trial.seed} if trial.seed else {})} for trial in own]
        rows = list(zip(settings, [_value(trial.calibration) for trial in own], strict=True))
        if len(own) > 1 and axes:
            draw = partial(_parallel_figure, axes, rows)
            drawn.append((name, _drawn({"middle": 680.0, "wide": 1080.0}, draw)))
    return drawn


def _parallel_figure(
    axes: Mapping[str, Sequence[str]], rows: Sequence[tuple[Mapping[str, str], float]], width: float
) -> Markup:
    return parallel_figure(axes, rows, width, "AUROC")


def _histories(content: SweepContent) -> list[tuple[str, Drawn]]:
    """Return the objective in the order in which trials ended, for every data set."""
    drawn = []
    for name in content.data:
        own = sorted((trial for trial in content.trials if trial.data == name and trial.number), key=_number)
        steps = [Step(trial.state, None if trial.calibration is None else trial.calibration[0]) for trial in own]
        if sum(step.value is not None for step in steps) > 1:
            drawn.append((name, _drawn(_WIDTHS, partial(history_figure, steps))))
    return drawn


def _fronts(merged: Sequence[Merged], data: str) -> list[dict[str, Any]]:
    """Quality over time and over size on one data set, with the names of those on the front.

    Times are of models that were measured when nothing else ran: others would name a winner by luck.
    """
    own = [one for one in merged if data in one.by_data]
    drawn = []
    for title, axis, costs in (
        ("Quality and time", "milliseconds per image, alone", [one.milliseconds.get(data) for one in own]),
        ("Quality and size", "size of the checkpoint, MiB", [one.size_mib.get(data) for one in own]),
    ):
        known = [(one, cost) for one, cost in zip(own, costs, strict=True) if cost is not None]
        if len(known) < max(1, min(2, len(own))):  # one of several says nothing
            continue
        qualities = [one.by_data[data][0] for one, _ in known]
        best = on_front([cost for _, cost in known], qualities)
        points = zip(known, qualities, best, strict=True)
        found = [Costed(one.name, cost, quality, front) for (one, cost), quality, front in points]
        names = [one for one in sorted(found, key=lambda one: one.cost) if one.best]
        figures = _drawn(_HALF, partial(pareto_figure, found, axis, "AUROC on calibration pictures"))
        unit = "ms" if "milli" in axis else "MiB"
        heading = f"{data}: {title.lower()}" if data else title
        drawn.append({"title": heading, "figures": figures, "front": names, "unit": unit})
    return drawn


def _drawn(widths: Mapping[str, float], draw: Callable[[float], Markup]) -> Drawn:
    return [(name, draw(width)) for name, width in widths.items()]


def _value(span: Span | None) -> float:
    return float("nan") if span is None else span[0]


def _number(trial: SweptTrial) -> int:
    return trial.number
