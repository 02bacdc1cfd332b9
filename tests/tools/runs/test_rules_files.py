"""Files of rules: what is refused, and that no rule is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from callbacks.measures.accepted_parts import AcceptedParts
from tools.configuring.build import build
from tools.configuring.config import compose_config
from tools.errors import ConfigError
from tools.runs.accepting import MEASURE, read_rules_file, unlisted_measure

if TYPE_CHECKING:
    from pathlib import Path


def test_rules_are_read_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("thickness: {min: 1}\nmodel: {verdict: good}\n", encoding="utf-8")
    assert read_rules_file(str(path)) == {"thickness": {"min": 1}, "model": {"verdict": "good"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds NoneType"),
        ("- 1", "holds list"),
        ("a:\n\t- x", "is not: while scanning"),
        ("a: {min: 1}\nb: {min: 2}\na: {min: 3}", "a stands twice"),
        ("a: {min: 1, min: 2}", "min stands twice"),
    ],
)
def test_what_is_no_file_of_rules_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_rules_file(str(path))


def test_runs_whose_config_lists_no_measure_of_acceptance_get_it() -> None:
    config = compose_config("train", [])
    assert isinstance(build(config.callbacks.evaluation, "callbacks.evaluation").measures[MEASURE], AcceptedParts)
    assert unlisted_measure(config) == {}
    config.callbacks.evaluation.measures.pop(MEASURE)
    assert isinstance(unlisted_measure(config)[MEASURE], AcceptedParts)
    config.callbacks.evaluation.pop("measures")
    assert isinstance(unlisted_measure(config)[MEASURE], AcceptedParts)
    config.callbacks.evaluation.measures = {MEASURE: None}
    assert unlisted_measure(config) == {}, "somebody left it out"
