"""PatchCore on a GPU: fit and search beside anomalib's, the fused kernel beside products, and shares of a roofline.

    python -m benchmarks.patchcore_gpu [--images 320] [--banks 6000 20000 60000] [--dimensions 128 384 1536]

It needs a CUDA device; --device cpu runs all of it at small sizes, to see that it runs. In one run it measures

- what the device does at most: products of large matrices in float32 and in TF32, and copies of memory;
- fit: features of drawn images of 256x256 by LoupeNet (above 60 images the drawn ones come again with noise), then
  Loupe's choice of a tenth of the patches, and anomalib's own of the same patches, not projected. anomalib's takes as
  long for every pick, so that only its first --peer-picks are timed, and stretched to all;
- selection: --points clustered points lowered to their distances from --centres, by the kernel and by products;
- search: the nearest patch of a bank for 16 images of 1,024 patches, by the kernel, by products, and by anomalib.

The roofline is the least time that operations or memory would take: 2 N M D operations at the faster of float32 and
TF32 in three passes, and at least 4 (N + M) D bytes at the speed of copies. Errors are of squared distances, as a share
of squared norms, against double precision. Times are medians of --repeats.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from anomalib.models.components import KCenterGreedy
from anomalib.models.image.patchcore.torch_model import PatchcoreModel

from models.components.coreset import ROUNDING, ROWS, k_center_greedy, lower_plainly
from models.components.fused_nearest import is_fused, lower_nearest
from models.components.nearest import compare_all, search_plainly
from models.components.patchcore_model import PatchCoreModel
from models.features.backbones import Backbone

from .coreset import clustered_points
from .patchcore_search import LOUPE_NET, images

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

RATIO = 0.1
BATCH, PATCHES = 16, 1024
CHECKED = 256  # questions that are answered in double precision
SMALL = {"images": 2, "banks": [200, 500], "dimensions": [16], "peer_picks": 5, "points": 2000, "centres": 50}
SMALL |= {"questions": 300, "side": 128, "repeats": 2}
HEAD = (
    "| {} | way | ms | TFLOP/s | of float32 | of TF32 | GB/s | of copies | of the roofline | error |\n"
    + "|---" * 10
    + "|"
)


class Device(NamedTuple):
    """What a device does at most: operations a second in float32 and TF32, and bytes a second."""

    single: float
    tf32: float
    copies: float

    def seconds(self, operations: float, moved: float) -> float:
        """Return the least time that so many operations and bytes take."""
        return max(operations / max(self.single, self.tf32 / 3), moved / self.copies)


class Work(NamedTuple):
    """How many N questions, M points, and D dimensions."""

    questions: int
    points: int
    dimensions: int

    @property
    def operations(self) -> float:
        """Of products, each of which is multiplied and added."""
        return 2.0 * self.questions * self.points * self.dimensions

    @property
    def moved(self) -> float:
        """Bytes that must be read."""
        return 4.0 * (self.questions + self.points) * self.dimensions


def wait(device: torch.device) -> None:
    """Wait until a device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(do: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Time something: the median, after it was done once."""
    do()
    spent = []
    for _ in range(repeats):
        wait(device)
        started = time.perf_counter()
        do()
        wait(device)
        spent.append(time.perf_counter() - started)
    return statistics.median(spent)


def measure(device: torch.device, side: int, repeats: int) -> Device:
    """Measure products of square matrices, and copies of one."""
    left, right = (torch.randn(side, side, device=device) for _ in range(2))
    into = torch.empty_like(left)
    operations, rates, before = 2.0 * side**3, [], torch.backends.cuda.matmul.allow_tf32
    for allowed in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = allowed
        rates.append(operations / seconds(lambda: torch.matmul(left, right, out=into), device, repeats))
    torch.backends.cuda.matmul.allow_tf32 = before
    copies = 2.0 * left.nbytes / seconds(lambda: into.copy_(left), device, repeats)
    return Device(single=rates[0], tf32=rates[1], copies=copies)


@torch.inference_mode()
def features(count: int, device: torch.device) -> tuple[Tensor, float]:
    """Describe images by LoupeNet; return their patches (N, 128), and the seconds that it took, without drawing."""
    model = PatchCoreModel(Backbone(**LOUPE_NET, weights="bundled"), 1).eval().to(device)
    drawn_B3HW = torch.stack([image for _, image in zip(range(count), images(None), strict=False)])
    more = -(-count // len(drawn_B3HW))
    image_B3HW = drawn_B3HW.repeat(more, 1, 1, 1)[:count]
    if more > 1:
        noise = torch.randn(image_B3HW.shape, generator=torch.Generator().manual_seed(0))
        image_B3HW = (image_B3HW + 0.02 * noise).clamp(0, 1)

    def describe() -> Tensor:
        parts = (model.embed(part.to(device)) for part in torch.split(image_B3HW, BATCH))
        return torch.cat([part.flatten(2).transpose(1, 2).flatten(0, 1) for part in parts])

    model.embed(image_B3HW[:BATCH].to(device))
    wait(device)
    started = time.perf_counter()
    point_ND = describe()
    wait(device)
    return point_ND, time.perf_counter() - started


def fit(count: int, peer_picks: int, device: torch.device) -> str:
    """Fit to images, and choose among the same patches as anomalib does; return what to print."""
    point_ND, described = features(count, device)
    picks = max(1, int(RATIO * len(point_ND)))
    peer_picks = min(peer_picks, picks)
    peer = KCenterGreedy(embedding=point_ND.unsqueeze(2), sampling_ratio=(peer_picks + 0.5) / len(point_ND))
    theirs: list[int] = peer.select_coreset_idxs()  # so that both are warm
    ours = list(k_center_greedy(point_ND, peer_picks, theirs[0]))
    shared = len(set(ours) & set(theirs)) / len(theirs)
    part = seconds(peer.select_coreset_idxs, device, 1)
    peer_chosen = part * picks / peer_picks
    chosen = seconds(lambda: list(k_center_greedy(point_ND, picks, 0)), device, 1)
    return (
        f"fit: {count} images, {len(point_ND)} patches of {point_ND.shape[1]}, {picks} chosen; "
        f"{'kernel' if is_fused(point_ND, point_ND) else 'products'}\n"
        f"features {described:.3f} s; choosing: Loupe {chosen:.3f} s, anomalib {peer_chosen:.1f} s (by {peer_picks} "
        f"picks in {part:.3f} s, stretched to all)\n"
        f"features and choosing: {(described + peer_chosen) / (described + chosen):.1f} times as fast as anomalib's; "
        f"choosing alone {peer_chosen / chosen:.1f} times\n"
        f"same picks among the first {peer_picks}: {shared:.1%}"
    )


def row(first: str, way: str, work: Work, spent: float, error: float, most: Device) -> str:
    """Write a row of a table."""
    rate, moved = work.operations / spent, work.moved / spent
    shares = (moved / most.copies, most.seconds(work.operations, work.moved) / spent)
    return (
        f"| {first} | {way} | {1000 * spent:.3f} | {rate / 1e12:.2f} | {rate / most.single:.1%} | "
        f"{rate / most.tf32:.1%} | {moved / 1e9:.0f} | {shares[0]:.1%} | {shares[1]:.1%} | {error:.0e} |"
    )


def error_of(square_N: Tensor, asked_ND: Tensor, bank_MD: Tensor) -> float:
    """Compare squared distances with those in double precision, of the first questions."""
    asked_CD, known_MD = asked_ND[:CHECKED].double(), bank_MD.double()
    own_C = asked_CD.square().sum(dim=1)
    true_C = (known_MD.square().sum(dim=1) - 2 * asked_CD @ known_MD.T).amin(dim=1) + own_C
    return float(((square_N[:CHECKED] - true_C.clamp_min(0)).abs() / own_C).max())


def selection(point_ND: Tensor, centres: int, most: Device, repeats: int) -> list[str]:
    """Time one pass of a selection over all points; return rows of a table."""
    square_N = point_ND.square().sum(dim=1)
    picked = torch.arange(centres, device=point_ND.device) * (len(point_ND) // centres)
    center_KD, square_K = point_ND[picked], square_N[picked]
    work = Work(len(point_ND), centres, point_ND.shape[1])
    nearest_N = torch.full_like(square_N, torch.inf)

    def kernel() -> None:
        lower_nearest(nearest_N, point_ND, square_N, center_KD, square_K, ROUNDING)

    def products() -> None:
        for first in range(0, len(point_ND), ROWS):
            rows = slice(first, first + ROWS)
            lower_plainly(nearest_N[rows], point_ND[rows], square_N[rows], center_KD, square_K, ROUNDING)

    ways = ({"kernel": kernel} if is_fused(center_KD, center_KD) else {}) | {"products": products}
    lines = []
    for way, do in ways.items():
        nearest_N.fill_(torch.inf)
        spent = seconds(do, point_ND.device, repeats)
        error = error_of(nearest_N, point_ND, center_KD)
        lines.append(row(f"{work.points} x {work.dimensions}", way, work, spent, error, most))
    return lines


def search(asked_ND: Tensor, bank_MD: Tensor, most: Device, repeats: int) -> list[str]:
    """Time searches of a bank; return rows of a table."""
    square_M = bank_MD.square().sum(dim=1)
    peer = PatchcoreModel(["layer2"], "resnet18", pre_trained=False)
    peer.memory_bank = bank_MD
    work = Work(len(asked_ND), *bank_MD.shape)

    def theirs() -> Tensor:
        return peer.nearest_neighbors(asked_ND, n_neighbors=1)[0].square()

    ways: dict[str, Callable[[], Tensor]] = {
        "products": lambda: compare_all(asked_ND, bank_MD, square_M),
        "anomalib": theirs,
    }
    if is_fused(asked_ND, bank_MD):
        ways = {"kernel": lambda: search_plainly(asked_ND, bank_MD, square_M)} | ways
    lines = []
    for way, do in ways.items():
        spent = seconds(do, asked_ND.device, repeats)
        error = error_of(do(), asked_ND, bank_MD)
        lines.append(row(f"{work.points} x {work.dimensions}", way, work, spent, error, most))
    return lines


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line; on a processor, sizes that are not given are small."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu for small sizes")
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--peer-picks", type=int, default=300)
    parser.add_argument("--points", type=int, default=300_000)
    parser.add_argument("--centres", type=int, default=1000)
    parser.add_argument("--banks", type=int, nargs="+", default=[6000, 20_000, 60_000])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 384, 1536])
    parser.add_argument("--questions", type=int, default=BATCH * PATCHES)
    parser.add_argument("--side", type=int, default=8192, help="of the matrices that say what the device does at most")
    parser.add_argument("--repeats", type=int, default=20)
    if parser.parse_known_args(words)[0].device == "cpu":
        parser.set_defaults(**SMALL)
    return parser.parse_args(words)


@torch.inference_mode()
def main(words: list[str] | None = None) -> int:
    """Print what was measured; return 2 where there is no such device."""
    options: Any = parse(words)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("benchmarks.patchcore_gpu needs a CUDA device; --device cpu tries it at small sizes.", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    most = measure(device, options.side, options.repeats)
    print(
        f"{name}, torch {torch.__version__}: float32 {most.single / 1e12:.1f} TFLOP/s, TF32 {most.tf32 / 1e12:.1f} "
        f"TFLOP/s, copies {most.copies / 1e9:.0f} GB/s\n"
    )
    print(fit(options.images, options.peer_picks, device), flush=True)
    print("\n" + HEAD.format("selection: centres"))
    for dimensions in options.dimensions:
        points = clustered_points(options.points, dimensions).to(device)
        print(*selection(points, options.centres, most, options.repeats), sep="\n", flush=True)
        del points
    print("\n" + HEAD.format("search: bank"))
    for dimensions in options.dimensions:
        points = clustered_points(options.questions + max(options.banks), dimensions).to(device)
        asked = points[-options.questions :]
        for bank in options.banks:
            print(*search(asked, points[:bank], most, options.repeats), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
