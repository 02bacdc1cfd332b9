"""Time of the k-center coreset beside anomalib's, on the same points in the same run.

    python -m benchmarks.coreset [--points 60000] [--dimensions 384] [--picks 6000]

anomalib's greedy search takes as long for every pick, so only its first ``--peer-picks`` are timed, and its time for
all of them is extrapolated; the sets are compared on those.
"""

from __future__ import annotations

import argparse
import time

import torch
from anomalib.models.components import KCenterGreedy

from models.components.coreset import k_center_greedy


def clustered_points(count: int, dimensions: int) -> torch.Tensor:
    """Draw points like patch features: a few hundred clusters of unequal size and spread, from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(300, dimensions, generator=generator)
    spread = torch.rand(300, 1, generator=generator) * 0.5 + 0.05
    which = (torch.rand(count, generator=generator).square() * 300).long()
    return centers[which] + spread[which] * torch.randn(count, dimensions, generator=generator)


def main() -> None:
    """Print both times, their ratio, and how far the sets agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=60_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--picks", type=int, default=6_000)
    parser.add_argument("--peer-picks", type=int, default=300)
    options = parser.parse_args()
    points = clustered_points(options.points, options.dimensions)

    started = time.perf_counter()
    ours = list(k_center_greedy(points, options.picks, start=0))
    our_seconds = time.perf_counter() - started

    peer = KCenterGreedy(embedding=points, sampling_ratio=options.peer_picks / options.points)
    peer.features = points  # without its random projection: the same points for both
    started = time.perf_counter()
    theirs = _greedy_steps(peer, options.peer_picks)
    peer_seconds = (time.perf_counter() - started) * options.picks / options.peer_picks

    shared = len(set(ours[: options.peer_picks]) & set(theirs)) / options.peer_picks
    print(
        f"{options.points} points, {options.dimensions} dimensions, {options.picks} picks, "
        f"{torch.get_num_threads()} threads"
    )
    print(f"Loupe     {our_seconds:8.2f} s")
    print(f"anomalib  {peer_seconds:8.2f} s (extrapolated from {options.peer_picks} picks)")
    print(f"ratio     {peer_seconds / our_seconds:8.1f}")
    print(f"same picks among the first {options.peer_picks}: {shared:.1%}")


def _greedy_steps(peer: KCenterGreedy, picks: int) -> list[int]:
    """Run anomalib's own steps from the same first point as ours."""
    peer.reset_distances()
    chosen = [0]
    peer.update_distances(cluster_center=0)
    while len(chosen) < picks:
        new = int(peer.get_new_idx())
        peer.min_distances[new] = 0
        peer.update_distances(cluster_center=new)
        chosen.append(new)
    return chosen


if __name__ == "__main__":
    main()
