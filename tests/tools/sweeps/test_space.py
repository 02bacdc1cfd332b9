"""The space: Hydra's grammar, on the command line and in files."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from tools.configuring.config import groups
from tools.errors import ConfigError
from tools.sweeps.space import Axis, Interval, read_space


def axis(arg: str, seed: int = 0) -> Axis:
    (found,) = read_space([arg], {}, seed)
    return found


@pytest.mark.parametrize(
    ("arg", "choices"),
    [
        ("seed=3", ["3"]),
        ("seed=0,1,2", ["0", "1", "2"]),
        ("seed=1,1,2", ["1", "2"]),
        ("model.coreset_ratio=choice(0.01,0.1)", ["0.01", "0.1"]),
        ("seed=range(1,7,2)", ["1", "3", "5"]),
        ("seed=range(3)", ["0", "1", "2"]),
        ("model.coreset_ratio=range(0.1,0.35,0.1)", ["0.1", "0.2", "0.30000000000000004"]),
        ("seed=sort(3,1,2)", ["1", "2", "3"]),
        ("data.image_size=[64,64],[128,96]", ["[64,64]", "[128,96]"]),
        ("data.root='/a,b'", ["'/a,b'"]),
        ("data.root=/x (1)/y", ["'/x (1)/y'"]),
        ("seed=tag(fine,choice(4,5))", ["4", "5"]),
        ("data.limit=null,20", ["null", "20"]),
    ],
)
def test_lists_become_choices(arg: str, choices: list[str]) -> None:
    assert list(axis(arg).choices) == choices


@pytest.mark.parametrize(
    ("arg", "interval"),
    [
        ("a.b=interval(0.1,0.5)", Interval(0.1, 0.5)),
        ("a.b=tag(log,interval(0.001,1))", Interval(0.001, 1.0, log=True)),
        ("a.b=int(interval(1,9))", Interval(1, 9, whole=True)),
        ("a.b=interval(0,1)", Interval(0.0, 1.0)),
    ],
)
def test_intervals_are_searched(arg: str, interval: Interval) -> None:
    assert axis(arg).interval == interval
    assert not axis(arg).fixed


def test_patterns_match_choices_of_a_group() -> None:
    assert list(axis("threshold=glob(*)").choices) == groups()["threshold"]
    assert list(axis("data=glob([f*,m*],exclude=meta_*)").choices) == ["fiber", "folder", "metallography"]


def test_shuffling_depends_on_the_seed_alone() -> None:
    arg = "seed=shuffle(range(0,20))"
    assert axis(arg, 1) == axis(arg, 1)
    assert axis(arg, 1) != axis(arg, 2)
    assert sorted(axis(arg, 1).choices, key=int) == [str(number) for number in range(20)]


def test_a_file_gives_what_the_command_does_not() -> None:
    space = OmegaConf.create(
        {
            "model": "patchcore",
            "model.num_neighbors": [1, 9],
            "model.coreset_ratio": "interval(0.01,0.1)",
            "seed": "0,1",
            "data.image_size": [[64, 64], [96, 96]],
            "compile": [True, None],
        }
    )
    axes = {axis.key: axis for axis in read_space(["seed=5"], {str(key): value for key, value in space.items()}, 0)}
    assert axes["seed"].choices == ("5",)
    assert axes["model.num_neighbors"].choices == ("1", "9")
    assert axes["model.coreset_ratio"].interval == Interval(0.01, 0.1)
    assert axes["data.image_size"].choices == ("[64,64]", "[96,96]")
    assert axes["compile"].choices == ("true", "null")
    assert next(iter(axes)) == "model"  # groups first: they decide which other keys there are


@pytest.mark.parametrize(
    ("arg", "message"),
    [
        ("a.b=interval(2,1)", "low below high"),
        ("a.b=tag(log,interval(0,1))", "above 0"),
        ("data=glob(x*)", "to match something"),
        ("seed=glob(*)", "for a group"),
        ("fiber", "Expected key=value"),
        ("seed=range(1,2", "follow Hydra's grammar"),
        ("seed=glob([a-z]*)", "follow Hydra's grammar"),
    ],
)
def test_mistakes_are_named(arg: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        axis(arg)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["repeat=3"], {"seed": ("0", "1", "2")}),
        (["seed=5", "repeat=2"], {"seed": ("5", "6")}),
        (["folds=3"], {"data.folds": ("3",), "data.fold": ("1", "2", "3")}),
        (["folds=2", "seed=0,7"], {"seed": ("0", "7"), "data.folds": ("2",), "data.fold": ("1", "2")}),
        (["repeat=1", "folds=null", "seed=0,1"], {"seed": ("0", "1")}),
    ],
)
def test_repeats_and_folds_become_trials(args: list[str], expected: dict[str, tuple[str, ...]]) -> None:
    assert {axis.key: axis.choices for axis in read_space(args, {}, 0)} == expected


def test_repeats_of_a_file_become_trials_and_those_of_the_command_go_before() -> None:
    found = {axis.key: axis.choices for axis in read_space(["repeat=2"], {"repeat": 3, "folds": 2}, 0)}
    assert found == {"seed": ("0", "1"), "data.folds": ("2",), "data.fold": ("1", "2")}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["repeat=1,3"], "Expected repeat to be one whole number above 0, but found 1, 3"),
        (["folds=-2"], "Expected folds to be one whole number"),
        (["repeat=2", "seed=0,1"], "list all of them: seed=0,1,2"),
    ],
)
def test_unclear_repeats_are_refused(args: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_space(args, {}, 0)
