"""What painting over inclusions costs and saves, on real scans with holes where they can be compared with the truth.

python -m benchmarks.inpainting SCANS [RUN]

SCANS holds ``images/`` and ``masks/`` of whole scans, black inclusions on white. The inclusions of one scan are laid
onto another, shifted, where it has none of its own; what lies below is known. Holes are filled by each method:

* ``PSNR`` (dB) and ``SSIM`` in the holes, of colours, and SSIM within 3 pixels of them; ``contrast``, the share of the
  standard deviation that is kept;
* F1 of lines within 2 pixels against those of the unspoilt scan, in the holes, within 3 pixels of them, and whole;
  lines are dark ridges (Sato, sigma 2 and 3, from where the highest tenth of the unspoilt scan begins), and with RUN
  those of a network as calibrated.

Holes are the moved masks, black; with a rim, the black reaches as many pixels beyond the mask as the row says, as it
does in scans. Masks are grown over rims by as many pixels as the row says at most. With RUN the last table says what
that is for: in what share of the pixels around real inclusions, filled, the network sees a boundary.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, get_args

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from skimage.filters import sato
from skimage.metrics import structural_similarity

from datamodules.files.boxes import cut
from datamodules.masks.forms import align
from models.components.inpainting import GROW, Image, Method, inpaint
from models.components.micrograph import scan_logits
from models.components.rims import disc
from tools.lines.metallography import read_scan, stage_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", bound=np.generic)
Mask: TypeAlias = npt.NDArray[np.bool_]
Lines: TypeAlias = "Callable[[Image], Mask]"
Fill: TypeAlias = "Callable[[Image, Mask], Image]"
Scan: TypeAlias = tuple[str, Image, Mask, Mask]

SIZE = (512, 768)  # rows and columns of the middle of every scan
SHIFT = (97, 151)  # pixels by which inclusions are moved, and all round
TENTH = 90
EVERY = 2  # scans
HALF = 128
APART = 8  # pixels between holes and inclusions
WITHIN = 2
NEAR = 3
RIM = 2


def dark_ridges(clean_HW3: Image) -> Lines:
    """Mark dark lines: from where the highest tenth of an unspoilt scan begins."""

    def ridge(image_HW3: Image) -> npt.NDArray[np.float64]:
        grey_HW = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255
        return np.asarray(sato(grey_HW, sigmas=(2, 3), black_ridges=True))  # type: ignore[no-untyped-call]  # none there

    least = np.percentile(ridge(clean_HW3), TENTH)
    return lambda image_HW3: np.asarray(ridge(image_HW3) >= least, np.bool_)


def pairs(folder: Path) -> list[Scan]:
    """Return some scans with the inclusions of the next one as holes, and their own where a mask fits them."""
    found: list[Scan] = []
    paths = sorted((folder / "images").iterdir())[::EVERY]
    for path, other in zip(paths, [*paths[1:], paths[0]], strict=True):
        image, marks = read_scan(path), read_scan(mask_of(folder, path))[..., 0] < HALF
        place = align(np.asarray(marks, np.bool_), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        if place is None:
            continue
        own_HW = middle(cut(marks, place))
        hole_HW = np.roll(middle(read_scan(mask_of(folder, other)))[..., 0] < HALF, SHIFT, axis=(0, 1))
        found.append((path.stem, middle(image), np.asarray(hole_HW & ~grown(own_HW, APART), np.bool_), own_HW))
    return found


def grown(mask_HW: Mask, pixels: int) -> Mask:
    """Grow a mask."""
    return np.asarray(cv2.dilate(mask_HW.astype(np.uint8), disc(pixels)) > 0, np.bool_)


def mask_of(folder: Path, path: Path) -> Path:
    """Find the mask of a scan."""
    return next(one for one in (folder / "masks").iterdir() if one.stem.split("_mask")[0] == path.stem)


def middle(image: npt.NDArray[T]) -> npt.NDArray[T]:
    """Cut the middle out."""
    top, left = ((have - want) // 2 for have, want in zip(image.shape[:2], SIZE, strict=True))
    return np.ascontiguousarray(image[top : top + SIZE[0], left : left + SIZE[1]])


def f1(found_HW: Mask, true_HW: Mask, where_HW: Mask) -> float:
    """F1 of lines within two pixels, of those that lie in ``where_HW``."""

    def hit(some_HW: Mask, other_HW: Mask) -> float:
        near_HW = cv2.dilate(other_HW.astype(np.uint8), disc(WITHIN)) > 0
        return float((some_HW & where_HW & near_HW).sum() / max(1, (some_HW & where_HW).sum()))

    precision, recall = hit(found_HW, true_HW), hit(true_HW, found_HW)
    return 2 * precision * recall / max(1e-9, precision + recall)


def row(name: str, fill: Fill, rim: int, scans: list[Scan], network: Lines | None) -> str:
    """Fill the holes of all scans, and say how well; they are black as far as ``rim`` pixels beyond their masks."""
    values = []
    for _, image_HW3, mask_HW, _ in scans:
        hole_HW, near_HW = grown(mask_HW, rim) if rim else mask_HW, grown(mask_HW, rim + NEAR)
        spoilt = image_HW3.copy()
        spoilt[hole_HW] = 0
        start = time.perf_counter()
        filled = fill(spoilt, mask_HW)
        seconds = time.perf_counter() - start
        error = np.square(filled[hole_HW].astype(float) - image_HW3[hole_HW]).mean()
        _, likeness = structural_similarity(  # type: ignore[no-untyped-call]  # the library has no annotations
            image_HW3, filled, channel_axis=2, full=True, data_range=255
        )
        kept = filled[hole_HW].std(axis=0).mean() / image_HW3[hole_HW].std(axis=0).mean()
        figures = [10 * np.log10(255**2 / error), likeness[hole_HW].mean(), likeness[near_HW].mean(), kept, seconds]
        for mark in (dark_ridges(image_HW3), network):
            if mark is not None:
                true_HW, found_HW = mark(image_HW3), mark(filled)
                figures += [f1(found_HW, true_HW, where) for where in (hole_HW, near_HW, np.ones_like(hole_HW))]
        values.append(figures)
    mean = np.mean(values, axis=0)
    return f"| {name} | {rim} | {mean[0]:.1f} | " + " | ".join(f"{value:.3f}" for value in mean[1:]) + " |"


def ring_row(grow: int, scans: list[Scan], network: Lines) -> str:
    """Fill the scans' own inclusions, and say in what share of the pixels around them there is a boundary."""
    shares = []
    for _, image_HW3, _, own_HW in scans:
        line_HW = network(inpaint(image_HW3, own_HW, grow=grow) if grow >= 0 else image_HW3)
        away_HW = np.asarray(distance_transform_edt(~own_HW))
        rings = [own_HW, (away_HW > 0) & (away_HW <= NEAR), (away_HW > NEAR) & (away_HW <= 8), away_HW > 12]
        shares.append([line_HW[ring].mean() for ring in rings])
    cells = " | ".join(f"{value:.2f}" for value in np.mean(shares, axis=0))
    return f"| {grow if grow >= 0 else 'not filled'} | {cells} |"


def network_lines(run: str) -> Lines:
    """Mark lines as a trained network does."""
    stage = stage_of(run, "RUN")
    return lambda image_HW3: np.asarray(scan_logits(image_HW3, stage) >= stage.threshold, np.bool_)


def main() -> None:
    """Print a row per method and growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path)
    parser.add_argument("run", nargs="?", help="of a network that marks boundaries")
    given = parser.parse_args()
    scans = pairs(given.scans)
    network = network_lines(given.run) if given.run else None
    share = np.mean([mask_HW.mean() for _, _, mask_HW, _ in scans])
    print(f"{len(scans)} scans ({', '.join(scan[0] for scan in scans)}), masks of {100 * share:.1f} % of the area\n")
    heads = ["filled by", "rim, px", "PSNR", "SSIM", "SSIM, near", "contrast", "seconds"]
    who = ["ridges", "network"] if network else ["ridges"]
    heads += [f"{one}, {where}" for one in who for where in ("holes", "near", "whole")]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for rim in (0, RIM):
        print(row("left black", lambda image_HW3, _: image_HW3, rim, scans, network))
        for method in get_args(Method):
            for grow in (0, GROW) if method == "navier_stokes" else (GROW,):
                fill = partial(inpaint, method=method, grow=grow)
                print(row(f"{method}, grown by {grow}", fill, rim, scans, network))
    if network is not None:
        print("\n| grown, px | inside | within 3 px | 4 to 8 px | beyond 12 px |\n|---|---|---|---|---|")
        for grow in (-1, 0, 1, 2, 3):
            print(ring_row(grow, scans, network))


if __name__ == "__main__":
    main()
