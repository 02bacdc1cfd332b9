"""The page of a lot of o-rings: what its headline says of parts that no limits judged."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from callbacks.report.oring_page import LotOfRings, sentence

NOT_JUDGED = "; no limits were given, so nothing is accepted or refused."


@pytest.mark.parametrize(
    ("defects", "judged", "expected"),
    [
        ([None, None], False, f"2 parts measured{NOT_JUDGED}"),
        ([0, 0], False, f"2 parts measured, 0 with defects{NOT_JUDGED}"),
        ([2, 1, 0], False, f"3 parts measured, 2 with defects (3 in all){NOT_JUDGED}"),
        ([2, None], False, f"2 parts measured, 1 with defects (2 in all), 1 that no model looked at{NOT_JUDGED}"),
        ([2, 0], True, "2 parts: 1 accepted, 1 rejected."),
    ],
)
def test_the_headline_says_on_how_many_parts_defects_are(
    defects: list[int | None], judged: bool, expected: str
) -> None:
    states = ["rejected" if count else "accepted" for count in defects] if judged else [""] * len(defects)
    rows: list[dict[str, Any]] = [
        {"kind": "model1", "accepted": state, "defects": count} for state, count in zip(states, defects, strict=True)
    ]
    content = LotOfRings(rows, {}, (), (), judged, (), "", "")
    assert sentence(content, Counter(("model1", state) for state in states)) == expected
