"""Odd values of a command: each ends in one sentence, or works, and leaves no run that never ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.endings import assert_refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.endings import Loupe

SIZE = ["data.good=30", "data.defective=10", "data.size=48", "data.image_size=[48,48]", "data.num_workers=0"]
QUICK = ["trainer=cpu", "report=false", "callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0"]
ODD = [
    *("data.batch_size=0", "data.batch_size=-1", "data.num_workers=-1", "seed=-1", "seed=1e20", "data.seed=-3"),
    *("data.test_share=nan", "data.test_share=1.5", "data.test_share=-0.1", "data.calibration_share=inf"),
    *("data.image_size=[64,64,3]", "data.image_size=[0,0]", "data.image_size=[1000000,64]"),
    *("data.limit=1e3", "data.limit=0", "data.good=[0]", "data.white_level=inf", "data.white_level=nan", "out="),
    *("name=../x", "id=../../escape", "id=a/b", "id=..", "name=/etc/x", "data._target_=os.system", "data.augment=x"),
    *("threshold.probability=plat", "threshold.min_images=0", "threshold.scopes=[x]", "trainer.max_epochs=0"),
    *("trainer.max_epochs=-5", "trainer.accelerator=abacus", "trainer.precision=17", "+trainer.callbacks=[x]"),
    *("callbacks.evaluation.resamples=1", "callbacks.evaluation.overlap=0", "+callbacks.more=x", "repeat=0"),
    *("~callbacks.evaluation", "model.coreset_ratio=nan", "model.num_neighbors=0", "backbone.layers=[9]", "folds=1"),
    *("data.test_share=0", "data.cache=/dev/null", "data.cache=/dev/null/x", "data.mask_on=-1", "data.augment=[1]"),
    *("folds=2.5", "folds=x", "trainer.max_steps=0", "tiling=hann tiling.size=0", "tiling=hann tiling.batch=0"),
    *(f"model=conv_ae_small model.learning_rate={rate}" for rate in ("nan", "inf", "1e300", "-1", "0")),
    *("data.root=${oc.env:LOUPE_NO_SUCH}", "data.root=${nosuch}", "out=${out}", "out=/dev/null", "seed=null", "="),
    *(
        "data.augment=[{_target_: nosuch.Thing}]",
        "backbone.weights=/dev/zero",
        "data=null",
        "trust=perhaps",
        "folds=1000",
    ),
]


@pytest.mark.parametrize("value", ODD)
def test_odd_values(value: str, tmp_path: Path, loupe: Loupe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    args = ["train", "data=synthetic", *SIZE, *QUICK, "out=runs", *value.split(" ")]
    assert_refused(loupe(args))
    left = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*")}
    assert left <= {("runs",), ("runs", "drawn")}  # images that were drawn are kept


REFUSED = [
    *(["predict", f"line={line}", "source=nosuch"] for line in ("fiber", "oring", "meta_atom", "grain_maps")),
    ["predict", "line=inclusion_maps", "source=nosuch"],
    ["predict", "line=metallography", "source=nosuch"],
    ["predict", "line=fiber", "source=nosuch", "out=a/b/c"],
    ["predict", "line=fiber", "source=empty"],
    ["predict", "run=RUN", "source=nosuch"],
    ["predict", "run=RUN", "source=empty", "out=a/b/c"],
    ["predict", "bundle=nosuch", "source=empty"],
    ["test", "run=RUN", "data=folder", "data.root=nosuch", "out=a/b"],
    ["export", "run=RUN", "out=a/b/bundle", "precisions=[int2]"],
    ["export", "run=nosuch", "out=a/b/bundle"],
    ["doctor", "data=folder", "data.root=nosuch", "out=a/b"],
    ["doctor", "data=folder", "data.root=empty", "out=a/b"],
    ["train", "data=folder", "data.root=nosuch", "out=a/b"],
    ["train", "data=folder", "data.root=empty", "out=a/b"],
    ["train", "data=folder", "data.root=empty", "out=a/b", "repeat=3"],
    ["train", "data=folder", "data.root=empty", "out=a/b", "by_kind=true"],
    ["compare", "nosuch", "nosuch2", "out=a/b"],
    ["prepare", "fiber", "source=nosuch", "out=a/b"],
    ["prepare", "metallography", "source=empty", "out=a/b"],
    ["prepare", "oring", "source=empty", "out=a/b"],
    ["prepare", "meta_atom", "source=empty", "out=a/b"],
    ["distill", "source=empty", "out=a/b"],
    ["sweep", "data=folder", "data.root=nosuch", "out=a/b"],
    ["calibrate", "run=RUN", "labels=nosuch", "out=a/b"],
]


@pytest.mark.parametrize("args", REFUSED, ids=lambda args: " ".join(args[:3]))
def test_what_never_ran_leaves_no_folder(
    args: list[str], tmp_path: Path, run_copy: Path, loupe: Loupe, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert_refused(loupe([arg.replace("RUN", str(run_copy)) for arg in args]))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_developer_reads_the_traceback(tmp_path: Path, loupe: Loupe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOUPE_DEBUG", "1")
    status, said = loupe(["train", "data=fibre"])
    assert status == 2
    assert "Traceback" in said
    assert said.strip().splitlines()[-1].startswith("loupe train: ")
