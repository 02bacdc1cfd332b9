"""The verbs from Python: what the commands do, with what they left as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import loupe
from tools.cli import main
from tools.configuring.config import parse_override
from tools.verbs import _text

if TYPE_CHECKING:
    from pathlib import Path

SMALL: dict[str, Any] = {
    "data.image_size": [48, 48],
    "data.num_workers": 0,
    "data.calibration_from": "test",
    "callbacks.evaluation.resamples": 10,
    "callbacks.evaluation.atlas": 0,
    "model.coreset_ratio": 0.05,
    "trainer": "cpu",
}


@pytest.fixture
def run(picture_folder: Path, tmp_path: Path) -> loupe.Run:
    return loupe.train(picture_folder, **SMALL, out=tmp_path / "runs", id="one", report=False)


def test_a_run_is_trained_read_and_judges(run: loupe.Run, tmp_path: Path) -> None:
    assert run.path == tmp_path / "runs" / "folder-patchcore" / "one"
    assert loupe.Run.open(run.path) == run
    auroc = run.metrics.loc["image_auroc"]
    assert 0 <= auroc["low"] <= auroc["value"] <= auroc["high"] <= 1
    assert not run.report.exists()
    table = run.predictions
    assert set(table["verdict"]) <= {"good", "defective"}
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    found = run.predict(*table["image_path"][:3], broken, out=tmp_path / "found", overlay="all")
    assert found.path == tmp_path / "found"
    frame = found.frame
    np.testing.assert_allclose(frame["score"][:3], table["score"][:3], rtol=1e-5)
    assert frame["verdict"].tolist() == [*table["verdict"][:3], ""]
    assert "; " in frame["error"].iloc[3]  # the problem, and the remedy
    assert (frame["error"][:3] == "").all()
    assert len(found.overlays) == 3
    shown = found._repr_html_()
    assert shown.count("data:image/webp;base64,") == 3
    assert shown.count("not judged") == 1
    assert f"<b>{frame['verdict'][0]}</b>: score {frame['score'][0]:.4g}" in shown
    assert f"<td>image_auroc</td><td>{auroc['value']:.4g}</td>" in run._repr_html_()
    plain = run.predict(table["image_path"][0], out=tmp_path / "plain", overlay="none")
    assert plain._repr_html_().count("data:image/webp;base64,") == 1  # the image itself
    assert isinstance(found.defects, pd.DataFrame)
    with pytest.raises(loupe.DataError, match="1 of 1 have none"):
        run.predict(broken, out=tmp_path / "failed", errors="fail")
    image = table["image_path"][0]
    assert main(["predict", f"run={run.path}", f"source={image}", f"out={tmp_path / 'told'}"]) == 0
    alone = run.predict(image, out=tmp_path / "alone").frame
    pd.testing.assert_frame_equal(loupe.Predictions(tmp_path / "told").frame, alone)


def test_mistakes_are_errors_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(loupe.ConfigError, match=r"did you mean 'trainer\.max_epochs'"):
        loupe.train("data=synthetic", **{"trainer.max_epoch": 3})
    with pytest.raises(loupe.ConfigError, match="No model named 'patchkore'"):
        loupe.train("data=synthetic", model="patchkore")
    with pytest.raises(loupe.DataError):
        loupe.train(data="folder", **{"data.root": tmp_path / "absent"})
    with pytest.raises(loupe.ConfigError, match="folder of a run"):
        loupe.predict("nowhere/to/be/found", tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 3, -2.5, 1e-7, "padim", "a b", "it's", "null", "true", "1", "1e3", "a,b", "${seed}", "",
        [1, 2], ["x", None, "y z"], {"name": "clahe", "clip": 2.0}, [{"a": [1]}, "b"],
    ],
)  # fmt: skip
def test_values_come_through_the_grammar_as_they_are(value: object) -> None:
    found = parse_override(f"key={_text(value)}").value()
    assert found == value
    assert type(found) is type(value)
