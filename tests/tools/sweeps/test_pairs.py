"""Keys whose values go together: a data set with its root, a model with its backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.cli import main
from tools.errors import ConfigError
from tools.sweeps.grid import Grid
from tools.sweeps.plan import read_plan
from tools.sweeps.settings import Composer

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Sweep


def settings(*args: str) -> list[dict[str, str]]:
    plan = read_plan(args)
    grid = Grid(Composer(plan.axes, plan.base, plan.pairs))
    found = []
    while (suggestion := grid.ask()) is not None:
        found.append(suggestion.setting)
    return found


def test_the_first_goes_with_the_first() -> None:
    found = settings("data=folder,fiber", "data.root=plates,ends", "sweep.pair=[data,data.root]", "seed=0,1")
    pairs = [(one["data"], one["data.root"]) for one in found]
    assert pairs == [("folder", "plates")] * 2 + [("fiber", "ends")] * 2
    assert [one["seed"] for one in found] == ["0", "1"] * 2


def test_a_kind_may_come_several_times_with_other_roots() -> None:
    found = settings("data=folder,folder,fiber", "data.root=a,b,c", "sweep.pair=[data,data.root]")
    assert [(one["data"], one["data.root"]) for one in found] == [("folder", "a"), ("folder", "b"), ("fiber", "c")]


def test_several_pairs_multiply_each_other() -> None:
    found = settings(
        "data=folder,fiber", "data.root=a,b", "model=patchcore,padim", "threshold=f1,normal",
        "sweep.pair=[[data,data.root],[model,threshold]]",
    )  # fmt: skip
    seen = [(one["data"], one["data.root"], one["model"], one["threshold"]) for one in found]
    assert sorted(seen) == [
        ("fiber", "b", "padim", "normal"),
        ("fiber", "b", "patchcore", "f1"),
        ("folder", "a", "padim", "normal"),
        ("folder", "a", "patchcore", "f1"),
    ]


def test_a_key_that_a_partner_does_not_know_is_left_out() -> None:
    found = settings("model=patchcore,padim", "model.coreset_ratio=0.1,0.2", "sweep.pair=[model,model.coreset_ratio]")
    assert found == [{"model": "patchcore", "model.coreset_ratio": "0.1"}, {"model": "padim"}]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["data=folder,fiber", "data.root=a,b,c", "sweep.pair=[data,data.root]"], "2 of data, 3 of data.root"),
        (["data=folder,fiber", "sweep.pair=[data,data.root]"], "a list of values for data.root"),
        (["sweep.pair=[data]"], "two keys or more"),
        (["seed=0,1", "model=dfm,padim", "sweep.pair=[[seed,model],[model,seed]]"], "once in sweep.pair"),
        (["data=folder,folder", "data.root=a,a", "sweep.pair=[data,data.root]"], "a value of its own"),
    ],
)
def test_mistakes_are_named(args: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(*args)


def test_a_search_keeps_pairs_together(tiny: Sweep) -> None:
    space = ("model=patchcore,padim,dfm", "threshold=f1,normal,f1", "sweep.pair=[model,threshold]")
    found = tiny(*space, "model.coreset_ratio=interval(0.05,0.2)", "sweep.search=random", "sweep.trials=12",
                 "sweep.workers=0")  # fmt: skip
    assert len(found) == 12
    seen = {(one.setting["model"], one.setting["threshold"]) for one in found.values()}
    assert seen == {("patchcore", "f1"), ("padim", "normal"), ("dfm", "f1")}


def test_a_paired_sweep_is_resumed(tiny: Sweep, tmp_path: Path) -> None:
    pair = ("data.domain=fiber,oring", "seed=3,4", "sweep.pair=[data.domain,seed]", "sweep.workers=0")
    tiny(*pair, "sweep.trials=1")
    assert main(["sweep", "resume", str(tmp_path / "sweep"), "sweep.trials=null"]) == 0
    assert len(tiny(*pair)) == 2
