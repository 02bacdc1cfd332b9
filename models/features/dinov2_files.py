"""Files of DINOv2 as its authors and the transformers library write them, brought to timm's names.

The authors' (``dinov2_vits14_pretrain.pth``) differ from timm's in the position of the class token, where there are
registers; those of transformers (``facebook/dinov2-small``) in every name, and in three entries for what is one.

Letters: D features of a token, T tokens.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

MASK = "mask_token"  # what only files of DINOv2 hold, and no network that is asked for features
REGISTERS = "register_tokens"
THEIRS = re.compile(r"^(?:dinov2|dinov2_with_registers)?\.?(?=embeddings\.|encoder\.layer\.|layernorm\.)")
PARTS = {
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    "embeddings.": "",
    "encoder.layer.": "blocks.",
    "attention.attention.": "attn.",
    "attention.output.dense.": "attn.proj.",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "layernorm.": "norm.",
}
QUERY, KEY, VALUE = "attn.query.", "attn.key.", "attn.value."


def in_timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the entries of a file timm's names and shapes, where it is one of DINOv2; any other file stays as it is."""
    entries = dict(state)
    if any(key.endswith(f"embeddings.{MASK}") for key in entries):
        entries = _of_transformers(entries)
    return _of_authors(entries) if MASK in entries else entries


def _of_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give entries the authors' names, and join queries, keys and values."""
    entries: dict[str, Tensor] = {}
    for key, value in state.items():
        name = THEIRS.sub("", key)
        for theirs, ours in PARTS.items():
            name = name.replace(theirs, ours, 1)
        entries[name] = value
    for name in [name for name in entries if QUERY in name]:
        parts = [entries.pop(name.replace(QUERY, part)) for part in (QUERY, KEY, VALUE)]
        entries[name.replace(QUERY, "attn.qkv.")] = torch.cat(parts)
    return entries


def _of_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out what no feature network has, and give the class token its position where timm's has none of its own."""
    entries = {key: value for key, value in state.items() if key != MASK}
    if REGISTERS in entries:
        position_1TD = entries["pos_embed"]
        entries["reg_token"] = entries.pop(REGISTERS)
        entries["cls_token"] = entries["cls_token"] + position_1TD[:, :1]
        entries["pos_embed"] = position_1TD[:, 1:]
    return entries
