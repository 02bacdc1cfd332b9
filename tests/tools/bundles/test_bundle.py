"""A bundle: what lies in it, what the runner believes, and that it needs no torch."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import venv
import zipfile
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from safetensors import safe_open

from tools.bundles.card import write_card
from tools.bundles.shipping import ROOT
from tools.bundles.spec import without_folders
from tools.cli import main
from tools.runner import Bundle, BundleError

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"torch", "anomalib", "lightning", "pandas", "omegaconf", "hydra", "tqdm", "scipy"}


def pictures_of(run: Path, split: str) -> pd.DataFrame:
    samples = pd.read_csv(run / "samples.csv")
    return samples[samples["split"] == split]


def python(*args: str, cwd: Path, executable: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run Python where the checkout cannot be found."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([executable, *args], cwd=cwd, env=clean, capture_output=True, text=True, check=False)


def test_a_bundle_is_whole(exported: Path) -> None:
    for name in (
        "model.onnx",
        "model.xml",
        "model.bin",
        "model.safetensors",
        "spec.json",
        "MODEL_CARD.md",
        "parity.json",
        "samples/expected.json",
        "predict.py",
        "requirements.txt",
        "loupe_runner/__init__.py",
        "checksums.sha256",
    ):
        assert (exported / name).stat().st_size > 0, name
    with zipfile.ZipFile(exported.with_name("bundle.zip")) as archive:
        packed = {name.removeprefix("bundle/") for name in archive.namelist()}
    there = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert packed == {name for name in there if "__pycache__" not in name}
    assert not [name for name in packed if name.endswith((".pkl", ".pt", ".pth", ".ckpt", ".data"))]


def test_checksums_are_those_of_sha256sum(exported: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    done = subprocess.run(["sha256sum", "--check", "--quiet", "checksums.sha256"], cwd=exported, check=False)  # noqa: S607 - wherever the system has it
    assert done.returncode == 0


def test_the_spec_says_everything(exported: Path, run: Path) -> None:
    spec = json.loads((exported / "spec.json").read_text())
    assert spec["thresholds"] == json.loads((run / "calibration.json").read_text())
    assert spec["metrics"] == json.loads((run / "metrics.json").read_text())
    assert spec["data"]["hash"] == json.loads((run / "environment.json").read_text())["data_hash"]
    assert spec["weights"]["licence"] == "Apache-2.0"
    assert len(spec["weights"]["sha256"]) == 64
    assert spec["input"]["resize"]["height"] == 64
    card = (exported / "MODEL_CARD.md").read_text()
    assert spec["thresholds"]["image"]["all"]["promise"] in card
    assert spec["data"]["hash"] in card
    problem = "Contrast alone tells good from defective pictures."
    spec["metrics"]["data_problems"] = [problem]
    assert f"**Note.** {problem}" in write_card(spec, json.loads((exported / "parity.json").read_text()), [])


def test_nothing_tells_of_the_machine_that_exported(exported: Path, run: Path) -> None:
    for path in exported.rglob("*"):
        if path.is_file() and path.suffix not in {".png", ".pyc"}:
            content = path.read_bytes()
            assert str(ROOT).encode() not in content, path
            assert str(run).encode() not in content, path


def test_of_paths_in_a_config_only_names_are_told() -> None:
    model = {
        "backbone": {"weights": "/home/me/nets/net.safetensors", "layers": [1, 2]},
        "parts": ["~/a.png", "a/b", "hub"],
    }
    expected = {"backbone": {"weights": "net.safetensors", "layers": [1, 2]}, "parts": ["a.png", "a/b", "hub"]}
    assert without_folders(model) == expected


def test_the_graph_takes_any_batch_and_decides_nothing(exported: Path) -> None:
    graph = onnx.load(str(exported / "model.onnx"), load_external_data=False)
    assert {opset.version for opset in graph.opset_import if opset.domain == ""} == {18}
    assert not graph.functions
    session = onnxruntime.InferenceSession(str(exported / "model.onnx"))
    assert [entry.name for entry in session.get_outputs()] == ["score", "map"]
    images = np.random.default_rng(0).random((5, 3, 64, 64)).astype(np.float32)
    alone = [session.run(None, {"image": images[[index]]}) for index in range(5)]
    together = session.run(None, {"image": images})
    for index, name in enumerate(("score", "map")):
        np.testing.assert_allclose(
            np.concatenate([one[index] for one in alone]), together[index], rtol=1e-5, err_msg=name
        )


def test_safetensors_hold_the_weights(exported: Path) -> None:
    with safe_open(exported / "model.safetensors", framework="np") as file:
        assert file.metadata() == {"model": "models.patchcore.PatchCore"}
        assert file.get_tensor("bank_MD").shape[0] > 0


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_verdicts_are_those_of_the_test(exported: Path, run: Path, runtime: str, batch_size: int) -> None:
    expected = pd.read_csv(run / "predictions.csv")
    bundle = Bundle(exported, runtime=runtime)
    found = list(bundle.stream(expected["image_path"], batch_size=batch_size, readers=2))
    assert [result.name for result in found] == expected["image_path"].tolist()
    assert [result.verdict for result in found] == expected["verdict"].tolist()
    np.testing.assert_allclose([result.score for result in found], expected["score"], rtol=1e-5)


def test_one_picture_takes_three_lines(exported: Path, run: Path) -> None:
    row = pd.read_csv(run / "predictions.csv").iloc[0]
    result = Bundle(exported)(row["image_path"])
    assert result.verdict == row["verdict"]
    assert result.anomaly_map is not None
    assert result.anomaly_map.shape == (64, 64)
    frame = cv2.imread(row["image_path"])
    assert frame is not None
    assert Bundle(exported)(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).score == result.score


def test_a_moved_line_needs_no_export(bundle: Path, run: Path) -> None:
    path = pd.read_csv(run / "predictions.csv")["image_path"].iloc[0]
    score = Bundle(bundle)(path).score
    assert Bundle(bundle, image_threshold=score)(path).defective  # >=
    assert not Bundle(bundle, image_threshold=float(np.nextafter(np.float32(score), np.float32(np.inf))))(
        path
    ).defective
    spec = json.loads((bundle / "spec.json").read_text())
    spec["thresholds"]["image"]["all"]["value"] = score - 1
    (bundle / "spec.json").write_text(json.dumps(spec))
    edited = Bundle(bundle)
    assert edited.edited
    assert edited(path).defective


def test_a_changed_graph_is_refused(bundle: Path) -> None:
    content = bytearray((bundle / "model.onnx").read_bytes())
    content[-20] ^= 1
    (bundle / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx to be as it was exported"):
        Bundle(bundle, runtime="onnxruntime")
    Bundle(bundle, runtime="openvino")  # its own files are whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "loupe-bundle/9"}, "schema loupe-bundle/1, but found 'loupe-bundle/9'"),
        ({"composition": {"kind": "magic"}}, "found 'magic'"),
    ],
)
def test_a_bundle_of_the_future_is_refused(bundle: Path, change: dict[str, object], message: str) -> None:
    spec = json.loads((bundle / "spec.json").read_text())
    (bundle / "spec.json").write_text(json.dumps(spec | change))
    with pytest.raises(BundleError, match=message):
        Bundle(bundle)


def test_mistakes_name_the_way_out(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="unzip it first"):
        Bundle(exported.with_name("bundle.zip"))
    with pytest.raises(BundleError, match='"loupe export" made'):
        Bundle(tmp_path)
    with pytest.raises(BundleError, match="any runtime int8, but the bundle holds onnxruntime fp32, openvino fp32"):
        Bundle(exported, precision="int8")


def test_predict_with_a_bundle_imports_no_torch(exported: Path, run: Path, tmp_path: Path) -> None:
    path = pd.read_csv(run / "predictions.csv")["image_path"].iloc[0]
    code = (
        "import sys; from tools.cli import main; status = main(sys.argv[1:]); "
        "sys.exit(status or ','.join({'torch', 'anomalib', 'lightning', 'pandas'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", f"bundle={exported}", f"source={path}", f"out={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 picture:" in done.stdout


def test_the_bundle_checks_itself(exported: Path, bundle: Path) -> None:
    done = python("predict.py", "--check", cwd=exported)
    assert done.returncode == 0, done.stdout + done.stderr
    (sample, *_) = sorted((bundle / "samples").glob("*.png"))
    cv2.imwrite(str(sample), np.eye(64, dtype=np.uint8))
    done = python("predict.py", "--check", cwd=bundle)
    assert done.returncode == 1
    assert f"samples/{sample.name} is not as it was exported" in done.stdout
    assert f"{sample.name} scores" in done.stdout


def test_exporting_twice_overwrites_nothing(exported: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (exported / "spec.json").read_bytes()
    assert main(["export", f"run={run}"]) == 2
    assert "delete it, or set out=FOLDER" in capsys.readouterr().err
    assert (exported / "spec.json").read_bytes() == before


@pytest.mark.slow
def test_a_clean_environment_suffices(exported: Path, run: Path, tmp_path: Path) -> None:
    """Installs in under a minute of work, prints its help, and judges as the test did."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    venv.create(tmp_path / "venv", with_pip=True)
    clean = str(tmp_path / "venv" / "bin" / "python")
    done = python(
        "-m", "pip", "install", "--quiet", "-r", str(exported / "requirements.txt"), cwd=tmp_path, executable=clean
    )
    if done.returncode:
        pytest.skip(f"nothing can be installed here: {done.stderr[-300:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # not the clock: other work on the machine does not count
    shutil.copytree(exported, tmp_path / "bundle")
    listed = json.loads(python("-m", "pip", "list", "--format=json", cwd=tmp_path, executable=clean).stdout)
    assert not HEAVY & {entry["name"] for entry in listed}
    shown = python("predict.py", "--help", cwd=tmp_path / "bundle", executable=clean)
    assert "usage: predict.py" in shown.stdout
    expected = pd.read_csv(run / "predictions.csv")
    done = python("predict.py", *expected["image_path"], "--out", "o", cwd=tmp_path / "bundle", executable=clean)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(tmp_path / "bundle" / "o" / "predictions.csv")
    assert found["verdict"].tolist() == expected["verdict"].tolist()
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
