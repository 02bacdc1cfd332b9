"""From settings to configs: what a model does not know does not multiply it."""

from __future__ import annotations

import pytest

from tools.errors import ConfigError
from tools.sweeps.grid import Grid
from tools.sweeps.plan import read_plan
from tools.sweeps.settings import Composer
from tools.sweeps.space import read_space


def settings(*args: str) -> list[dict[str, str]]:
    grid = Grid(Composer(read_space(args, {}, 0)))
    found = []
    while (suggestion := grid.ask()) is not None:
        found.append(suggestion.setting)
    return found


def test_a_grid_is_every_combination_once() -> None:
    found = settings("model=patchcore", "model.coreset_ratio=0.01,0.1", "seed=0,1,2")
    assert len(found) == 6
    assert found[0] == {"model": "patchcore", "model.coreset_ratio": "0.01", "seed": "0"}
    assert [setting["seed"] for setting in found[:3]] == ["0", "1", "2"]


def test_keys_of_one_model_do_not_multiply_another() -> None:
    found = settings("model=patchcore,padim", "model.coreset_ratio=0.01,0.1", "model.num_neighbors=3", "seed=0,1")
    assert [setting for setting in found if setting["model"] == "padim"] == [
        {"model": "padim", "seed": "0"},
        {"model": "padim", "seed": "1"},
    ]
    assert len(found) == 4 + 2


def test_keys_of_one_data_set_do_not_multiply_another() -> None:
    found = settings("data=synthetic,folder", "data.root=x", "data.domain=fiber,oring", "data.drawing_seed=7")
    assert [setting["data"] for setting in found] == ["synthetic", "synthetic", "folder"]


def test_the_config_is_that_of_a_run_with_these_overrides() -> None:
    composer = Composer(
        read_space(["model=patchcore", "seed=3,4", "model.coreset_ratio=0.2", "+extra=1"], {}, 0), ["out=/o"]
    )
    config = composer.config({"model": "patchcore", "seed": "4", "model.coreset_ratio": "0.2", "extra": "1"})
    assert (config["seed"], config["data"]["seed"], config["extra"]) == (4, 4, 1)
    assert config["model"]["coreset_ratio"] == 0.2
    assert config["data"]["root"] == "/o/drawn"
    assert composer.config({"model": "patchcore", "seed": "3"})["model"]["coreset_ratio"] == 0.1  # nothing stays behind


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["model=patchcore,padim", "model.coreset_ratoi=0.1,0.2"], r"did you mean 'model\.coreset_ratio'"),
        (["modle=patchcore,padim"], "did you mean 'model'"),
        (["model=patchcore,pdim"], "did you mean 'padim'"),
        (["seed=1,x"], "Expected seed to be a whole number"),
        (["model.coreset_ratio=0.1,much"], "to be a number, but found 'much'"),
        (["model.num_neighbors=interval(0.5,2.5)"], "to be a whole number"),
        (["data=fiber,oring"], r"Expected a value for data\.root"),
    ],
)
def test_mistakes_are_named_before_anything_runs(args: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        first_config(args)


def first_config(args: list[str]) -> dict[str, object]:
    composer = Composer(read_space(args, {}, 0))
    return composer.config({axis.key: axis.choices[0] for axis in composer.axes})


@pytest.mark.parametrize(
    ("given", "data"),
    [
        (["data.root=own"], "folder"),
        (["data.root=own", "data=fiber"], "fiber"),
        (["model.num_neighbors=1,3"], None),
    ],
)
def test_a_root_alone_means_images_of_ones_own(given: list[str], data: str | None) -> None:
    axes = {axis.key: list(axis.choices) for axis in read_plan(["name=tried", *given]).axes}
    assert axes.get("data") == (None if data is None else [data])
