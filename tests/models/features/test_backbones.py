from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from datamodules.unlabelled.procedural import draw_image
from models.errors import WeightsError
from models.features.backbones import Backbone
from models.features.patch_description import PDN_S
from tools.bundles.spec import licence

if TYPE_CHECKING:
    from pathlib import Path

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def backbone(
    name: str = "resnet18", weights: str = "none", layers: tuple[int, ...] = (2, 3), **options: Any
) -> Backbone:
    return Backbone(name, layers, MEAN, STD, weights, options)


def whole_network(name: str = "resnet18") -> dict[str, torch.Tensor]:
    """The weights of a whole network, classifier included, as people have them in files."""
    torch.manual_seed(7)
    weights: dict[str, torch.Tensor] = timm.create_model(name, pretrained=False).state_dict()
    return weights


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    weights = whole_network()
    save_file(weights, folder / "whole.safetensors")
    torch.save(weights, folder / "whole.pth")
    save_file(whole_network("resnet26"), folder / "resnet26.safetensors")
    save_file(
        {key: some for key, some in weights.items() if not key.startswith("layer2.1")}, folder / "part.safetensors"
    )
    (folder / "garbage.safetensors").write_bytes(b"no weights at all")
    (folder / "garbage.pth").write_bytes(b"no weights at all")
    torch.save(torch.ones(3), folder / "tensor.pth")
    torch.save({"state_dict": weights}, folder / "nested.pth")
    torch.save(timm.create_model("resnet18", pretrained=False), folder / "pickled.pth")
    return folder


def test_untrained_features_come_from_the_seed() -> None:
    torch.manual_seed(0)
    one, other = backbone(), backbone()
    torch.manual_seed(0)
    again = backbone()
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(one(image)[0], again(image)[0])
    assert not torch.equal(one(image)[0], other(image)[0])
    assert one.origin == {"name": "resnet18", "weights": "none"}


@pytest.mark.parametrize("name", ["whole.safetensors", "whole.pth"])
def test_weights_come_from_a_file_and_its_hash_is_noted(files: Path, name: str) -> None:
    path = files / name
    made = backbone(weights=str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert made.origin == {"name": "resnet18", "weights": str(path), "sha256": digest}
    weights = whole_network()
    loaded = made.network.state_dict()
    assert loaded
    assert all(torch.equal(value, weights[key]) for key, value in loaded.items())


def test_features_are_those_of_the_network_on_normalised_pictures(files: Path) -> None:
    made = backbone(weights=str(files / "whole.pth"))
    network = timm.create_model("resnet18", pretrained=False, features_only=True, out_indices=(2, 3)).eval()
    network.load_state_dict(whole_network(), strict=False)
    image = torch.rand(2, 3, 64, 96)
    normalised = (image - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        theirs = network(normalised)
    ours = made(image)
    assert [tuple(feature.shape) for feature in ours] == [(2, 128, 8, 12), (2, 256, 4, 6)]
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    assert not any(feature.requires_grad for feature in ours)


@pytest.mark.parametrize(("name", "layers"), [("resnet18", [2, 3]), ("loupe_net", [1, 3])])
def test_what_is_seen_in_mirrors_is_mirrored_back_and_taken_on_average(name: str, layers: list[int]) -> None:
    weights, image = "none" if name == "resnet18" else "bundled", torch.rand(3, 3, 64, 96)
    torch.manual_seed(0)
    plain = Backbone(name, layers, MEAN, STD, weights)
    torch.manual_seed(0)
    mirrored = Backbone(name, layers, MEAN, STD, weights, mirrored=True)
    views = [[one.flip(axes) for one in plain(image.flip(axes))] for axes in [(), (-1,), (-2,), (-2, -1)]]
    for given, again, *seen in zip(mirrored(image), mirrored(image.flip(-1)), *views, strict=True):
        torch.testing.assert_close(given, sum(seen) / 4, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(again.flip(-1), given, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(given, seen[0], rtol=1e-2, atol=1e-3)
    assert repr(plain) != repr(mirrored), "what trials share tells them apart"


def test_the_hash_of_real_weights(shared_data: Path) -> None:
    path = shared_data.parent / "weights" / "mobilenetv2_100.in1k.safetensors"
    if not path.is_file():
        pytest.skip("weights of MobileNetV2 are absent: expected them in ../shared/weights")
    made = Backbone("mobilenetv2_100", [2, 3], [0.5] * 3, [0.5] * 3, str(path), {"pad_type": "same"})
    assert made.origin["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [feature.shape[1:] for feature in made(torch.rand(1, 3, 64, 64))] == [(32, 8, 8), (96, 4, 4)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.safetensors", r"a file of weights at .*missing\.safetensors, but found none; give .*weights=none\."),
        ("resnet26.safetensors", "to fit this network, but found other shapes"),
        ("part.safetensors", r"found no layer2\.1\.conv1\.weight \(\d+ are missing\); give a file of the same network"),
        ("garbage.safetensors", "to be safetensors or a state dict, but could not read it"),
        ("garbage.pth", "to be safetensors or a state dict, but could not read it"),
        ("pickled.pth", "to be safetensors or a state dict, but could not read it"),  # its code is never run
        ("tensor.pth", "to be safetensors or a state dict, but found a Tensor"),
        ("nested.pth", r"found no conv1\.weight"),
    ],
)
def test_a_file_that_is_of_no_use_is_refused(files: Path, name: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        backbone(weights=str(files / name))


def test_a_folder_is_no_file_of_weights(files: Path) -> None:
    with pytest.raises(WeightsError, match="but found none"):
        backbone(weights=str(files))


def test_a_home_is_found(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(files))
    assert "sha256" in backbone(weights="~/whole.safetensors").origin


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet81"}, "network of timm, but found 'resnet81'; near: resnet"),
        ({"layers": (2, 30)}, r"backbone\.layers and backbone\.options to suit resnet18, but found \[2, 30\] and \{\}"),
        ({"stem": 3}, r"found \[2, 3\] and \{'stem': 3\}: .*unexpected keyword argument 'stem'"),
    ],
)
@pytest.mark.parametrize("weights", ["none", "hub"])
def test_what_the_network_lacks_is_refused_before_any_download(
    arguments: dict[str, Any], message: str, weights: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        backbone(weights=weights, **arguments)


def test_it_never_trains() -> None:
    made = backbone()
    made.train()
    assert not any(module.training for module in made.modules())
    assert not any(parameter.requires_grad for parameter in made.parameters())
    before = {key: value.clone() for key, value in made.network.state_dict().items()}
    made(torch.rand(4, 3, 64, 64))
    assert all(torch.equal(value, before[key]) for key, value in made.network.state_dict().items())


def test_the_origin_travels_with_the_weights(files: Path, tmp_path: Path) -> None:
    made = backbone(weights=str(files / "whole.pth"))
    torch.save(made.state_dict(), tmp_path / "state.pt")
    again = backbone()
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert again.origin == made.origin
    image = torch.rand(1, 3, 64, 64)
    assert all(torch.equal(a, b) for a, b in zip(made(image), again(image), strict=True))


def test_a_hub_that_does_not_answer_is_given_up_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No line at all, as on most shop floors: port 9 discards."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    before, started = huggingface_hub.constants.HF_HUB_OFFLINE, time.monotonic()
    with pytest.raises(WeightsError) as caught:
        backbone("test_resnet", "hub", layers=(1,))
    assert time.monotonic() - started < 5
    assert "the hub does not answer, and its cache holds no copy" in str(caught.value)
    for way_out in ("backbone.weights=PATH", "a backbone that ships with Loupe", "backbone.weights=none"):
        assert way_out in str(caught.value)
    assert before == huggingface_hub.constants.HF_HUB_OFFLINE


def test_the_teacher_of_efficient_ad_ships_unless_a_folder_has_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOUPE_WEIGHTS", raising=False)
    card = PDN_S.with_suffix(".md").read_text(encoding="utf-8")
    digest = hashlib.sha256(PDN_S.read_bytes()).hexdigest()
    assert digest in card
    assert f"{PDN_S.stat().st_size:,} bytes" in card
    ships = backbone("pdn_s", "hub", (1,))
    assert ships.origin == {"name": "pdn_s", "weights": "bundled", "sha256": digest}
    assert licence(ships.origin) == "Apache-2.0"
    other = {key: 2 * value for key, value in load_file(PDN_S).items()}
    save_file(other, tmp_path / "pdn_s.safetensors")
    monkeypatch.setenv("LOUPE_WEIGHTS", str(tmp_path))
    assert backbone("pdn_s", "hub", (1,)).origin["sha256"] != digest
    assert backbone("pdn_s", "bundled", (1,)).origin["sha256"] == digest


def test_the_teacher_that_ships_tells_textures_apart_better_than_an_untrained_one() -> None:
    """Two patches of a texture lie closer than two of different ones."""
    rng = np.random.default_rng(0)
    crops = torch.from_numpy(np.stack([draw_image(128, rng) for _ in range(40)])).permute(0, 3, 1, 2).float() / 255

    def share(weights: str) -> float:
        torch.manual_seed(0)
        (map_BCHW,) = backbone("pdn_s", weights, (1,))(crops)
        left, right = map_BCHW[..., :6].mean(dim=(2, 3)), map_BCHW[..., -6:].mean(dim=(2, 3))
        nearest = torch.cdist(left, right).argmin(dim=1)
        return float((nearest == torch.arange(len(crops))).float().mean())

    assert share("bundled") > share("none")
