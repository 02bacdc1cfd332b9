"""The page of a lot of fiber end faces: yield, reasons, and where on the face scratches and defects fall.

A page needs no server and no network.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .charts.face_heat import Place, face_heat
from .lot_rows import short_names
from .page import WIDTHS, drawn, render_page
from .wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STATES = ("accepted", "rework", "rejected", "unknown")
TYPES = ("scratch", "pit", "chip", "dirt", "unsure")
STYLES = ("page.css", "oring.css", "fiber.css")
MOST_FACES = 60  # that are listed, the worst first; the table on disk has them all
MOST_SHOWN = 12  # of them, with their overlay
MOST_REASONS = 20
FLOOR_UM = 2.0  # what a lens leaves of anything smaller says nothing of its size


@dataclass(frozen=True)
class LotOfFaces:
    """What the page shows.

    Attributes:
        entries: Of every image, as its report has them.
        rings: Inner and outer diameter of zones in micrometres.
        standard: Name, edition and source of the rules.
        judged: Whether there are any.
        date: As text.
        command: That made it.
    """

    entries: Sequence[Mapping[str, Any]]
    rings: Mapping[str, tuple[float, float]]
    standard: Mapping[str, str]
    judged: bool
    date: str
    command: str


def render_fiber_lot(content: LotOfFaces) -> str:
    """Render the page."""
    measured = [entry for entry in content.entries if "error" not in entry]
    kinds = sorted({str(entry["kind"]) for entry in content.entries})
    states = Counter((str(entry["kind"]), str(entry.get("accepted", ""))) for entry in content.entries)
    yields = [_yield(kind or "all", Counter({s: states[kind, s] for s in STATES})) for kind in kinds]
    if len(kinds) > 1:
        yields.append(_yield("all kinds", Counter({s: _all(states, s) for s in STATES})))
    places, beyond = places_of(measured)
    heats = [(name, _heat(content, of_type, name)) for name, of_type in _by_class(places) if of_type]
    listed, names = _worst(content.entries), [str(entry["image"]) for entry in content.entries]
    values: dict[str, Any] = {
        "content": content,
        "sentence": sentence(content, states),
        "problems": [(entry["image"], entry["error"]) for entry in content.entries if "error" in entry],
        "states": STATES,
        "yields": yields,
        "reasons": reasons(content.entries),
        "heats": heats,
        "beyond": beyond,
        "zones": [*content.rings, "beyond"],
        "types": [(name, by_zone(measured, name, content.rings)) for name in TYPES if _any(measured, name)],
        "faces": [_face_row(entry) for entry in listed[:MOST_FACES]],
        "shown": [entry for entry in listed if entry.get("overlay")][:MOST_SHOWN],
        "short": dict(zip(names, short_names(names), strict=True)),
        "more": max(len(content.entries) - MOST_FACES, 0),
    }
    return render_page("fiber.html.j2", values, STYLES, "page.js")


def sentence(content: LotOfFaces, states: Mapping[tuple[str, str], int]) -> str:
    """Say in one sentence what was found."""
    counted = plural(len(content.entries), "end face")
    if not content.judged:
        return f"{counted} measured; no rules were given, so nothing is accepted or rejected."
    counts = [f"{_all(states, state):,} {state}" for state in STATES if _all(states, state)]
    return f"{counted}: {', '.join(counts)}."


def reasons(entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """Count what kept faces from being accepted: state, rule, faces; the most frequent first.

    A face whose zones or scale nobody knows is counted by that, once: every rule would say it again.
    """
    counted: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        judged = entry.get("acceptance") or {}
        state = str(entry.get("accepted", ""))
        if state in ("", "accepted"):
            continue
        if state == "unknown":
            counted[state, _why_unknown(entry)] += 1
        else:
            counted.update((state, rule) for rule in judged.get("rules", ()))
    return [(state, rule, count) for (state, rule), count in counted.most_common(MOST_REASONS)]


def _why_unknown(entry: Mapping[str, Any]) -> str:
    """Say in general why nothing is known."""
    if "error" in entry:
        return "the image cannot be read"
    zones = entry["zones"]
    if not zones["found"]:
        return "the circle is not a cladding of its kind" if zones.get("stray") else "the cladding was not found"
    if entry["scale"] is None:
        return "micrometres per pixel are unknown"
    if zones["hidden"]:
        return f"zone {', '.join(zones['hidden'])} not whole in the image"
    return "a fact of a defect is missing"


def places_of(measured: Sequence[Mapping[str, Any]]) -> tuple[list[Place], int]:
    """Return where defects fall, from the axis in micrometres, and how many lie beyond what is drawn."""
    found = [
        Place(one["dx_um"], one["dy_um"], one["type"])
        for entry in measured
        if entry["zones"]["found"] and entry["scale"] is not None
        for one in entry["defects"] or ()
        if "dx_um" in one
    ]
    near = [place for place in found if place.near]
    return near, len(found) - len(near)


def by_zone(measured: Sequence[Mapping[str, Any]], kind: str, rings: Mapping[str, Any]) -> list[int]:
    """Count defects of a type by the zones that they lie in, and those beyond all."""
    zones = [one["zones"].split() for entry in measured for one in entry["defects"] or () if one["type"] == kind]
    return [*(sum(name in one for one in zones) for name in rings), sum(not one for one in zones)]


def _reasons(entry: Mapping[str, Any]) -> str:
    """Say why a face is not accepted, without the name of the rules, which stands at the top of the page."""
    if entry.get("accepted") == "accepted":
        return ""
    return "; ".join((entry.get("acceptance") or {}).get("reasons", ())) or str(entry.get("reasons", ""))


def _any(measured: Sequence[Mapping[str, Any]], kind: str) -> bool:
    return any(one["type"] == kind for entry in measured for one in entry["defects"] or ())


def _by_class(places: Sequence[Place]) -> list[tuple[str, list[Place]]]:
    """Sort places into the two classes that the standard tells apart."""
    scratches = [place for place in places if place.type == "scratch"]
    return [("Scratches", scratches), ("Other defects", [place for place in places if place.type != "scratch"])]


def _heat(content: LotOfFaces, places: Sequence[Place], name: str) -> list[tuple[str, Any]]:
    return drawn(
        {"narrow": WIDTHS["narrow"], "middle": WIDTHS["middle"]},
        lambda width: face_heat(places, content.rings, width, name),
    )


def _all(states: Mapping[tuple[str, str], int], state: str) -> int:
    return sum(count for (_, one), count in states.items() if one == state)


def _yield(kind: str, counts: Mapping[str, int]) -> dict[str, Any]:
    total = sum(counts.values())
    return {"kind": kind, "counts": counts, "total": total, "share": counts["accepted"] / total if total else None}


def _worst(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Order faces: rejected first, then unknown ones, then by what was found on them."""
    order = {"rejected": 0, "unknown": 1, "rework": 2, "": 3, "accepted": 4}
    return sorted(entries, key=lambda entry: (order[entry.get("accepted", "")], -(entry.get("score") or 0.0)))


def _face_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Gather a row of the table of faces."""
    defects, measures = entry.get("defects"), entry.get("measures", {})
    worst = max((one["size_um"] for one in defects or () if "size_um" in one), default=None)
    return {
        "image": entry["image"],
        "state": entry.get("accepted", ""),
        "reasons": entry.get("error") or _reasons(entry),
        "overlay": entry.get("overlay", ""),
        "report": entry.get("report", ""),
        "count": None if defects is None else len(defects),
        "worst": None if worst is None else f"<= {FLOOR_UM:g}" if worst < FLOOR_UM else f"{worst:.1f}",
        "offset": measures.get("core_offset_um"),
        "ovality": measures.get("ovality"),
    }
