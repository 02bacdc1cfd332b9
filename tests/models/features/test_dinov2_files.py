"""Files of DINOv2 in the names of its authors and of the transformers library give timm's network what its own do.

The rules were held once against ``Dinov2Model`` and ``Dinov2WithRegistersModel`` of transformers 4.57, whose tokens are
timm's, bit by bit; that library is no dependency, so here entries are given its names by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import checkpoint_filter_fn

from models.errors import WeightsError
from models.features.backbones import Backbone
from models.features.dinov2_files import in_timm_names

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

PLAIN, REGISTERED = "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"
OPTIONS: dict[str, Any] = {"dynamic_img_size": True, "depth": 2}
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def network(name: str) -> Any:
    """Build timm's network with values that differ everywhere."""
    whole: Any = timm.create_model(name, pretrained=False, **OPTIONS).eval()
    generator = torch.Generator().manual_seed(0)
    for value in whole.parameters():
        value.data = torch.randn(value.shape, generator=generator) / 20
    return whole


def by_authors(whole: Any) -> dict[str, Tensor]:
    """Write a network as the authors do: the class token has a position, registers have none."""
    state = {key: value.clone() for key, value in whole.state_dict().items()}
    state["mask_token"] = torch.zeros(1, 384)
    if "reg_token" in state:
        state["register_tokens"] = state.pop("reg_token")
        position = torch.full((1, 1, 384), 0.25)
        state["cls_token"] -= position
        state["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    return state


def by_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the authors' entries the names of transformers."""
    tops = {
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    tops |= {key: f"embeddings.{key}" for key in ("cls_token", "mask_token", "register_tokens")}
    inner = {"attn.proj": "attention.output.dense", "ls1.gamma": "layer_scale1.lambda1"}
    inner |= {"ls2.gamma": "layer_scale2.lambda1"}
    entries: dict[str, Tensor] = {}
    for key, value in state.items():
        if not key.startswith("blocks."):
            entries[tops[key]] = value
            continue
        name = key.replace("blocks.", "encoder.layer.")
        for ours, theirs in inner.items():
            name = name.replace(ours, theirs)
        if "attn.qkv" not in name:
            entries[name] = value
            continue
        for part, rows in zip(("query", "key", "value"), value.chunk(3), strict=True):
            entries[name.replace("attn.qkv", f"attention.attention.{part}")] = rows.clone()
    return entries


@pytest.mark.parametrize("name", [PLAIN, REGISTERED])
@pytest.mark.parametrize("prefix", [None, "", "dinov2."])
def test_maps_are_those_of_timms_own_file(name: str, prefix: str | None, tmp_path: Path) -> None:
    whole = network(name)
    state = by_authors(whole)
    if prefix is not None:
        state = {f"{prefix}{key}": value for key, value in by_transformers(state).items()}
        save_file(state, tmp_path / "theirs.safetensors")
    else:
        torch.save(state, tmp_path / "theirs.pth")
    torch.save(whole.state_dict(), tmp_path / "ours.pth")
    image = torch.rand(2, 3, 42, 56, generator=torch.Generator().manual_seed(1))
    files = (next(tmp_path.glob("theirs.*")), tmp_path / "ours.pth")
    with torch.no_grad():
        found, expected = (Backbone(name, [0, 1], MEAN, STD, str(path), OPTIONS)(image) for path in files)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", [PLAIN, REGISTERED])
def test_the_authors_entries_are_what_timm_makes_of_them(name: str) -> None:
    whole = network(name)
    state = by_authors(whole)
    found, expected = in_timm_names(state), checkpoint_filter_fn(dict(state), whole)
    assert set(found) == set(expected)
    assert all(torch.equal(found[key], expected[key]) for key in found)


def test_other_files_stay_as_they_are() -> None:
    state = {"conv.weight": torch.ones(1), "layernorm.bias": torch.ones(1)}
    assert in_timm_names(state) == state


def test_a_file_without_registers_is_refused_by_a_network_that_has_some(tmp_path: Path) -> None:
    torch.save(by_authors(network(PLAIN)), tmp_path / "plain.pth")
    with pytest.raises(WeightsError, match=r"fit this network|reg_token"):
        Backbone(REGISTERED, [0, 1], MEAN, STD, str(tmp_path / "plain.pth"), OPTIONS)
