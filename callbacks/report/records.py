"""What a result rests on: thresholds, data, machine, command, config."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from .facts import threshold_of
from .wording import DASH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .content import ReportContent
    from .view import ReportView

_MOST_ROWS_OPEN = 8  # of a table that is shown unfolded
_STAGES = {
    "loading": "waiting for pictures",
    "model": "the model",
    "embedding": "embeddings for the maps below",
    "counting": "counting pixels, keeping examples",
}


def records_of(view: ReportView) -> dict[str, Any]:
    """List thresholds, data, environment and config."""
    content = view.content
    environment = dict(content.environment)
    started, command, weights = (environment.pop(name, "") for name in ("started", "command", "weights"))
    environment.pop("overrides", None)  # the command has them
    costs = _costs(environment)
    return {
        "date": _date(str(started)),
        "command": command,
        "thresholds": _thresholds(content),
        "counts": content.counts.rename_axis(None),
        "excluded": content.excluded.astype(str).to_dict("records"),
        "most_rows_open": _MOST_ROWS_OPEN,
        "weights": flat(weights if isinstance(weights, dict) else {"weights": weights} if weights else {}),
        "costs": costs,
        "environment": flat(environment),
        "config": content.config,
    }


def _thresholds(content: ReportContent) -> list[dict[str, Any]]:
    """Return image and pixel thresholds of every scope, with policy and promise."""
    rows = []
    for level, name in (("image", "Pictures"), ("pixel", "Pixels")):
        if chosen := threshold_of(content.calibration, level):
            rows.append(_threshold(level, name, chosen))
        scopes = content.calibration.get(level) or {}
        for scope in ("kind", "zone"):
            of_scope = scopes.get(scope) if isinstance(scopes.get(scope), dict) else {}
            rows += [_threshold(level, f"{name} of {scope} {key}", one) for key, one in (of_scope or {}).items()]
    return rows


def _threshold(level: str, name: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "value": f"{float(chosen['value']):.6g}".replace("-", "\N{MINUS SIGN}"),
        "policy": str(chosen.get("policy", "")),
        "promise": str(chosen.get("promise", "")),
        # What a pixel policy counts, pixels or highest values of images, is for its promise to say.
        "good": chosen.get("n_good") if level == "image" else None,
        "defective": chosen.get("n_defective"),
        "fallback": bool(chosen.get("fallback")),
    }


def _costs(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """Time and memory as rows; takes them out of ``environment``."""
    stages: Mapping[str, float] = environment.pop("milliseconds_by_stage", None) or {}
    peak: Mapping[str, float] = environment.pop("peak_memory_mib", None) or {}
    rows = [
        (_STAGES.get(name, name), f"{value:,.0f} ms per picture" if value >= 100 else f"{value:.3g} ms per picture")
        for name, value in stages.items()
    ]
    if stages:
        environment.pop("milliseconds_per_picture", None)  # the model's, which is among them
    if (seconds := environment.pop("seconds_of_training", None)) is not None:
        rows.insert(0, ("training and calibration", f"{seconds:,} s"))
    names = {"process": "peak memory of the process", "gpu": "peak memory of tensors on the GPU"}
    return rows + [(names.get(name, name), f"{value:,} MiB") for name, value in peak.items()]


def flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested values as rows of a table: ``{"torch": {"version": 2}}`` gives ``("torch version", "2")``."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{above} {key}".strip().replace("_", " ")
        if isinstance(value, dict):
            rows += flat(value, name)
        else:
            rows.append((name, _written(value)))
    return rows


def _date(started: str) -> str:
    """Day and minute of a time in ISO 8601; anything else as it stands."""
    try:
        return f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return started


def _written(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return DASH if value is None or value == "" else str(value)
