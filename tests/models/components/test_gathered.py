from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from models.components.gathered import GatheredPoints


@pytest.mark.parametrize("expected", [0, 10, 100, 1000])
def test_points_come_back_as_they_came(expected: int) -> None:
    points = torch.randn(100, 7, generator=torch.Generator().manual_seed(0))
    gathered = GatheredPoints(7, expected)
    for part in torch.split(points, 9):
        gathered.append(part)
    assert len(gathered) == 100
    assert torch.equal(gathered.points(), points)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads what Linux tells of a process")
def test_all_points_lie_in_memory_once() -> None:
    """Gather 256 MiB in a process of its own, and choose among them: nothing is as large a second time."""
    code = """
import torch
from models.components.coreset import k_center_greedy
from models.components.gathered import GatheredPoints
def most():
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))
torch.set_num_threads(1)
list(k_center_greedy(torch.randn(5000, 128), 50, 0))
before = most()
gathered = GatheredPoints(128, 2**19)
part = torch.randn(2**13, 128)
for _ in range(64):
    gathered.append(part)
list(k_center_greedy(gathered.points(), 50, 0))
print(most() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 2**28 <= int(done.stdout) < 1.3 * 2**28
