"""A model for each kind in one call: equal to runs by hand, one report, one bundle, and predictions by kind."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from callbacks.statistics.bootstrap import Resampling
from datamodules.layer_groups import find_groups
from tests.tools.serving.conftest import form, serving
from tools import export as export_verb
from tools import predict as predict_verb
from tools import train as train_verb
from tools.errors import ConfigError
from tools.runner import Bundle
from tools.runs.by_kind import Kinds, by_folders, compare, judged_by_kind

SIZE = 48
LOOKS = (50, 120, 200)
MODEL = (
    "model=conv_ae_small",
    "model.widths=[4,4]",
    "trainer.max_epochs=2",
    "callbacks.epoch_pictures.every=0",
    "callbacks.evaluation.resamples=20",
    "data.image_size=[48,48]",
    "data.num_workers=0",
    "data.layer_groups=3",
)


def draw(root: Path) -> None:
    """Draw layers of three looks; of the darkest there are few."""
    rng = np.random.default_rng(0)
    for group, builds in enumerate((3, 14, 14)):
        for build in range(builds):
            for layer in range(4):
                bad = build >= builds - 4 and layer == 1 and group > 0
                values = LOOKS[group] + rng.normal(0, 2 + 2 * group, (SIZE, SIZE))
                if bad:
                    values[10:20, 10:20] += 30
                folder = root / ("defective" if bad else "good") / f"machine_{group}" / f"job_{build:02}"
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f"layer_{layer:03}.png"), np.clip(values, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train by kind, once."""
    root = tmp_path_factory.mktemp("by_kind")
    draw(root / "prints")
    words = ["data=print3d", f"data.root={root / 'prints'}", *MODEL, "by_kind=true", f"out={root / 'runs'}", "id=kinds"]
    path = train_verb.run(words, show=False)
    assert path is not None
    return path


def test_kinds_have_models_of_their_own_and_few_images_do_not(trained: Path) -> None:
    about = json.loads((trained / "by_kind.json").read_text())
    assert about["own"] == {"layers_1": "kind-layers_1", "layers_2": "kind-layers_2"}
    assert "too few" in about["fallback"]["layers_0"]
    table = pd.read_csv(trained / "predictions.csv").set_index("name")
    assert set(table["part"]) == {"shared", "kind-layers_1", "kind-layers_2"}
    for part, rows in table.groupby("part"):
        own = pd.read_csv(trained / str(part) / "predictions.csv").set_index("name")
        assert rows["score"].tolist() == own.loc[rows.index, "score"].tolist()
    page = (trained / "report" / "index.html").read_text()
    assert "layers_0: the shared model" in page
    assert "McNemar" in page
    for part in set(table["part"]):
        chosen = json.loads((trained / str(part) / "calibration.json").read_text())["image"]["all"]
        assert f"<td>{chosen['n_good']} good, {chosen['n_defective']} defective</td>" in page


def test_a_part_equals_a_run_by_hand(trained: Path) -> None:
    root = trained.parents[2] / "prints"
    words = [
        "data=print3d",
        f"data.root={root}",
        *MODEL,
        "data.kinds=[layers_1]",
        f"out={trained.parents[1]}",
        "id=hand",
    ]
    path = train_verb.run(words, show=False)
    assert path is not None
    for name in ("predictions.csv", "calibration.json"):
        assert (path / name).read_bytes() == (trained / "kind-layers_1" / name).read_bytes()


def test_images_are_predicted_by_kind_by_run_and_bundle_alike(trained: Path, tmp_path: Path) -> None:
    source = trained.parents[2] / "prints"
    out = predict_verb.run([f"run={trained}", f"source={source}", f"out={tmp_path / 'run'}"], show=False)
    assert out is not None
    export_verb.run([f"run={trained}", f"out={tmp_path / 'bundle'}", "pictures=8", "samples=2"], show=False)
    judged = pd.read_csv(out / "predictions.csv")
    judged["name"] = [Path(path).relative_to(source).as_posix() for path in judged["image_path"]]
    tested = pd.read_csv(trained / "predictions.csv").set_index("name")
    both = judged.set_index("name").join(tested, how="inner", rsuffix="_tested")
    assert len(both) == len(tested)
    assert both["kind"].tolist() == both["kind_tested"].tolist()
    assert both["score"].to_numpy() == pytest.approx(both["score_tested"].to_numpy(), rel=1e-4)
    assert both["verdict"].tolist() == both["verdict_tested"].tolist()
    bundle = Bundle(tmp_path / "bundle")
    for path, kind, score in judged[["image_path", "kind", "score"]].iloc[::20].itertuples(index=False):
        result = bundle(path)
        assert result.kind == kind
        assert result.score == pytest.approx(score, rel=1e-3)


def test_images_of_a_kind_are_predicted_as_by_the_run_of_their_kind(trained: Path, tmp_path: Path) -> None:
    source = trained.parents[2] / "prints" / "defective" / "machine_1"
    rows = []
    for run in (trained, trained / "kind-layers_1"):
        words = [f"run={run}", f"source={source}", f"out={tmp_path / run.name}", "overlay=all", "page=0"]
        out = predict_verb.run(words, show=False)
        assert out is not None
        lines = (out / "predictions.jsonl").read_text().splitlines()
        rows.append([json.loads(line) | {"kind": "layers_1"} for line in lines])
    assert rows[0] == rows[1]  # scores, probabilities, what is unusual, and defects with their confidence
    assert any(row["defects"] for row in rows[0])
    about = [json.loads((tmp_path / run / "predictions.json").read_text()) for run in ("kinds", "kind-layers_1")]
    assert about[0]["members"]["layers_1"]["image_threshold"] == about[1]["image_threshold"]
    drift = [json.loads((tmp_path / run / "drift.json").read_text()) for run in ("kinds", "kind-layers_1")]
    assert drift[0] == {"layers_1": drift[1]}
    overlays = [sorted((tmp_path / run / "overlays").rglob("*.jpg")) for run in ("kinds", "kind-layers_1")]
    assert [path.read_bytes() for path in overlays[0]] == [path.read_bytes() for path in overlays[1]]
    assert len(overlays[0]) == len(rows[0])


def test_the_page_shows_what_the_model_of_the_kind_promises_and_went_by(trained: Path, tmp_path: Path) -> None:
    part = trained / "kind-layers_1"
    chosen = json.loads((part / "calibration.json").read_text())["image"]["all"]
    path = next((trained.parents[2] / "prints" / "good" / "machine_1").rglob("*.png"))
    body, sort = form([(path.name, path.read_bytes())])
    drawn = []
    with serving(tmp_path, f"run={{kinds: {trained}, part: {part}}}") as server:
        for run, name in ((trained, "kinds"), (part, "part")):
            (answer,) = server.ask("POST", f"/show?model={name}", body, {"Content-Type": sort}).json
            assert answer["model"] == name
            assert html.escape(chosen["promise"], quote=False) in server.get(f"/shown/{answer['id']}").body.decode()
            parts = ("map", "reconstruction", "difference", "bottleneck-1")
            drawn.append([server.get(f"/shown/{answer['id']}/{one}.webp").body for one in parts])
            if run == trained:
                assert answer["kind"] == "layers_1"
                (served,) = (model for model in server.get("/models").json if model["name"] == name)
                assert served["thresholds"]["layers_1"] == pytest.approx(chosen["value"])
    assert drawn[0] == drawn[1]


def test_one_kind_is_refused_before_anything_is_trained(trained: Path, tmp_path: Path) -> None:
    root = trained.parents[2] / "prints"
    words = ["data=print3d", f"data.root={root}", "by_kind=true", f"out={tmp_path}", "data.num_workers=0"]
    with pytest.raises(ConfigError, match="two kinds or more"):
        train_verb.run(words, show=False)
    assert not list(tmp_path.iterdir())


def test_verdicts_are_compared_image_by_image() -> None:
    names = [f"{index:02}" for index in range(20)]
    shared = pd.DataFrame(
        {"name": names, "group": names, "kind": ["a"] * 10 + ["b"] * 10, "score": 1.0}
        | {"label_index": [0, 1] * 10, "verdict": ["good"] * 20}
    )
    own = shared[shared["kind"] == "a"].assign(verdict=["good", "defective"] * 5)
    table = judged_by_kind(shared, {"a": own}, {"a": "kind-a"})
    found = compare(table, Kinds({"a": "kind-a"}, {"b": "few"}), Resampling(50, 0.95, 0))
    paired = found["by_kind"]["paired"]
    assert (paired["better"], paired["worse"], paired["p"]) == (5, 0, pytest.approx(2 * 0.5**5))
    assert [row["part"] for row in found["by_kind"]["kinds"]] == ["kind-a", "shared"]
    assert found["test"]["image_recall"]["value"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("right", "shared_right", "said"),
    [
        (9, 1, r"p = 0\.0215\)\."),
        (9, 8, r"p = 1\), which does not show that either is better\."),
        (1, 9, r"p = 0\.0215\), which shows that the shared one is better\."),
    ],
)
def test_the_sentence_says_what_the_test_shows(right: int, shared_right: int, said: str) -> None:
    names = [f"{index:02}" for index in range(right + shared_right)]
    table = pd.DataFrame(
        {"name": names, "group": names, "kind": "a", "score": 1.0, "label_index": np.arange(len(names)) % 2}
    )
    truth = np.where(table["label_index"] == 1, "defective", "good")
    wrong = np.where(table["label_index"] == 1, "good", "defective")
    first = np.arange(len(names)) < right
    table["verdict"], table["shared_verdict"] = np.where(first, truth, wrong), np.where(first, wrong, truth)
    found = compare(table, Kinds({"a": "kind-a"}, {}), Resampling(20, 0.95, 0))
    assert re.search(said + "$", found["by_kind"]["paired"]["sentence"])


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_told_as_they_were_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    feature = rng.normal(size=(90, 259)) + np.repeat([[0.0], [3.0], [6.0]], 30, axis=0)
    found = find_groups(feature, np.ones(90, dtype=bool), 3, seed)
    assert found.finder is not None
    assert [found.finder.names[place] for place in found.finder.nearest(feature)] == [
        f"layers_{group}" for group in found.group_N
    ]


def test_a_training_that_was_stopped_goes_on_and_ends_the_same(trained: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "runs" / "prints" / "stopped"
    stopped.parent.mkdir(parents=True)
    shutil.copytree(trained, stopped)
    wanted = (trained / "predictions.csv").read_bytes()
    shutil.rmtree(stopped / "kind-layers_2")
    for name in ("predictions.csv", "metrics.json", "report/index.html"):
        (stopped / name).unlink()
    environment = json.loads((stopped / "environment.json").read_text())
    (stopped / "environment.json").write_text(json.dumps(environment | {"state": "training"}))
    kept = (stopped / "kind-layers_1" / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    train_verb.run([f"resume={stopped}"], show=False)
    assert (stopped / "predictions.csv").read_bytes() == wanted
    assert (stopped / "kind-layers_1" / "checkpoints" / "best.ckpt").stat().st_mtime_ns == kept
    assert (stopped / "report" / "index.html").is_file()


@pytest.mark.parametrize("domain", ["oring", "fiber"])
def test_types_of_rings_and_sizes_of_cores_have_models_of_their_own(domain: str, tmp_path: Path) -> None:
    model = [word for word in MODEL if not word.startswith("data.layer_groups")]
    data = ["data=synthetic", f"data.domain={domain}", "data.size=64", "data.good=120", "data.defective=40"]
    words = [*data, *model, "by_kind=true", f"out={tmp_path / 'runs'}", "id=kinds"]
    path = train_verb.run(words, show=False)
    assert path is not None
    own = json.loads((path / "by_kind.json").read_text())["own"]
    assert len(own) >= 2
    export_verb.run([f"run={path}", f"out={tmp_path / 'bundle'}", "pictures=4", "samples=1"], show=False)
    bundle = Bundle(tmp_path / "bundle")
    rows = pd.read_csv(path / "predictions.csv")
    samples = pd.read_csv(path / "samples.csv").set_index("name")
    for kind in own:
        row = rows[rows["kind"] == kind].iloc[0]
        assert row["part"] == own[kind]
        result = bundle(samples.loc[row["name"], "image_path"], kind=kind)
        assert result.score == pytest.approx(row["score"], rel=1e-3)


def test_folders_that_are_named_like_kinds_tell_those_of_new_images() -> None:
    samples = pd.DataFrame({"name": ["model1/good/a.png", "sets/model2/b.png"], "kind": ["model1", "model2"]})
    found = by_folders(samples)
    assert found is not None
    values = np.zeros((2, 2), np.uint8)
    names = {
        "/new/model1/lot/model2/x.png": "model2",
        "model1/y.png": "model1",
        "/new/model3/z.png": "",
        "model1.png": "",
    }
    assert {name: found(name, values, None) for name in names} == names
    assert by_folders(samples.assign(name=["a.png", "model2/b.png"])) is None
