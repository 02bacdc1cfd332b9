"""The page of a sweep: what it says, and that it needs nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from callbacks.report.charts.sweep_figures import on_front
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
    said = words(page)
    assert "Ranked best by AUROC on calibration pictures: padim on easy (0.990); patchcore on hard (0.900)." in said
    assert "0.935" not in said  # no mean over data sets: other images are not harder by the same amount
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
    assert first.by_data["b"][0] == pytest.approx(0.9)
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


def test_a_data_set_that_cannot_be_ranked_keeps_its_column() -> None:
    blind = replace(trial(3, 0.9, "blind", model="padim"), calibration=None)
    page = render_sweep(content(*(replace(one, data="rings") for one in RANKED), blind))
    said = words(page)
    assert "patchcore on rings (0.950); none on blind." in said
    assert page.count("Nothing to rank") == 1
    assert page.count('<th scope="col">data</th>') == 1
    assert page.count("<td>blind</td>") == 1
    nothing = render_sweep(content(blind, replace(blind, data="dark")))
    assert nothing.count("<td>blind</td>") == nothing.count("<td>dark</td>") == 1


def test_what_was_pruned_has_no_interval_and_no_rank() -> None:
    pruned = replace(trial(3, 0.512, model="dfm"), state="pruned", calibration=(0.512, None, None), test=None)
    page = render_sweep(content(*RANKED, pruned))
    row = re.search(r'<tr class="pruned">.*?</tr>', page, re.DOTALL)
    assert row is not None
    assert "0.512" in row[0]
    assert " to " not in row[0]
    assert '<td class="n">pruned</td>' in row[0]


def test_the_page_of_a_running_sweep_renews_itself() -> None:
    assert 'http-equiv="refresh" content="5"' in render_sweep(content(*RANKED, refresh_s=5))
    assert "refresh" not in render_sweep(content(*RANKED))


def test_no_winner_is_named_by_times_taken_side_by_side() -> None:
    page = render_sweep(content(*RANKED))
    assert "Quality and time" not in page
    assert "Quality and size" in page
    timed = [replace(one, alone=float(index + 1)) for index, one in enumerate(RANKED)]
    page = render_sweep(content(*timed))
    assert "Quality and time" in page
    assert "patchcore: 1 ms" in words(page)


def test_failures_and_equals_are_told() -> None:
    failures = [("DivergedError: the loss ran away.", 3, "logs/abc.txt")]
    page = render_sweep(content(*RANKED, failures=failures, remarks=["2 settings are equal at 0.950."]))
    assert "3the loss ran away." in words(page).replace("DivergedError: ", "")
    assert 'href="logs/abc.txt"' in page
    assert "2 settings are equal at 0.950." in words(page)


def test_nothing_is_said_about_importance_without_ground() -> None:
    page = render_sweep(content(*RANKED, importances=[], silence="The intervals overlap."))
    assert "What mattered" not in page
    assert "The intervals overlap." in page


def test_the_history_shows_every_trial_in_the_order_in_which_they_ended() -> None:
    trials = [replace(one, number=number) for number, one in zip((3, 1, 2), RANKED, strict=True)]
    lost = replace(trials[0], id="f" * 12, state="failed", calibration=None, test=None, number=4)
    page = render_sweep(content(*trials, lost))
    assert page.count("Objective by trial") == 3  # in three widths
    assert "4 trials; the best reached 0.950." in page
