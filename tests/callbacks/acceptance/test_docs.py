"""What docs/acceptance.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from callbacks.acceptance.judgement import Acceptance

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "acceptance.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """List the blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_rules_shown_are_rules() -> None:
    """The YAML builds; every sort of rule is among them."""
    (text,) = blocks("yaml")
    values = yaml.safe_load(text)
    assert values.pop("_target_").endswith(".Acceptance")
    sorts = {type(rule).__name__ for rule in Acceptance(**values).read}
    assert sorts == {"VerdictRule", "CountRule", "MeasureRule", "TypeRule"}


def test_the_code_shown_runs() -> None:
    """Its assertions hold."""
    (code,) = blocks("python")
    exec(compile(code, "docs/acceptance.md", "exec"), {})  # noqa: S102 - our own text
