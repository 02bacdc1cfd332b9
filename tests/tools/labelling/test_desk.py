"""Order, second opinions and settlements at the desk; the cases' queue, kappa and lists to the last digit."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tools.labelling.agreeing import compare_all, to_settle
from tools.labelling.desk import UnknownError
from tools.labelling.entries import Mark
from tools.labelling.leases import Leases
from tools.labelling.queue import Queue, Scored, draw, nearest_first
from tools.labelling.weighing import weights_of

from .conftest import images, open_desk, saying

if TYPE_CHECKING:
    from pathlib import Path

    from tools.labelling.desk import Desk


def test_the_cases_to_the_last_digit(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data.parent / "cases" / "labels" / "11_labels_two_inspectors.json"
    if not path.is_file():
        pytest.skip("the cases of labels are absent")
    case = json.loads(path.read_text(encoding="utf-8"))
    scores = [one["score"] for one in case["pictures"]]
    desk = open_desk(images(tmp_path / "images", scores, case["line"]), tmp_path / "out")
    shown = []
    say = saying(desk, "A")
    verdicts = {one["name"]: one for one in case["pictures"]}
    while found := desk.upcoming("A"):
        shown.append(found[0])
        say(found[0], verdicts[found[0]]["inspector_a"])
    assert shown == case["queue"]
    say = saying(desk, "B", "second")
    while found := desk.upcoming("B", "second"):
        assert desk.shown(found[0], "B", "second")["mark"] is None
        say(found[0], verdicts[found[0]]["inspector_b"])
    (compared,) = desk.agreement()
    for key in ("both_decided", "agreement", "cohen_kappa", "disagree", "unsure"):
        assert compared[key] == case[key]
    assert compared["kappa_low"] < compared["cohen_kappa"] < compared["kappa_high"]
    assert to_settle(desk.journal.state) == case["disagree"]
    desk.journal.close()


def test_nearest_first_with_ties_by_name_and_unknown_ones_last() -> None:
    found = nearest_first(
        [Scored("c", 1.25, 1.0), Scored("a", 0.75, 1.0), Scored("z"), Scored("d", 1.0, 1.0), Scored("b", 1.25, 1.0)]
    )
    assert found == ["d", "a", "b", "c", "z"]


def test_a_random_share_comes_evenly_and_says_nothing_of_scores() -> None:
    rng = np.random.default_rng(0)
    scored = [Scored(f"{number:04}", float(score), 0.0) for number, score in enumerate(rng.normal(0, 1, 4000))]
    queue = Queue(scored, share=0.2, seed=1)
    order = queue.order(set())
    assert sorted(one.name for one in order) == [one.name for one in scored]
    for length in (50, 200, 1000):
        at_random = sum(one.picked == "random" for one in order[:length])
        assert at_random == length // 5
    away = {one.name: abs(one.score or 0.0) for one in scored}
    near = [away[one.name] for one in order[:1000] if one.picked == "nearest"]
    drawn = [away[one.name] for one in order[:1000] if one.picked == "random"]
    assert np.mean(near) < 0.3
    assert abs(np.mean(drawn) - np.mean(list(away.values()))) < 0.13  # three standard errors of 200
    done = {one.name for one in order[:300]}
    assert [one.name for one in queue.order(done)[: len(order) - 300]] == [one.name for one in order[300:]]


def test_weights_stand_for_all_images_and_undo_the_bias() -> None:
    rng = np.random.default_rng(1)
    scored = [Scored(f"{number:04}", float(score), 2.0) for number, score in enumerate(rng.normal(0, 1, 5000))]
    queue = Queue(scored, share=0.25, seed=0)
    decided = {one.name for one in queue.order(set())[:800]}
    weights, missed = weights_of(scored, queue.picked, decided)
    assert missed == 0
    assert sum(weights.values()) == pytest.approx(5000)
    score = {one.name: one.score or 0.0 for one in scored}
    plain = np.mean([score[name] for name in decided])
    weighed = np.average([score[name] for name in decided], weights=[weights[name] for name in decided])
    truth = np.mean(list(score.values()))
    assert abs(plain - truth) > 0.8
    assert abs(weighed - truth) < 0.2


def test_two_people_get_different_images_and_what_is_left_of_one_who_went() -> None:
    now = [0.0]
    leases = Leases(60, clock=lambda: now[0])
    leases.hold(["a", "b"], "Ada")
    assert [image for image in "abc" if leases.free(image, "Bo")] == ["c"]
    leases.hold(["b", "c"], "Bo")
    assert leases.holder("b") == "Ada"
    now[0] = 50.0
    leases.touch("Bo")
    now[0] = 70.0
    assert [leases.holder(image) for image in "abc"] == ["", "", "Bo"]


def test_a_correction_counts_and_a_blind_opinion_is_settled(desk: Desk) -> None:
    saying(desk, "Ada")("p00.png", "good")
    saying(desk, "Bo")("p00.png", "defective")  # who saw what Ada said
    label = desk.journal.state.label("p00.png")
    assert label is not None
    assert (label.mark.verdict, label.disputed) == ("defective", False)
    saying(desk, "Cy", "second")("p00.png", "good")
    assert to_settle(desk.journal.state) == ["p00.png"]
    assert desk.shown("p00.png", "Bo", "settle")["opinions"].keys() == {"Ada", "Bo", "Cy"}
    saying(desk, "Bo", "settle")("p00.png", "good")
    settled = desk.journal.state.label("p00.png")
    assert settled is not None
    assert (settled.mark.verdict, settled.disputed) == ("good", False)
    desk.journal.undo("u", "Bo")
    assert to_settle(desk.journal.state) == ["p00.png"]
    assert len(compare_all(desk.journal.state)) == 3


def test_undo_touches_nobody_elses_verdict(desk: Desk) -> None:
    saying(desk, "Ada")("p00.png", "good")
    saying(desk, "Bo")("p00.png", "defective")
    desk.journal.undo("u", "Ada")
    label = desk.journal.state.label("p00.png")
    assert label is not None
    assert label.entry.by == "Bo"


def test_what_the_desk_does_not_know_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownError, match=r"name of an image of this set, but found 'q\.png'"):
        desk.say("1", "Ada", "q.png", Mark("good"))
    with pytest.raises(UnknownError, match="verdict of good, defective, rework, unsure"):
        desk.say("1", "Ada", "p00.png", Mark("fine"))
    with pytest.raises(UnknownError, match="pass of first, second, settle"):
        desk.upcoming("Ada", "third")


@pytest.mark.parametrize("other", ["/elsewhere/and/deep/lot/017.png", "lot/017.png", r"C:\shop\lot\017.png"])
def test_the_random_share_is_the_same_wherever_a_folder_lies(other: str) -> None:
    assert draw(other, 3) == draw("/shop/lot/017.png", 3)
    assert len({draw(name, 3) for name in ("a/017.png", "b/017.png", "a/018.png")} | {draw("a/017.png", 4)}) == 4


def test_labelling_what_was_judged_needs_no_torch(tmp_path: Path) -> None:
    images(tmp_path, [0.5, 1.5])
    rows = ["image_path,score,threshold", "p00.png,0.5,1", "p01.png,1.5,1"]
    (tmp_path / "predictions.csv").write_text("\n".join(rows) + "\n")
    code = (
        "import sys; from tools.labelling.items import items_of_predictions as read; import tools.labelling.starting;"
        "from pathlib import Path; assert len(read(Path(sys.argv[1])).items) == 2; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
