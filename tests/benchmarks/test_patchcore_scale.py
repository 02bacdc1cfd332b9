"""The benchmark of many images: what it draws of its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.patchcore_scale import plot

if TYPE_CHECKING:
    from pathlib import Path


def row(images: int, cpu_s: float) -> dict[str, Any]:
    """Make a result with one point on its course."""
    course = [[images // 2, cpu_s / 2, cpu_s, 1.5]]
    return {
        "images": images,
        "memory": "4GiB",
        "cpu_s": cpu_s,
        "wall_s": cpu_s,
        "before_gib": 1.0,
        "peak_gib": 2.0,
        "course": course,
    }


def test_every_size_is_a_line_with_its_name(tmp_path: Path) -> None:
    plot([row(1000, 60), row(43_260, 1200)], tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert drawn.startswith("<?xml")
    for written in ("<!-- 1,000 -->", "<!-- 43,260 -->", "<!-- minutes of the processor -->"):
        assert written in drawn
