"""Numbers and counts as a reader expects them: no false precision, no false certainty, real minus signs."""

from __future__ import annotations

from math import floor, isfinite, log10

DASH = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def defined(value: float | None) -> float | None:
    """Return the value, or None where it is missing or not a number."""
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - only NaN differs from itself


def share(value: float | None) -> str:
    """Write a number in [0, 1] with three decimals. What is not exactly 0 or 1 is never rounded to it."""
    if (known := defined(value)) is None:
        return DASH
    if 0.9995 <= known < 1:
        return "> 0.999"
    return "< 0.001" if 0 < known < 0.0005 else f"{known:.3f}"


def percent(value: float | None) -> str:
    """Write a proportion in [0, 1] as a percentage with one decimal; 0 and 100 % have none, and mean exactly that."""
    if (known := defined(value)) is None:
        return DASH
    if 0.9995 <= known < 1:
        return "> 99.9 %"
    if 0 < known < 0.0005:
        return "< 0.1 %"
    return f"{100 * known:.0f} %" if known in (0, 1) else f"{100 * known:.1f} %"


def span(low: float, high: float, *, as_percent: bool = False) -> str:
    """Write an interval in [0, 1], with the unit said once."""
    if not as_percent:
        return f"{share(low)} to {share(high)}"
    return f"{percent(low).removesuffix(' %')} to {percent(high)}"


def interval_name(confidence: float) -> str:
    """Name an interval of a confidence in (0, 1)."""
    return f"{100 * confidence:g} % interval"


def score_decimals(low: float, high: float) -> int:
    """Return decimals that show a thousandth of the range of scores."""
    span = high - low
    return min(8, max(0, 3 - floor(log10(span)))) if isfinite(span) and span > 0 else 3


def score(value: float, decimals: int) -> str:
    """Write a raw score."""
    if not isfinite(value):
        return "\N{INFINITY}" if value > 0 else f"{_MINUS}\N{INFINITY}" if value < 0 else DASH
    written = f"{value:.{decimals}f}" if abs(value) < 1e9 else f"{value:.6g}"
    return written.replace("-", _MINUS)


def distance(value: float, threshold: float, decimals: int) -> str:
    """Tell how far a score lies from the threshold, and on which side; at the threshold counts as above."""
    side = "above" if value >= threshold else "below"
    gap = abs(value - threshold)
    return (
        f"just {side} the threshold" if gap < 0.5 * 10.0**-decimals else f"{score(gap, decimals)} {side} the threshold"
    )


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 picture``, ``1,204 pictures``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
