"""What limits grain boundaries: the images, the network, or the marks that somebody drew.

python -m benchmarks.boundaries FOLDER [--out FOLDER] [--rows NAME ...]

FOLDER holds ``images/`` and ``masks/`` of squares, named by their scan as docs/metallography.md says; at least six
scans. U-Nets are trained by ``loupe train`` (its command is printed), and judged on scans that they never saw and on
squares that they learnt from, both with the threshold that the calibration chose:

* ``F1``: as ``loupe train`` reports it, boundaries within 2 pixels, with its interval over scans;
* ``at 4``: the same within 4 pixels: a mark drawn a little off no longer counts, a line that is missing still does;
* ``5 x 5``: all marked pixels count, and hit what lies in the square of 5 x 5 pixels around them;
* ``Dice``: the mean over images;
* ``edge``: where one clear edge crosses a line within 6 pixels of its middle, in which share it is 1, or 2, pixels off
  at most. This takes no truth but the image, so the people who drew the marks are judged by it too. Lines are drawn
  anew first, 3 pixels wide, whoever drew them.

What chance does is shown by the marks that people drew on another image.

Needs scikit-image beside Loupe.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.morphology import skeletonize

from callbacks.decisions.calibration import calibration_of
from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.overlap import OverlapMeter
from datamodules.metallography import MetallographyDataModule
from datamodules.progress import track
from datamodules.table import TEST, TRAIN
from tools.configuring.build import build
from tools.configuring.config import compose_config
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.training import train

if TYPE_CHECKING:
    from pathlib import Path

    from models.base import InspectionModel

Mask: TypeAlias = "npt.NDArray[np.bool_]"
Array: TypeAlias = "npt.NDArray[np.float64]"

EXPERIMENT = "experiment=metallography_grains"
HEADER = (
    *("lines by", "F1", "at 4", "5 x 5", "Dice", "F1, seen", "Dice, seen"),
    *("edge within 1", "within 2", "squares seen", "training, s"),
)
FEW_SCANS = 3
ROWS: dict[str, tuple[str, ...]] = {
    "as the experiment is": (),
    f"{FEW_SCANS} scans, as many steps": ("data._target_=benchmarks.boundaries.FewScans", "trainer.max_epochs=70"),
    "100 epochs": ("trainer.max_epochs=100",),
    "twice the channels": ("model.width=32",),
    "all eight turns": ("model.all_turns=true",),
}
REACH = 6.0  # pixels to both sides of a mark that are searched for an edge
OFFSETS = np.arange(-REACH, REACH + 0.25, 0.5)
CLEAR_IN_PICTURE, CLEAR_IN_PROFILE = 2.0, 2.5  # times the mean of the image, and the median of the profile
REPORTED = ("boundary_f1", "pixel_dice")
STRAIGHT = 0.6  # coherence of the structure tensor: below it a mark branches or ends, and has no direction


class FewScans(MetallographyDataModule):
    """The same images in the same splits, but for training only those of a few scans."""

    def setup(self, stage: str | None = None) -> None:
        """Leave scans out of the train split."""
        super().setup(stage)
        learnt = self.samples["split"] == TRAIN
        kept = sorted(self.samples["group"][learnt].unique())[:FEW_SCANS]
        self.samples = self.samples[~learnt | self.samples["group"].isin(kept)].reset_index(drop=True)


class Judged(NamedTuple):
    """Images (N, H, W, 3) of a split, what was marked on them, and what people had marked: (N, H, W) both."""

    picture_NHW3: npt.NDArray[np.uint8]
    predicted_NHW: Mask
    true_NHW: Mask


def judge(module: InspectionModel, data: MetallographyDataModule, split: str) -> Judged:
    """Mark the images of a split with the calibrated threshold."""
    dataset = data.dataset(data.split_samples(split))
    threshold = float(calibration_of(module).pixel_threshold)
    pictures, predicted, true = [], [], []
    for index in track(range(len(dataset)), f"judging {split}"):
        sample = dataset[index]
        if sample.mask is None:
            continue
        with torch.inference_mode():
            map_1HW = module.predict(sample.image.unsqueeze(0))[0].anomaly_map
        pictures.append((255 * sample.image).byte().permute(1, 2, 0).numpy())
        predicted.append(np.asarray(map_1HW)[0] >= threshold)
        true.append(sample.mask.numpy().astype(bool))
    return Judged(np.stack(pictures), np.stack(predicted), np.stack(true))


def edge_profiles(picture_HW3: npt.NDArray[np.uint8], mask_HW: Mask) -> Array:
    """Strength of colour edges across every straight piece of a line: (P pieces, offsets), 1 is the image's mean."""
    lab_HW3 = cv2.cvtColor(np.ascontiguousarray(picture_HW3), cv2.COLOR_RGB2LAB).astype(np.float64)
    slopes = [np.gradient(gaussian_filter(lab_HW3[..., channel], 1.0)) for channel in range(3)]
    edge_HW = np.sqrt(np.sum([down**2 + right**2 for down, right in slopes], axis=0))
    middle_HW = skeletonize(mask_HW)  # type: ignore[no-untyped-call]  # the library has no annotations
    line_HW = cv2.dilate(middle_HW.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float64)
    down_HW, right_HW = np.gradient(gaussian_filter(line_HW, 1.5))
    xx, xy, yy = (gaussian_filter(part, 2.0) for part in (right_HW**2, right_HW * down_HW, down_HW**2))
    coherent_HW = np.hypot(xx - yy, 2 * xy) > STRAIGHT * (xx + yy)
    margin = int(REACH) + 3
    inside_HW = np.zeros_like(mask_HW)
    inside_HW[margin:-margin, margin:-margin] = True
    y_P, x_P = np.nonzero(middle_HW & coherent_HW & inside_HW)
    angle_P = 0.5 * np.arctan2(2 * xy, xx - yy)[y_P, x_P]
    places = [
        origin_P[:, None] + OFFSETS * step_P[:, None]
        for origin_P, step_P in ((y_P, np.sin(angle_P)), (x_P, np.cos(angle_P)))
    ]
    profiles: Array = map_coordinates(edge_HW, places, order=1) / edge_HW.mean()
    return profiles


def near_edges(picture_NHW3: npt.NDArray[np.uint8], mask_NHW: Mask) -> list[str]:
    """Where one clear edge crosses a line: the share within 1 and within 2 pixels of its middle."""
    pairs = zip(picture_NHW3, mask_NHW, strict=True)
    profile_PO = np.concatenate([edge_profiles(picture_HW3, mask_HW) for picture_HW3, mask_HW in pairs])
    peak_P = profile_PO.max(axis=1)
    clear_P = (peak_P > CLEAR_IN_PICTURE) & (peak_P > CLEAR_IN_PROFILE * np.median(profile_PO, axis=1))
    off_P = np.abs(OFFSETS[profile_PO[clear_P].argmax(axis=1)])
    return [f"{(off_P <= pixels).mean():.2f}" for pixels in (1, 2)]


def square_f1(judged: Judged) -> float:
    """F1 of all marked pixels, each of which hits what lies in the 5 x 5 pixels around it."""

    def widened(mask_NHW: Mask) -> Mask:
        return np.stack([cv2.dilate(one.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for one in mask_NHW])

    _, predicted_NHW, true_NHW = judged
    precision = (predicted_NHW & widened(true_NHW)).sum() / max(1, predicted_NHW.sum())
    recall = (true_NHW & widened(predicted_NHW)).sum() / max(1, true_NHW.sum())
    return float(2 * precision * recall / max(1e-9, precision + recall))


def overlap(judged: Judged, tolerance: float) -> tuple[float, float]:
    """F1 of boundaries within a tolerance, and Dice."""
    meter = OverlapMeter(tolerance)
    meter.update(judged.predicted_NHW, judged.true_NHW, ["all"] * len(judged.true_NHW))
    found = meter.estimates(Resampling(resamples=2))
    return found["boundary_f1"].value, found["pixel_dice"].value


def rows_of_people(judged: Judged) -> list[str]:
    """Hold the marks that people drew against the edges; then those of another image against marks and edges."""
    edges = near_edges(judged.picture_NHW3, judged.true_NHW)
    another_NHW = np.roll(judged.true_NHW, len(judged.true_NHW) // 2, axis=0)
    by_chance = judged._replace(predicted_NHW=another_NHW)
    f1, dice = overlap(by_chance, 2.0)
    cells = [f"{value:.3f}" for value in (f1, overlap(by_chance, 4.0)[0], square_f1(by_chance), dice)]
    cells += ["-", "-", *near_edges(judged.picture_NHW3, another_NHW), "-", "-"]
    return [
        f"| people |{' - |' * 6} {' | '.join(edges)} | - | - |",
        f"| people, on another picture | {' | '.join(cells)} |",
    ]


def row(name: str, run: Path) -> list[str]:
    """Judge a run on what it never saw and on what it learnt from; and, with the first one, the people."""
    checkpoint = read_checkpoint(run / "checkpoints" / "best.ckpt")
    module = restore(checkpoint).eval()
    data: MetallographyDataModule = build(checkpoint.config.data, "data")
    data.setup()
    unseen, learnt = (judge(module, data, split) for split in (TEST, TRAIN))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]
    reported = [f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})" for one in map(metrics.get, REPORTED)]
    seconds = json.loads((run / "environment.json").read_text(encoding="utf-8"))["seconds_of_training"]
    at_4, _ = overlap(unseen, 4.0)
    cells = [reported[0], f"{at_4:.3f}", f"{square_f1(unseen):.3f}", reported[1]]
    cells += [f"{value:.3f}" for value in overlap(learnt, 2.0)]
    cells += near_edges(unseen.picture_NHW3, unseen.predicted_NHW)
    people = rows_of_people(unseen) if name == next(iter(ROWS)) else []
    return [*people, f"| {name} | {' | '.join(cells)} | {len(learnt.true_NHW)} | {seconds:.0f} |"]


def main() -> None:
    """Train and judge one row after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="images/ and masks/ of grain squares")
    parser.add_argument("--out", default="runs", help="where runs are kept")
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="NAME", help=", ".join(ROWS))
    options = parser.parse_args()
    common = (EXPERIMENT, f"data.root={options.folder}", "callbacks.evaluation.atlas=0", f"out={options.out}")
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    for name in options.rows:
        print("loupe train", *common, *ROWS[name])
        print(*row(name, train(compose_config("train", [*common, *ROWS[name]])).path), sep="\n", flush=True)


if __name__ == "__main__":
    main()
