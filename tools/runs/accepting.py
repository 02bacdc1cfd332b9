"""The rules of a run: which parts are accepted, from its config, and from a file of rules that it takes in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from callbacks.measures.accepted_parts import AcceptedParts
from datamodules.files.regular_files import LARGEST_LABELS, read_regular
from tools.configuring.build import build
from tools.errors import ConfigError
from tools.mishaps import first_line
from tools.runner.face_inspector import FaceInspector, inspector_of

from .zoning import sizes_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from callbacks.acceptance.judgement import Acceptance
    from callbacks.measures.measure import Measure
    from tools.runner.measuring import Measuring

FILE = "rules_file"
MEASURE = "acceptance"


def acceptance_of(config: DictConfig) -> Acceptance | None:
    """Build the rules of a config; None where it has none, as configs of earlier versions.

    A file of rules is read once: its rules are noted in the config, beside those that are there, and travel with it.

    Raises:
        ConfigError: A rule means nothing, or the file cannot be read.
    """
    values = config.get("acceptance")
    if not values:
        return None
    if values.get(FILE):
        config.acceptance.rules = {**(values.get("rules") or {}), **read_rules_file(str(values[FILE]))}
        config.acceptance[FILE] = None
    built: Acceptance = build(config.acceptance, "acceptance")
    return built


def inspector_by(config: DictConfig, acceptance: Acceptance | None, measuring: Measuring) -> FaceInspector | None:
    """Return what looks at parts on their files for these rules; None where maps tell all that they ask for."""
    return inspector_of(acceptance, measuring, *sizes_of(config))


def unlisted_measure(config: DictConfig) -> dict[str, Measure]:
    """Build the measure that applies the rules, by its name, for a run of an earlier version, whose config lacks it."""
    listed = config.callbacks.evaluation.get("measures")
    return {} if listed and MEASURE in listed else {MEASURE: AcceptedParts()}


class _Once(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML comes without types
    """Refuses a name that stands twice: the first of two rules would be lost, and parts pass that it was to stop."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a dictionary of a group of keys."""
        names = [key.value for key, _ in node.value]
        if twice := sorted({str(name) for name in names if names.count(name) > 1}):
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands twice", node.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def read_rules_file(path: str) -> dict[str, Any]:
    """Read rules by their names from YAML, or JSON.

    Raises:
        ConfigError: There is no such file, or it holds anything else.
    """
    expected = f"Expected acceptance.{FILE} to be a file of rules in YAML"
    try:
        found = yaml.load(read_regular(Path(path).expanduser(), LARGEST_LABELS).decode("utf-8-sig"), _Once)  # noqa: S506 - a safe one
    except OSError as error:
        raise ConfigError(f"{expected}, but {path}: {error.strerror}.") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{expected}, but {path} is not: {first_line(error)}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{expected}, each under its name, but {path} holds {type(found).__name__}.")
    return {str(name): rule for name, rule in found.items()}
