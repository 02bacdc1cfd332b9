from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest

from callbacks.report.doctor import Finding
from callbacks.statistics.bootstrap import Resampling
from datamodules.folder import FolderDataModule
from datamodules.health.shortcuts import auroc
from datamodules.table import GOOD, TEST
from models.features.joined_backbone import JoinedBackbone
from tools.checks.candidates import Candidate, asked_names, at_hand, side_by_side, single
from tools.checks.feature_advice import advise_features, candidates_of, choose, compare, further, lead_over, parts_found
from tools.checks.feature_card import card
from tools.checks.trials import PLANTED, Trial, choose_material, fit, planted, run_trial
from tools.cli import main
from tools.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from tools.checks.trials import Material


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty-six plates with a smooth texture."""
    root = tmp_path_factory.mktemp("plates")
    (root / "good").mkdir()
    for index in range(36):
        rng = np.random.default_rng(index)
        values = 120 + 90 * cv2.GaussianBlur(rng.normal(0, 3, (64, 64)), (0, 0), 4) + rng.normal(0, 2, (64, 64))
        assert cv2.imwrite(str(root / "good" / f"{index:03}.png"), values.clip(0, 255).astype(np.uint8))
    return root


@pytest.fixture(scope="module")
def material(plates: Path) -> Material:
    datamodule = FolderDataModule(root=str(plates), num_workers=0, image_size=(64, 64))
    datamodule.setup()
    found = choose_material(datamodule)
    assert found is not None
    return found


def trial(*overrides: str, scores: npt.NDArray[np.float64]) -> Trial:
    return Trial(Candidate(overrides, ("x",)), scores, 1.0, 1.0, 1.0)


def test_no_test_image_is_touched_and_none_is_both_known_and_judged(material: Material) -> None:
    split = material.datamodule.samples.set_index("name")["split"]
    known, held = set(material.known["name"]), set(material.held["name"])
    assert not known & held
    assert TEST not in set(split[[*known, *held]])
    assert len(held) >= 4


def test_each_image_held_out_is_judged_as_it_is_and_with_every_defect(material: Material) -> None:
    samples = list(planted(material, material.datamodule.reading))
    count = len(material.held)
    assert [one.label_index for one in samples] == material.labels.tolist()
    assert [one.group for one in samples] == material.groups.tolist()
    for place in range(count):
        for one in samples[count + place * PLANTED : count + (place + 1) * PLANTED]:
            changed = (one.image != samples[place].image).any(dim=0)
            assert one.mask is not None
            assert changed.any()
            assert not changed.all()


def test_a_lead_beyond_chance_is_followed_and_no_other(material: Material) -> None:
    rng = np.random.default_rng(0)
    labels = material.labels.astype(float)
    noise = rng.normal(0, 1, (2, len(labels)))
    usual, same, better = (labels + noise[0], labels + 0.1 * noise[1] + noise[0], 9 * labels + noise[0])
    first = trial(scores=usual)
    stays = compare([first, trial("backbone=same", scores=same)], material)
    assert choose(stays) is stays[0]
    leads = compare([first, trial("backbone=same", scores=same), trial("backbone=b", scores=better)], material)
    assert choose(leads) is leads[2]
    assert leads[2].lead.low > 0
    assert leads[0].lead.value == 0


def test_two_groups_that_are_alike_make_no_lead_certain(material: Material) -> None:
    """As it is with two wear sequences: drawn by group, a lead by luck has hardly an interval."""
    half = len(material.held) // 2
    held = pd.concat([material.held.iloc[:half], material.held.iloc[:half]])
    held = held.assign(group=["a"] * half + ["b"] * half, name=[str(place) for place in range(2 * half)])
    few = material._replace(held=held)
    rng = np.random.default_rng(3)
    count = PLANTED * half
    good, planted_scores = rng.normal(0, 1, (2, half)), rng.normal(0.5, 1, (2, count))
    scores = [np.concatenate([g, g + 0.1, p, p]) for g, p in zip(good, planted_scores, strict=True)]
    value_of = [auroc(one[: 2 * half], one[2 * half :]) for one in scores]
    worse, better = np.argsort(value_of)
    first, other = scores[worse], scores[better]
    by_group = lead_over(first, other, few.labels, few.groups, Resampling())
    assert by_group.low > 0
    lead = compare([trial(scores=first), trial("backbone=b", scores=other)], few)[1].lead
    assert lead.low <= 0 < lead.value < lead.high


def test_what_is_at_hand_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOUPE_WEIGHTS", raising=False)
    found, missing = at_hand(["loupe", "resnet18", "untrained"])
    assert [one.overrides for one in found] == [(), ("backbone=resnet18", "backbone.weights=none")]
    assert "LOUPE_WEIGHTS=DIR" in missing["resnet18"]


@pytest.mark.parametrize("features", [None, "none", "off", []])
def test_nothing_is_compared_unless_asked(features: object) -> None:
    assert asked_names(features) == []


def test_names_are_checked() -> None:
    assert asked_names(["untrained"]) == ["loupe", "untrained"]
    assert asked_names("all")[0] == "loupe"
    with pytest.raises(ConfigError, match="Expected features to be all, none, or a list of"):
        asked_names(["mobilnet"])
    with pytest.raises(ConfigError, match="Expected minutes to be above 0"):
        asked_names("all", 0)


def test_where_the_time_is_over_the_default_alone_is_tried(material: Material) -> None:
    advice = advise_features(material.datamodule, ["loupe", "untrained"], 1e-6)
    assert advice is not None
    assert [one.trial.candidate for one in advice.compared] == [single("loupe")]
    assert "minutes=" in advice.untried[single("untrained").name]
    found = card(advice, ["data.root=x", "features=all"])
    assert isinstance(found, Finding)
    assert "loupe train data.root=x." in found.advice


def test_too_few_good_images_give_no_advice(plates: Path) -> None:
    datamodule = FolderDataModule(root=str(plates), num_workers=0, image_size=(64, 64), limit=6)
    datamodule.setup()
    assert (datamodule.samples["label_index"] == GOOD).all()
    assert advise_features(datamodule, ["loupe"], 1) is None


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four dark rings on a plain ground with a little dust."""
    root = tmp_path_factory.mktemp("rings")
    (root / "good").mkdir()
    for index in range(24):
        rng = np.random.default_rng(index)
        values = 200 + rng.normal(0, 2, (96, 96))
        cv2.circle(values, (48, 48), 30, 60, 12)
        cv2.circle(values, tuple(int(value) for value in rng.integers(4, 14, 2)), 1, 120, -1)
        assert cv2.imwrite(str(root / "good" / f"{index:03}.png"), values.clip(0, 255).astype(np.uint8))
    return root


def ringed(rings: Path, **more: Any) -> Material:
    datamodule = FolderDataModule(root=str(rings), num_workers=0, image_size=(96, 96), **more)
    datamodule.setup()
    found = choose_material(datamodule)
    assert found is not None
    return found


def test_defects_are_planted_on_the_part_where_it_alone_counts(rings: Path) -> None:
    material = ringed(rings, foreground="plain")
    samples = list(planted(material, material.datamodule.reading))[len(material.held) :]
    on_part = [bool((one.mask & one.foreground).sum() > one.mask.sum() / 2) for one in samples]  # type: ignore[operator, union-attr]  # both are there
    assert sum(on_part) > 0.95 * len(on_part)
    assert np.isfinite(run_trial(single("loupe"), material).score_N).all()


def test_what_stands_out_from_a_plain_ground_is_worth_a_trial(rings: Path, material: Material) -> None:
    plain = single("loupe").also("data.foreground=plain")
    found = ringed(rings)
    assert parts_found(found) == 1
    assert plain in list(further([single("loupe")], found))
    assert plain not in list(further([single("loupe")], ringed(rings, foreground="solid")))
    assert plain not in list(further([single("loupe")], material))
    fitted = fit(plain, found)
    assert fitted.module.pads
    assert fitted.reading.foreground is not None


def test_the_best_backbone_is_tried_in_mirrors_unless_it_knows_nothing(material: Material) -> None:
    loupe, untrained = single("loupe"), single("untrained")
    mirrored = [one for one in further([loupe, untrained], material) if "backbone.mirrored=true" in one.overrides]
    assert mirrored == [loupe.also("backbone.mirrored=true", pixels=4)]
    backbone: Any = fit(mirrored[0], material).module.model.backbone
    assert backbone.mirrored


def test_the_two_best_backbones_are_tried_side_by_side(material: Material) -> None:
    one, other = single("loupe"), single("efficientnet_lite0")
    scores = [material.labels.astype(float), np.zeros(len(material.labels))]
    trials = [Trial(each, score, 1.0, 1.0, 1.0) for each, score in zip((other, one), scores, strict=True)]
    *_, last = candidates_of([], trials, material)
    assert last == side_by_side(other, one)
    assert last.overrides == ("backbone=[efficientnet_lite0,loupe]",)
    untrained = Trial(single("untrained"), scores[0], 1.0, 1.0, 1.0)
    assert not any(name.name.startswith("backbone=[") for name in candidates_of([], [untrained, trials[1]], material))
    pair = side_by_side(one, other).also("backbone.networks.efficientnet_lite0.weights=none")
    fitted = fit(pair, material)
    assert [part.known for part in fitted.module.modules() if isinstance(part, JoinedBackbone)] == [True]
    assert np.isfinite(run_trial(pair, material).score_N).all()


@pytest.mark.slow
def test_the_doctor_says_which_features_to_use(
    plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [f"data.root={plates}", f"out={tmp_path}", "id=x", "data.image_size=64", "data.num_workers=0"]
    assert main(["doctor", *common, "features=[untrained]"]) == 0
    folder = tmp_path / "folder-doctor" / "x"
    result = json.loads((folder / "doctor.json").read_text(encoding="utf-8"))
    features = result["features"]
    assert features["planted"] == PLANTED * features["held_images"]
    tried = {" ".join(one["overrides"]): one["auroc"] for one in features["compared"]}
    assert {"", "backbone=resnet18 backbone.weights=none"} <= set(tried)
    assert any("backbone.layers=[1,2,3]" in name for name in tried)
    assert all(one["low"] <= one["value"] <= one["high"] for one in tried.values())
    assert features["command"].startswith("loupe train ")
    assert f"data.root={plates}" in features["command"]
    shown = capsys.readouterr().out
    assert features["command"] in shown
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert 'id="feature_advice"' in page
    assert "Some of the planted defects" in page
