"""Every annotation of every class that a config names is read, so that no value goes by unchecked."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from configs import CONFIG_DIR
from tools.configuring.annotations import annotations_of, in_words, items_of, takes_words
from tools.configuring.build import build, check_arguments
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

TARGETS = sorted(
    {
        name
        for path in CONFIG_DIR.rglob("*.yaml")
        for name in re.findall(r"^[^#\n]*_target_:\s*([\w.]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
)
OWN = [name for name in TARGETS if name.partition(".")[0] in {"callbacks", "datamodules", "models", "tools"}]


class Base:
    """Its constructor is inherited, and names what only this module's type checker sees."""

    def __init__(self, part: Fraction | None = None, words: Sequence[str] = (), mode: Literal["a", "b"] = "a") -> None:
        self.given = part, words, mode


class Heir(Base):
    """Inherits it."""


@pytest.mark.parametrize("name", TARGETS)
def test_all_annotations_are_read(name: str) -> None:
    target = get_class(name)
    assert set(annotations_of(target)) == set(inspect.signature(target).parameters)


@pytest.mark.parametrize("name", OWN)
def test_what_is_asked_for_is_said_without_python(name: str) -> None:
    for annotation in annotations_of(get_class(name)).values():
        assert not re.search(r"typing|collections|\[|\||<|str\b|NoneType", in_words(annotation))


def config(**values: Any) -> Any:
    return OmegaConf.create({"_target_": f"{__name__}.Heir", **values})


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.configuring.build.get_class", {f"{__name__}.Heir": Heir}.__getitem__)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mode": "plat"}, "Expected it.mode to be a or b, but found 'plat'."),
        ({"words": [["x"]]}, "Expected it.words to be a list, each a word, but found [['x']]."),
        ({"part": "half"}, "Expected it.part to be a Fraction, as keys beside a _target_ or null, but found 'half'."),
        ({"words": True}, "Expected it.words to be a list, each a word, but found True."),
    ],
)
def test_wrong_values_are_named_whatever_else_is_annotated(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_arguments(config(**values), "it")
    assert str(caught.value) == said


def test_numbers_are_words_where_words_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setattr("tools.configuring.build.instantiate", lambda config, **_: seen.update(config))
    build(config(words=[0, "x", 1.5]), "it")
    assert seen["words"] == ["0", "x", "1.5"]
    assert takes_words(str)
    assert takes_words(str | None)
    assert not takes_words(int | str)
    assert items_of(list[str] | None) is str
    assert items_of(int) is None
