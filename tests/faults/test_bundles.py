"""Bundles that somebody edited, cut or made up: one sentence each, and nothing is called good by what is not finite."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.faults.endings import assert_refused
from tests.tools.bundles.test_predicting import make_judge, thresholds, write_pictures
from tools.runner.decision import Decision
from tools.runner.judge import Judge
from tools.runner.predicting import predict
from tools.runner.result import Prediction
from tools.runner.spec_check import check_spec
from tools.runner.specification import BundleError, read_spec
from tools.runs.checkpoint import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from datamodules.files.images import Array
    from tests.faults.endings import Loupe

ODD = ["NaN", "Infinity", "-Infinity", '"13,3"', "null", '"x"', "[]", "{}", "true", "1e400", "9" * 400]
NUMBERS = [
    *("thresholds.image.all.value", "thresholds.pixel.all.value", "input.resize.height", "input.resize.width"),
    *("thresholds.map_range.0", "thresholds.regions.min_area", "thresholds.regions.usual", "thresholds.regions.erode"),
]
HOLDERS = [
    *("thresholds", "thresholds.image", "thresholds.pixel", "thresholds.map_range", "thresholds.regions", "forms"),
    *("input", "input.resize", "composition", "composition.kind", "defects", "name", "schema"),
]


@pytest.fixture(scope="session")
def exported(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the finished run; nobody changes it."""
    from tools.cli import main  # noqa: PLC0415 - as the fixtures of other files

    out = tmp_path_factory.mktemp("exported") / "bundle"
    assert main(["export", f"run={finished_run}", "pictures=4", "samples=2", f"out={out}"]) == 0
    return out


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


def put(spec: Any, key: str, value: Any) -> None:
    *above, leaf = key.split(".")
    for name in above:
        spec = spec[int(name)] if isinstance(spec, list) else spec[name]
    spec[int(leaf) if isinstance(spec, list) else leaf] = value


def edit(bundle: Path, key: str, text: str) -> None:
    """Write a value into ``spec.json`` as text, so that it may be what JSON does not know."""
    path = bundle / "spec.json"
    spec = json.loads(path.read_text())
    put(spec, key, "@@@")
    path.write_text(json.dumps(spec).replace('"@@@"', text))


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("text", ODD)
def test_numbers_of_a_spec_are_finite(key: str, text: str, bundle: Path) -> None:
    edit(bundle, key, text)
    with pytest.raises(BundleError) as caught:
        check_spec(read_spec(bundle), bundle / "spec.json")
    assert "spec.json" in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("key", ["input.white_level", "defects.um_per_pixel"])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "0", '"0.5"', "true", "[]"])
def test_scales_are_finite_and_positive(key: str, text: str, bundle: Path) -> None:
    edit(bundle, key, text)
    with pytest.raises(BundleError, match=r"spec\.json"):
        check_spec(read_spec(bundle), bundle / "spec.json")


@pytest.mark.parametrize("key", HOLDERS)
@pytest.mark.parametrize("text", ["null", "[7]", "missing"])
def test_what_a_spec_lacks_is_named(key: str, text: str, bundle: Path, loupe: Loupe, tmp_path: Path) -> None:
    path = bundle / "spec.json"
    if text == "missing":
        spec = json.loads(path.read_text())
        *above, leaf = key.split(".")
        holder = spec
        for name in above:
            holder = holder[name]
        del holder[leaf]
        path.write_text(json.dumps(spec))
    else:
        edit(bundle, key, text)
    out = tmp_path / "out"
    assert_refused(loupe(["predict", f"bundle={bundle}", f"source={bundle / 'samples'}", f"out={out}"]))
    assert not out.exists()


@pytest.mark.parametrize("file", ["../model.onnx", "/etc/passwd", "a/b.onnx", "..", "", ".hidden", "nosuch.onnx"])
def test_graphs_lie_in_the_bundle(file: str, bundle: Path, loupe: Loupe, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    edit(bundle, "forms.0.files.model", json.dumps(file))
    assert_refused(loupe(["predict", f"bundle={bundle}", f"source={bundle / 'samples'}"]))


def into_folder(path: Path) -> None:
    """Put a folder in the place of a file."""
    path.unlink()
    path.mkdir()


BREAKS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(b"\xff\x00\x17" * 100),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    "gone": lambda path: path.unlink(),
    "folder": into_folder,
}


@pytest.mark.parametrize("name", ["spec.json", "checksums.sha256", "model.onnx"])
@pytest.mark.parametrize("how", BREAKS)
def test_broken_files_of_a_bundle(name: str, how: str, bundle: Path, loupe: Loupe, tmp_path: Path) -> None:
    if (name, how) in {("spec.json", "one bit"), ("checksums.sha256", "one bit")}:
        pytest.skip("a bit of text may change nothing that is read")
    BREAKS[how](bundle / name)
    out = tmp_path / "out"
    given = ["predict", f"bundle={bundle}", f"source={bundle / 'samples'}", f"out={out}", "runtime=onnxruntime"]
    assert_refused(loupe(given))
    assert not out.exists()


def test_a_graph_whose_list_was_forged_ends_in_a_sentence(bundle: Path, loupe: Loupe) -> None:
    from tools.bundles.shipping import write_checksums  # noqa: PLC0415 - what a stranger would do

    (bundle / "model.onnx").write_bytes(b"no graph at all")
    write_checksums(bundle)
    given = ["predict", f"bundle={bundle}", f"source={bundle / 'samples'}", "runtime=onnxruntime"]
    assert_refused(loupe(given), "as it was exported")


GIVEN = ["image_threshold=nan", "image_threshold=inf", "image_threshold=-inf", "image_threshold='13,3'"]
GIVEN += ["image_threshold=1e300", "pixel_threshold=nan", "pixel_threshold=inf", "image_threshold=true"]
GIVEN += ["kind=nosuchkind", "batch_size=0", "every=0", "precision=fp8", "runtime=abacus", "overlay=some", "errors=no"]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("by", ["run", "bundle"])
def test_values_of_a_prediction(
    given: str, by: str, finished_run: Path, exported: Path, loupe: Loupe, tmp_path: Path
) -> None:
    if by == "run" and given.startswith(("precision", "runtime")):
        pytest.skip("a run has neither")
    judge = f"run={finished_run}" if by == "run" else f"bundle={exported}"
    out = tmp_path / "out"
    assert_refused(loupe(["predict", judge, f"source={exported / 'samples'}", f"out={out}", given]))
    assert not out.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["image", "pixel", "map_range"])
def test_checkpoints_decide_by_finite_thresholds(
    value: float, where: str, run_copy: Path, loupe: Loupe, tmp_path: Path
) -> None:
    path = run_copy / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    state = next(v for k, v in content["state_dict"].items() if k.endswith("post_processor._extra_state"))
    if where == "map_range":
        state["map_range"] = [0.0, value]
    else:
        state[where]["all"]["value"] = value
    torch.save(content, path)
    out = tmp_path / "out"
    assert_refused(loupe(["test", f"run={run_copy}", f"out={out}"]))
    assert not out.exists()


@pytest.mark.parametrize("how", ["nan weights", "other shapes", "no state", "config is a list", "epoch is text"])
def test_damaged_checkpoints(how: str, run_copy: Path, loupe: Loupe, tmp_path: Path) -> None:
    path = run_copy / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    state = content["state_dict"]
    for name, value in list(state.items()):
        if how == "nan weights" and isinstance(value, torch.Tensor) and value.is_floating_point():
            state[name] = torch.full_like(value, float("nan"))
        if how == "other shapes" and isinstance(value, torch.Tensor):
            state[name] = value[..., None]
    if how == "no state":
        state.clear()
    if how == "config is a list":
        content[KEY] = [1]
    if how == "epoch is text":
        content["epoch"] = "x"
    torch.save(content, path)
    images = write_pictures(tmp_path / "in", 3)
    given = ["predict", f"run={run_copy}", f"source={images}", f"out={tmp_path / 'out'}"]
    assert_refused(loupe(given))
    table = tmp_path / "out" / "predictions.csv"
    if table.is_file():
        with table.open(newline="") as stream:
            assert all(row["verdict"] == "" and row["error"] for row in csv.DictReader(stream))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["score", "map"])
def test_a_score_that_is_not_finite_is_an_error_row(value: float, where: str, tmp_path: Path) -> None:
    def odd(image_B3HW: Array) -> Prediction:
        score_B, map_BHW = image_B3HW.mean(axis=(1, 2, 3)), image_B3HW.mean(axis=1)
        if where == "score":
            score_B[0] = value
        else:
            map_BHW[0, 0, 0] = value
        return Prediction(score_B, map_BHW)

    judge = Judge(odd, Decision(thresholds()), (16, 16), None, {"judge": "odd"})
    summary = predict(judge, [str(write_pictures(tmp_path / "in", 5))], tmp_path / "out")
    assert (summary.images, summary.failed) == (5, 1)
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert "not finite" in rows[0]["error"]
    assert "verdict" not in rows[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, "13,3", True])
def test_a_threshold_that_is_given_is_finite(value: Any) -> None:
    with pytest.raises(BundleError, match="finite"):
        Decision(thresholds(), image=value)
    with pytest.raises(BundleError, match="finite"):
        Decision(thresholds(), pixel=value)


def test_kinds_that_there_are_are_named(tmp_path: Path) -> None:
    values: Any = thresholds()
    values["image"]["kind"] = {"small": {"value": 0.3}, "large": {"value": 0.4}}
    judge = make_judge()
    judge.decision = Decision(values)
    source = str(write_pictures(tmp_path / "in", 2))
    from tools.runner.predicting import Options  # noqa: PLC0415 - only here

    with pytest.raises(BundleError, match="there are: large, small"):
        predict(judge, [source], tmp_path / "out", Options(kind="smal"))
    assert predict(judge, [source], tmp_path / "out", Options(kind="small")).images == 2


@pytest.mark.parametrize("how", ["empty", "noise", "cut", "gone", "folder", "text", "list", "bomb", "foreign", "deep"])
@pytest.mark.parametrize("verb", ["predict", "test", "export", "train"])
def test_broken_configs(how: str, verb: str, run_copy: Path, loupe: Loupe) -> None:
    path = run_copy / "config.yaml"
    if how in BREAKS and how != "gone":
        BREAKS[how](path)
    else:
        lines = {"text": "hello", "list": "- 1\n- 2\n", "foreign": "version: 3\nservices: {web: {image: x}}\n"}
        grown = [f"{new}: &{new} [*{old}, *{old}, *{old}]\n" for old, new in pairwise("abcdefghi")]
        lines["bomb"] = "a: &a [1]\n" + "".join(grown)
        lines["deep"] = "a: " + "[" * 1500 + "]" * 1500  # deeper than Python goes
        path.write_text(lines.get(how, "data: {x: 1}\n"))
    key = "resume" if verb == "train" else "run"
    before = sorted(run_copy.rglob("*"))
    assert_refused(loupe([verb, f"{key}={run_copy}", *(["source=."] if verb == "predict" else [])]))
    assert sorted(run_copy.rglob("*")) == before


@pytest.mark.slow
def test_four_predictions_at_once_each_have_a_folder(exported: Path, tmp_path: Path) -> None:
    """By the shipped ``predict.py`` with its default folder, and by ``loupe predict``."""
    source = write_pictures(tmp_path / "in", 20)
    root = Path(__file__).resolve().parents[2]
    ways = {
        "shipped": [sys.executable, str(exported / "predict.py"), str(source)],
        "loupe": [sys.executable, "-m", "tools", "predict", f"bundle={exported}", f"source={source}"],
    }
    for name, command in ways.items():
        where = tmp_path / name
        where.mkdir()
        environment = {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        running = [subprocess.Popen(command, cwd=where, env=environment, stdout=subprocess.DEVNULL) for _ in range(4)]
        assert [process.wait(timeout=300) for process in running] == [0] * 4
        tables = sorted(where.rglob("predictions.csv"))
        assert len(tables) == 4
        for table in tables:
            with table.open(newline="") as stream:
                assert len(list(csv.DictReader(stream))) == 20
