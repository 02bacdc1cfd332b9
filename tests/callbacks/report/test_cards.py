from __future__ import annotations

import pytest

from callbacks.report.cards import IMAGE_MEASURES, card, pixel_cards
from callbacks.report.wording import DASH

AUROC = IMAGE_MEASURES[0]


def test_a_card_shows_value_interval_and_baseline() -> None:
    estimate = {"value": 0.9, "low": 0.8, "high": 1.0}
    made = card(AUROC, {"test": {"image_auroc": estimate}, "baseline": {"separability": estimate | {"value": 0.85}}})
    assert (made.value, made.interval, made.baseline) == ("0.900", "0.800 to 1.000", "brightness 0.850")
    assert made.bar is not None
    assert "baseline" in made.bar


@pytest.mark.parametrize("estimate", [None, {}, {"value": None, "low": None, "high": None}, {"value": float("nan")}])
def test_a_missing_value_is_a_dash_and_says_why(estimate: dict[str, float | None] | None) -> None:
    made = card(AUROC, {"test": {"image_auroc": estimate}})
    assert made.value == DASH
    assert "needs good and defective" in made.why
    assert made.bar is None


def test_no_pixel_value_means_no_pixel_cards() -> None:
    assert pixel_cards({"test": {"pixel_auroc": {"value": None}}}) == []
    assert len(pixel_cards({"test": {"pixel_auroc": {"value": 0.9}}})) == 5
