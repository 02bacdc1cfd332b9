"""Words without a key: what each verb takes them for, and what it says of those that it cannot place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.configuring.config import compose_config, parse_overrides
from tools.configuring.positions import POSITIONS, usage, with_keys
from tools.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def values(verb: str, *args: str) -> dict[str, object]:
    """What a command says, by key."""
    return {override.key_or_group: override.value() for override in parse_overrides(with_keys(verb, args))}


@pytest.mark.parametrize("name", ["plain", "a b", "it's", "Powder (1)", "a,b", "[x]", "{y}", "50%", "${z}", "ü"])
def test_a_folder_of_images_is_all_that_must_be_typed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    given = with_keys("train", [str(tmp_path / name), "seed=3"])
    config = compose_config("train", given)
    assert (config.choices.data, config.seed) == ("folder", 3)
    assert config.data._get_node("root")._value() == str(tmp_path / name)


def test_a_domain_may_be_named_beside_the_folder(tmp_path: Path) -> None:
    assert compose_config("doctor", with_keys("doctor", ["data=fiber", str(tmp_path)])).choices.data == "fiber"


def test_predict_takes_a_run_and_any_number_of_sources(tmp_path: Path) -> None:
    assert values("predict", "latest", "a.png", "b c.png", "overlay=all") == {
        "run": "latest",
        "source": ["a.png", "b c.png"],
        "overlay": "all",
    }
    (tmp_path / "spec.json").write_text("{}", encoding="utf-8")
    assert values("predict", str(tmp_path), "a.png") == {"bundle": str(tmp_path), "source": ["a.png"]}


@pytest.mark.parametrize("key", ["run=r", "bundle=b", "line=meta_atom"])
def test_what_is_named_takes_no_place(key: str) -> None:
    name, _, value = key.partition("=")
    assert values("predict", key, "a.png") == {name: value, "source": ["a.png"]}


def test_runs_to_compare_are_a_list() -> None:
    assert values("compare", "a b", "c,d", "seed=1") == {"runs": ["a b", "c,d"], "seed": 1}
    assert with_keys("compare", ["runs=[a]"]) == ["runs=[a]"]


def test_a_path_may_hold_an_equals_sign(tmp_path: Path) -> None:
    (tmp_path / "x=1").mkdir()
    assert values("train", f"{tmp_path}/x=1") == {"data.root": f"{tmp_path}/x=1"}


@pytest.mark.parametrize(
    ("verb", "args", "said"),
    [
        ("train", ["nosuch"], "there is nothing at"),
        ("train", [".", "."], "Expected loupe train ROOT"),
        ("test", ["a", "b"], "found 'b' as well"),
        ("test", ["run=a", "b"], "Expected key=value, but found 'b'"),
        ("demo", ["x"], "Expected key=value, but found 'x'"),
        ("train", ["data.root=x", "y"], "Expected key=value, but found 'y'"),
    ],
)
def test_what_has_no_place_is_named(verb: str, args: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_keys(verb, args)
    assert said in str(caught.value)


def test_a_domain_to_prepare_stays_a_word() -> None:
    assert with_keys("prepare", ["oring", "source=a"]) == ["oring", "source=a"]


def test_the_help_shows_the_places() -> None:
    assert usage("predict") == "[RUN] [SOURCE ...] "
    assert not usage("demo")
    assert all(usage(verb) for verb in POSITIONS)
