from __future__ import annotations

import gc
import shutil
import tempfile
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch

from datamodules.errors import DataError
from models.components import coreset
from models.components.coreset import k_center_greedy
from models.components.spilled import SpilledPoints

if TYPE_CHECKING:
    from pathlib import Path


class Usage(NamedTuple):
    free: int


def points(total: int, dimensions: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(total, dimensions, generator=torch.Generator().manual_seed(seed))


def on_disk(point_ND: torch.Tensor, part: int = 70) -> SpilledPoints:
    kept = SpilledPoints(point_ND.shape[1], len(point_ND))
    for part_RD in torch.split(point_ND, part):
        kept.append(part_RD)
    return kept


def test_what_was_written_is_read() -> None:
    known = points(300, 7)
    kept = on_disk(known)
    assert len(kept) == 300
    assert torch.equal(kept[:], known)
    assert torch.equal(kept[17:90], known[17:90])
    assert torch.equal(kept[290:400], known[290:])
    assert kept[5:5].shape == (0, 7)
    assert torch.equal(kept[[4, 299, 4, 0]], known[[4, 299, 4, 0]])
    assert torch.equal(kept[torch.tensor([8, 3])], known[[8, 3]])
    kept.append(known[:2])
    assert torch.equal(kept[300:], known[:2])


def test_a_projection_is_applied_to_what_is_read() -> None:
    known, matrix = points(50, 7), points(7, 3, seed=1)
    kept = on_disk(known)
    kept.shown_by(matrix, "cpu")
    torch.testing.assert_close(kept[10:20], known[10:20] @ matrix)
    kept.shown_by(None, "cpu")
    assert torch.equal(kept[10:20], known[10:20])


def test_greedy_picks_the_same_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    known = points(900, 12)
    monkeypatch.setattr(coreset, "CANDIDATES", 60)
    monkeypatch.setattr(coreset, "ROWS", 128)
    assert list(k_center_greedy(on_disk(known), 200, 3)) == list(k_center_greedy(known, 200, 3))


def test_nothing_is_left_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    kept = on_disk(points(100, 4))
    assert len(kept[:]) == 100
    del kept
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_refused_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**20))
    with pytest.raises(DataError, match=r"Expected room for 2\.0 GiB of patches .* but found 1 MiB; set TMPDIR"):
        SpilledPoints(512, 2**20)
