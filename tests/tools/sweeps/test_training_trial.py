"""Trials that train: what they share never shows in what they find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.cli import main
from tools.sweeps.journal import Trial, read_trials

if TYPE_CHECKING:
    from pathlib import Path

TINY = (
    *("data=synthetic", "data.size=64", "data.image_size=[64,64]", "data.good=30", "data.defective=14", "trainer=cpu"),
    *(
        "data.num_workers=0",
        "callbacks.evaluation.resamples=20",
        "sweep.workers=0",
        "sweep.cpus=1",
        "sweep.report=none",
    ),
)


def swept(out: Path, name: str, *args: str) -> dict[str, Trial]:
    place = (f"out={out}", f"name={name}", f"data.root={out / 'drawn'}")
    assert main(["sweep", *TINY, *place, "model.num_neighbors=1,3", *args]) == 0
    return read_trials(out / name)


def test_results_are_the_same_bit_for_bit_with_and_without_sharing(tmp_path: Path) -> None:
    alone, shared = swept(tmp_path, "alone", "sweep.share_gib=0"), swept(tmp_path, "shared")
    assert set(alone) == set(shared)
    assert [trial.result["shared"] for trial in alone.values()] == [0, 0]
    assert list(shared.values())[1].result["shared"] > 0
    for key, trial in alone.items():
        assert trial.result["metrics"] == shared[key].result["metrics"]
        assert trial.objective == shared[key].objective
        for name in ("predictions.csv", "pixel_sweep.csv", "calibration.json", "defects.csv", "history.csv"):
            one, other = (tmp_path / sweep / "trials" / key / name for sweep in ("alone", "shared"))
            assert one.read_bytes() == other.read_bytes(), name
    run = tmp_path / "shared" / "trials" / next(iter(shared))
    assert (
        main(["test", f"run={run}", f"out={tmp_path / 'again'}", "report=false"]) == 0
    )  # a trial is a run like any other
