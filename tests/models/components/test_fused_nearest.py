from __future__ import annotations

import importlib
import math
import os
import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from models.components import coreset, fused_nearest
from models.components.coreset import k_center_greedy, lower_plainly
from models.components.fused_nearest import LARGE, SMALL, TOLERANCE, WITHOUT_TF32, largest_error
from models.components.nearest import compare_all, search_plainly
from tests.models.components.test_coreset import normal
from tests.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Lower = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, float], None]

CPU = torch.device("cpu")
INTERPRETED = "tests/models/components/interpreted_kernel.py"


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Lower], list[int]]:
    """Take the processor for a GPU, and a function for the kernel; count its questions, call by call."""

    def start(kernel: Lower) -> list[int]:
        calls: list[int] = []

        def counted(*args: Any) -> None:
            calls.append(len(args[0]))
            kernel(*args)

        monkeypatch.setattr(fused_nearest, "_is_capable", lambda _: True)
        monkeypatch.setattr(fused_nearest, "_agreed", set())
        monkeypatch.setattr(fused_nearest, "_refused", set())
        monkeypatch.setattr(fused_nearest, "lower_nearest", counted)
        monkeypatch.setattr(coreset, "lower_nearest", counted)
        return calls

    return start


def broken(*_: object) -> None:
    raise RuntimeError("out of resources")


def nothing(*_: object) -> None: ...


def zero(nearest_N: Tensor, *_: object) -> None:
    nearest_N.clamp_max_(0)


def shifted(*args: Any) -> None:
    lower_plainly(*args)
    args[0].add_(1e-4 * args[2])


def forgetful(nearest_N: Tensor, *args: Any) -> None:
    nearest_N.fill_(math.inf)
    lower_plainly(nearest_N, *args)


def without_last_row(nearest_N: Tensor, asked_ND: Tensor, square_N: Tensor, *args: Any) -> None:
    lower_plainly(nearest_N[:-1], asked_ND[:-1], square_N[:-1], *args)


def without_last_point(
    nearest_N: Tensor, asked_ND: Tensor, square_N: Tensor, bank_MD: Tensor, square_M: Tensor, share: float
) -> None:
    lower_plainly(nearest_N, asked_ND, square_N, bank_MD[:-1], square_M[:-1], share)


def as_tf32(value: Tensor) -> Tensor:
    """Round to the ten bits that one pass of TF32 multiplies."""
    return ((value.view(torch.int32) + (1 << 12)) & ~((1 << 13) - 1)).view(torch.float32)


def in_one_pass(
    nearest_N: Tensor, asked_ND: Tensor, square_N: Tensor, bank_MD: Tensor, square_M: Tensor, share: float
) -> None:
    lower_plainly(nearest_N, as_tf32(asked_ND), square_N, as_tf32(bank_MD), square_M, share)


def in_three_passes(
    nearest_N: Tensor, asked_ND: Tensor, square_N: Tensor, bank_MD: Tensor, square_M: Tensor, share: float
) -> None:
    """Multiply as the kernel does on tensor cores: what one pass leaves out is multiplied in two more."""
    asked, bank = as_tf32(asked_ND), as_tf32(bank_MD)
    less, fewer = as_tf32(asked_ND - asked), as_tf32(bank_MD - bank)
    product_NM = asked @ bank.T + (less @ bank.T + asked @ fewer.T)
    distance_N = (square_M - 2 * product_NM).amin(dim=1) + square_N
    nearest_N.copy_(nearest_N.minimum(distance_N.where(distance_N >= share * square_N, 0)))


def search(dimensions: int = 24) -> tuple[Tensor, Tensor]:
    asked, bank = normal(90, dimensions, 1), normal(70, dimensions, 2)
    square = bank.square().sum(dim=1)
    return search_plainly(asked, bank, square), compare_all(asked, bank, square)


def test_the_kernel_is_right_in_the_interpreter() -> None:
    pytest.importorskip("triton", reason="needs Triton")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", INTERPRETED],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 50
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("capability", "tiles", "shared"),
    [(75, WITHOUT_TF32, 64), (80, SMALL, 99), (120, SMALL, 99), (90, LARGE, 227), (100, LARGE, 227)],
)
@pytest.mark.parametrize("smallest", [False, True])
def test_it_compiles_for_a_gpu_without_spilling(
    capability: int,
    tiles: fused_nearest.Tiles,
    shared: int,
    smallest: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compile as a first launch does, which knows whether D and strides are 1, or multiples of 16."""
    triton = pytest.importorskip("triton", reason="needs Triton")
    compiler = importlib.import_module("triton.compiler")
    nearest_kernel = importlib.import_module("models.components.fused_kernel").nearest_kernel
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    names = [parameter.name for parameter in nearest_kernel.params]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: divmod(capability, 10))
    assert fused_nearest.tiles_of(torch.device("cuda")) == tiles
    constants: dict[str, Any] = dict(zip(names[-4:], tiles[:4], strict=True))
    known = [parameter.name for parameter in nearest_kernel.params[6:-4] if not parameter.do_not_specialize]
    assert known == ["count_D", "asked_stride", "bank_stride"]  # not what changes from call to call
    constants |= dict.fromkeys(known, 1) if smallest else {}
    kinds = dict.fromkeys(names[:5], "*fp32") | {"share": "fp32"} | dict.fromkeys(names[6:], "i32")
    even = {*names[:5], *known} - set(constants)
    source = compiler.ASTSource(
        fn=nearest_kernel,
        signature=kinds | dict.fromkeys(constants, "constexpr"),
        constexprs=constants,
        attrs={(place,): [["tt.divisibility", 16]] for place, name in enumerate(names) if name in even},
    )
    options = {"num_warps": tiles.warps, "num_stages": tiles.stages, "enable_fp_fusion": True}
    compiled = triton.compile(source, target=compiler.compiler.GPUTarget("cuda", capability, 32), options=options)
    assert compiled.metadata.shared <= shared * 1024
    assert ("tf32" in compiled.asm["ptx"]) == (tiles is not WITHOUT_TF32)
    binary = tmp_path / "kernel.cubin"
    binary.write_bytes(compiled.asm["cubin"])
    used = subprocess.run(
        [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", binary],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"STACK:(\d+)", used.stdout) == ["0"]


def test_it_is_used_where_it_is_right(pretend: Callable[[Lower], list[int]]) -> None:
    calls = pretend(lower_plainly)
    for _ in range(2):
        found, wanted = search()
        torch.testing.assert_close(found, wanted)
    assert calls == [200, 90, 90]  # one trial
    search(25)
    assert calls[3:] == [200, 90]
    points = normal(500, 24, 3)
    picks = list(k_center_greedy(points, 20, 0))
    assert 500 in calls[5:]
    assert picks == list(k_center_greedy(points, 20, 0))


@pytest.mark.parametrize(
    "kernel", [broken, nothing, zero, shifted, forgetful, without_last_row, without_last_point, in_one_pass]
)
def test_where_it_is_wrong_products_answer_and_one_warning_says_so(
    kernel: Lower, pretend: Callable[[Lower], list[int]]
) -> None:
    calls = pretend(kernel)
    found = "out of resources" if kernel is broken else "an error of"
    with pytest.warns(RuntimeWarning, match=f"fused search on cpu .* 24 dimensions, but found .*{found}"):
        first, wanted = search()
    assert torch.equal(first, wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(*search())
        assert torch.equal(*search(25))
        assert len(list(k_center_greedy(normal(300, 24, 3), 20, 0))) == 20
    assert calls == [200]


def test_the_environment_keeps_it_away(pretend: Callable[[Lower], list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = pretend(broken)
    monkeypatch.setenv("LOUPE_FUSED", "off")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(*search())
        assert len(list(k_center_greedy(normal(300, 24, 3), 20, 0))) == 20
    assert calls == []
    monkeypatch.setenv("LOUPE_FUSED", "on")
    with pytest.warns(RuntimeWarning, match="LOUPE_FUSED=off in the environment leaves it out from the start"):
        assert torch.equal(*search())
    assert calls == [200]


@pytest.mark.parametrize("word", ["", "0", "Off"])
def test_the_environment_is_taken_at_its_word(
    word: str, pretend: Callable[[Lower], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(lower_plainly)
    monkeypatch.setenv("LOUPE_FUSED", word)
    with pytest.raises(
        ValueError, match=f"Expected LOUPE_FUSED in the environment to be on or off, but found '{word}'"
    ):
        search()


@pytest.mark.parametrize("dimensions", [1, 100, 128, 384, 1536])
def test_the_trial_tells_float32_from_one_pass_of_tf32(dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for exact in (lower_plainly, in_three_passes):
        monkeypatch.setattr(fused_nearest, "lower_nearest", exact)
        assert largest_error(CPU, dimensions) <= TOLERANCE
    monkeypatch.setattr(fused_nearest, "lower_nearest", in_one_pass)
    assert largest_error(CPU, dimensions) > TOLERANCE


def test_the_trial_forgives_as_much_as_a_selection() -> None:
    assert 2 * coreset.ROUNDING == TOLERANCE


def test_the_trial_leaves_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_nearest, "lower_nearest", lower_plainly)
    before = torch.get_rng_state()
    largest_error(CPU, 8)
    assert torch.equal(before, torch.get_rng_state())


class Searching(nn.Module):
    bank: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bank", normal(70, 24, 2))

    def forward(self, asked_ND: Tensor) -> Tensor:
        return search_plainly(asked_ND, self.bank, self.bank.square().sum(dim=1))


@pytest.mark.parametrize("strict", [False, True])
def test_no_exported_graph_sees_it(strict: bool, pretend: Callable[[Lower], list[int]]) -> None:
    calls = pretend(lower_plainly)
    asked, bank = normal(90, 24, 1), normal(70, 24, 2)
    wanted = compare_all(asked, bank, bank.square().sum(dim=1))
    graph = torch.export.export(Searching().eval(), (asked,), strict=strict).module()
    assert calls == []
    assert "addmm" in graph.code
    torch.testing.assert_close(graph(asked), wanted)
    traced = torch.jit.trace(Searching().eval(), (asked,), check_trace=False)  # type: ignore[no-untyped-call]  # torch says nothing of its type
    assert calls == []
    torch.testing.assert_close(traced(asked), wanted)
    assert calls == []


def test_what_it_cannot_do_is_done_by_products(pretend: Callable[[Lower], list[int]]) -> None:
    calls = pretend(lower_plainly)
    asked, bank = normal(90, 24, 1), normal(70, 24, 2)
    asked.requires_grad_()
    search_plainly(asked, bank, bank.square().sum(dim=1)).sum().backward()  # type: ignore[no-untyped-call]  # torch says nothing of its type
    assert asked.grad is not None
    half = bank.double()
    search_plainly(asked.detach().double(), half, half.square().sum(dim=1))
    assert calls == []
    with torch.no_grad():
        search_plainly(asked, bank, bank.square().sum(dim=1))
    assert calls == [200, 90]


def test_a_processor_never_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_nearest, "lower_nearest", broken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(*search())


def test_triton_is_not_imported_on_a_processor() -> None:
    code = (
        "import sys, torch\n"
        "from models.components.coreset import k_center_greedy\n"
        "list(k_center_greedy(torch.randn(50, 4), 9, 0))\n"
        "print('models.components.fused_kernel' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
