"""Files of weights in half precision that say what they are: the same bytes for the same weights and facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors import safe_open

from models.tensor_files import save_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

ENTRY = "loupe"  # safetensors writes several entries in an order drawn anew each time


def write_weights(state: Mapping[str, Tensor], path: str | Path, facts: Mapping[str, str]) -> None:
    """Write tensors in half precision to ``path``, a safetensors file, and ``facts`` about them beside.

    Half precision halves the file.
    """
    halved = {key: value.detach().cpu().half().contiguous() for key, value in state.items()}
    save_tensors(halved, path, {ENTRY: json.dumps(dict(facts), sort_keys=True)})


def read_facts(path: str | Path) -> dict[str, str]:
    """Read what ``write_weights`` wrote beside the tensors; nothing where others wrote the file."""
    with safe_open(path, framework="pt") as file:
        facts: dict[str, str] = json.loads((file.metadata() or {}).get(ENTRY, "{}"))
    return facts
