"""Files of rules: what is refused, and that no rule is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.errors import ConfigError
from tools.runs.accepting import read_rules_file

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
