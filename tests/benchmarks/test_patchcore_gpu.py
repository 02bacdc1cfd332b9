from __future__ import annotations

import re

import pytest
import torch

from benchmarks import patchcore_gpu
from benchmarks.patchcore_gpu import Device, Work, error_of, main, row
from models.components import coreset, fused_nearest
from models.components.coreset import lower_plainly
from tests.models.components.test_coreset import normal

SMALL = ("--device", "cpu", "--side", "32", "--images", "1", "--points", "500", "--questions", "120", "--repeats", "1")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "needs a CUDA device" in capsys.readouterr().err


def test_it_runs_at_small_sizes_on_the_processor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--banks", "64", "90", "--dimensions", "8", "128"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"fit: 1 images, 1024 patches of 128, 102 chosen; products", printed)
    assert "(by 5 picks" in printed
    assert "same picks among the first 5: 100.0%" in printed
    rows = re.findall(r"^\| (\d+) x (\d+) \| (\w+) \|.*\| (\S+) \|$", printed, re.MULTILINE)
    assert [(first, second, way) for first, second, way, _ in rows] == [
        *((("50", dimensions, "products")) for dimensions in ("8", "128")),
        *(
            (bank, dimensions, way)
            for dimensions in ("8", "128")
            for bank in ("64", "90")
            for way in ("products", "anomalib")
        ),
    ]
    assert all(float(error) < 1e-5 for *_, error in rows)


def test_the_kernel_has_rows_where_it_is_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_nearest, "_is_capable", lambda _: True)
    monkeypatch.setattr(fused_nearest, "_agreed", set())
    for module in (fused_nearest, coreset, patchcore_gpu):
        monkeypatch.setattr(module, "lower_nearest", lower_plainly)
    assert main([*SMALL, "--banks", "64", "--dimensions", "8"]) == 0
    printed = capsys.readouterr().out
    assert "102 chosen; kernel" in printed
    assert re.findall(r"^\| \d+ x 8 \| (\w+)", printed, re.MULTILINE) == [
        "kernel",
        "products",
        "kernel",
        "products",
        "anomalib",
    ]


def test_shares_of_the_roofline() -> None:
    work = Work(1000, 500, 100)  # 1e8 operations, 6e5 bytes
    fast = Device(single=1e9, tf32=6e9, copies=1e6)
    assert fast.seconds(work.operations, work.moved) == pytest.approx(0.6)  # memory decides
    slow = Device(single=1e9, tf32=6e9, copies=1e8)
    assert slow.seconds(work.operations, work.moved) == pytest.approx(0.05)  # three passes of TF32
    assert Device(4e9, 6e9, 1e8).seconds(work.operations, work.moved) == pytest.approx(0.025)  # float32
    assert row("a", "b", work, 0.2, 3e-7, slow).split(" | ")[2:] == [
        *("200.000", "0.00", "50.0%", "8.3%", "0", "3.0%", "25.0%", "3e-07 |")
    ]


def test_errors_are_found() -> None:
    asked, bank = normal(40, 8, 1), normal(30, 8, 2)
    true = torch.cdist(asked.double(), bank.double()).amin(dim=1).square()
    assert error_of(true.float(), asked, bank) < 1e-5
    true[7] += asked[7].square().sum()
    assert error_of(true.float(), asked, bank) == pytest.approx(1, rel=1e-3)
