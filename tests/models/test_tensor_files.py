"""Files of tensors: read by whoever the umask lets read, and whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from models.features.weight_files import write_weights
from models.sharing.shared_work import SharedWork
from models.tensor_files import save_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor


@pytest.fixture(params=[0o022, 0o002, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return {"one": torch.arange(6.0).reshape(2, 3), "two": torch.tensor([True, False])}


def test_the_umask_decides_who_reads(umask: int, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    save_tensors(tensors, tmp_path / "plain.safetensors")
    write_weights(tensors, tmp_path / "weights.safetensors", {"a": "b"})
    SharedWork(tmp_path / "shared", 1).save("abcdef", list(tensors.values()))
    files = list(tmp_path.rglob("*.safetensors"))
    assert len(files) == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~umask}


def test_tensors_and_metadata_come_back_and_an_old_file_is_replaced(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "kept.safetensors"
    save_tensors({"old": torch.zeros(9)}, path)
    save_tensors(tensors, path, {"model": "x"})
    found = load_file(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"model": "x"}
