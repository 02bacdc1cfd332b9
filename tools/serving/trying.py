"""Other limits, tried on images that were judged already: what would be accepted, and what would not."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from callbacks.acceptance.limits import BOUNDS
from callbacks.acceptance.reading import COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from callbacks.acceptance.facts import Verdict
    from callbacks.acceptance.judgement import Acceptance
    from tools.runner.judge import Judge
    from tools.runner.result import Result

WORDS = {"min": "at least", "max": "at most", "above": "above", "below": "below"} | {
    name: name.replace("_", " ") for name in COUNTS
}
STEPS = 500  # of a slider
ROOM = 5.0  # of a slider, in values


class Dial(NamedTuple):
    """A limit that can be moved.

    Attributes:
        path: Of its value in the rules, joined by dots: a rule's name may hold some, places do not.
        name: In words.
        value: As the rules have it.
        most: Right end of its slider.
        step: Of the slider.
    """

    path: str
    name: str
    value: float
    most: float
    step: float


def dials_of(acceptance: Acceptance | None) -> list[Dial]:
    """List the limits of rules, in their order; none without rules."""
    return [] if acceptance is None else [_dial(path, value) for path, value in _limits(acceptance.rules)]


def _limits(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    for name, value in values.items():
        path = (*above, str(name))
        if hasattr(value, "items"):
            yield from _limits(value, path)
        elif above and name in (*BOUNDS, *COUNTS) and isinstance(value, int | float) and not isinstance(value, bool):
            yield path, value


def _dial(path: tuple[str, ...], value: float) -> Dial:
    whole = path[-1] in COUNTS
    most = max(10.0, 3.0 * value) if whole else ROOM * abs(value) or 1.0
    about = [part.replace("_", " ") for part in path[:-1] if part != "defects"]
    return Dial(
        SEPARATOR.join(path), f"{', '.join(about)}: {WORDS[path[-1]]}", value, most, 1.0 if whole else most / STEPS
    )


SEPARATOR = "\x1f"


def changed(acceptance: Acceptance, limits: Mapping[str, float]) -> Acceptance:
    """Return the rules with other limits.

    Raises:
        ValueError: There is no such limit, or the rules mean nothing with it.
    """
    rules = copy.deepcopy({name: _plain(rule) for name, rule in acceptance.rules.items()})
    known = {SEPARATOR.join(path): path for path, _ in _limits(acceptance.rules)}
    for name, value in limits.items():
        if name not in known:
            raise ValueError(f"Expected a limit of the rules, but found {name!r}.")
        *above, last = known[name]
        place: Any = rules
        for part in above:
            place = place[part]
        place[last] = round(value) if last in COUNTS else value
    return replace(acceptance, rules=rules)


def _plain(value: Any) -> Any:
    return {str(name): _plain(entry) for name, entry in value.items()} if hasattr(value, "items") else value


def tried(
    results: Sequence[Result], judge: Judge, limits: Mapping[str, float], threshold: float | None
) -> list[dict[str, str]]:
    """Say of every result what other limits make of it: ``verdict``, ``accepted`` and ``reasons``.

    Args:
        results: Judged, and not again.
        judge: By which.
        limits: By the names of dials, those that differ.
        threshold: For the score, in place of the calibrated one; None: that.

    Raises:
        ValueError: As above.
    """
    acceptance = judge.acceptance and changed(judge.acceptance, limits)
    return [_tried(result, acceptance, threshold) for result in results]


def _tried(result: Result, acceptance: Acceptance | None, threshold: float | None) -> dict[str, str]:
    if result.error:
        return {"verdict": "", "accepted": result.accepted, "reasons": result.reasons}
    defective = result.defective if threshold is None else result.score >= threshold
    verdict: Verdict = "defective" if defective else "good"
    if acceptance is None or result.known is None:
        return {"verdict": verdict, "accepted": result.accepted, "reasons": result.reasons}
    found = acceptance(replace(result.known, verdict=verdict))
    return {"verdict": verdict, "accepted": found.state, "reasons": found.text}
