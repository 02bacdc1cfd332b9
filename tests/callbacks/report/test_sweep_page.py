"""The page of a sweep: what it says, and that it needs nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from callbacks.report.sweep_figures import on_front
from callbacks.report.sweep_page import SweepContent, SweptTrial, merge, render_sweep


def trial(index: int, value: float, data: str = "", seed: str = "", **setting: str) -> SweptTrial:
    return SweptTrial(
        id=f"{index:012x}",
        state="complete",
        data=data,
        seed=seed,
        setting=setting,
        calibration=(value, value - 0.05, min(1.0, value + 0.05)),
        test=(value - 0.02, value - 0.1, value),
        milliseconds=10.0 * (index + 1),
        size_mib=2.0,
        seconds=12.0,
    )


def content(*trials: SweptTrial, **changes: object) -> SweepContent:
    keys = dict.fromkeys(key for one in trials for key in one.setting)
    axes = {key: sorted({one.setting[key] for one in trials if key in one.setting}) for key in keys}
    about: dict[str, object] = {"title": "rings", "trials": trials, "axes": axes, "importances": [("model", 0.8)]}
    about |= {"about": [("trials", "3")], "command": "loupe sweep resume runs/rings", "warnings": ["Mind the gap."]}
    return SweepContent(**(about | changes))  # type: ignore[arg-type]


RANKED = (trial(0, 0.95, model="patchcore"), trial(1, 0.93, model="padim"), trial(2, 0.6, model="dfm"))


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.partition("<body>")[2]))


def test_the_page_says_what_won_and_how_certain_that_is() -> None:
    said = words(render_sweep(content(*RANKED)))
    assert "patchcore ranks calibration pictures best, with an AUROC of 0.950." in said
    assert "1 of 2 others reaches into its 95 % interval" in said
    assert "Mind the gap." in said
    assert "loupe sweep resume runs/rings" in said


def test_the_page_needs_nothing_and_is_the_same_every_time() -> None:
    page = render_sweep(content(*RANKED))
    assert page == render_sweep(content(*RANKED))
    for source in ('src="', 'href="http', "url(http", "@import", "<script"):
        assert source not in page
    Balanced().check(page)


def test_names_from_outside_are_escaped() -> None:
    page = render_sweep(content(*(replace(one, data="<b>&") for one in RANKED), title="<i>"))
    assert "<i>" not in page
    assert "<b>&<" not in page


def test_several_data_sets_are_never_ranked_together() -> None:
    trials = (
        trial(0, 0.99, "easy", model="padim"),
        trial(1, 0.97, "easy", model="patchcore"),
        trial(2, 0.9, "hard", model="patchcore"),
        trial(3, 0.6, "hard", model="padim"),
    )
    page = render_sweep(content(*trials))
    assert "patchcore ranks calibration pictures best over 2 data sets, with a mean AUROC of 0.935." in words(page)
    assert page.count("Ranking by AUROC") == 2 * 3  # one per data set, in three widths
    assert page.count('class="n best"') == 2


def test_settings_are_merged_over_seeds_then_data() -> None:
    trials = [
        trial(0, 0.8, "a", "0", model="x"),
        trial(1, 0.6, "a", "1", model="x"),
        trial(2, 0.9, "b", "0", model="x"),
        trial(3, 0.95, "a", "0", model="y"),
    ]
    first, second = merge(trials)
    assert first.name == "x"  # on more data sets
    assert first.by_data["a"][0] == pytest.approx(0.7)
    assert first.calibration == pytest.approx((0.7 + 0.9) / 2)
    assert second.by_data.keys() == {"a"}


@pytest.mark.parametrize("trials", [(), (replace(RANKED[0], state="failed", calibration=None, test=None),), RANKED[:1]])
def test_there_is_always_a_page(trials: tuple[SweptTrial, ...]) -> None:
    Balanced().check(render_sweep(content(*trials, importances=[])))


def test_what_is_unknown_is_left_out() -> None:
    blind = replace(RANKED[0], calibration=None, test=None, milliseconds=None, size_mib=None, state="complete")
    said = words(render_sweep(content(blind, importances=[])))
    assert "No trial could be ranked." in said
    assert "nan" not in said.lower()


def test_the_front_is_what_nothing_beats_in_both() -> None:
    costs, qualities = [1.0, 2.0, 3.0, 4.0, 2.0, 1.0], [0.5, 0.7, 0.7, 0.9, 0.6, 0.5]
    assert on_front(costs, qualities) == [True, True, False, True, False, True]


class Balanced(HTMLParser):
    """Every element that opens is closed, in its place."""

    void = frozenset({"meta", "link", "br", "wbr", "img", "input"})

    def check(self, page: str) -> None:
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_seeds_and_folds_are_named_and_their_mean_decides() -> None:
    lucky = (trial(0, 0.99, seed="0, fold 1", model="padim"), trial(1, 0.61, seed="0, fold 2", model="padim"))
    steady = (trial(2, 0.9, seed="0, fold 1", model="dfm"), trial(3, 0.9, seed="0, fold 2", model="dfm"))
    said = words(render_sweep(content(*lucky, *steady)))
    assert "dfm ranks calibration pictures best, with a mean AUROC of 0.900 over 2 trials." in said
    assert "padim, seed 0, fold 1" in said
    assert "padim, fold 2" in words(render_sweep(content(trial(0, 0.9, seed="fold 2", model="padim"), *RANKED)))
