"""Time of an epoch with the cache of decoded images, beside decoding: large BMP and JPEG files, as from cameras.

python -m benchmarks.cache [--pictures 24]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.caching.cache import CachedDataset
from datamodules.folder import FolderDataModule

if TYPE_CHECKING:
    from datamodules.samples.batch import Sample
    from datamodules.samples.sized import SizedDataset


def main() -> None:
    """Print seconds per epoch and their ratio, for both formats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=24)
    pictures = parser.parse_args().pictures
    rng = np.random.default_rng(0)
    for suffix in (".bmp", ".jpg"):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "good"
            root.mkdir()
            for index in range(pictures):
                image = cv2.GaussianBlur(rng.integers(0, 255, (2048, 2448, 3)).astype(np.uint8), (0, 0), 3)
                cv2.imwrite(str(root / f"{index}{suffix}"), image)
            data = FolderDataModule(root=folder)
            data.setup()
            decoded = data.dataset(data.samples)
            cached = CachedDataset(decoded, data.samples, Path(folder) / "cache")
            first, decoding, later = (epoch(dataset) for dataset in (cached, decoded, cached))
        print(f"{suffix} of 2448x2048: first epoch {first:.2f} s, decoding {decoding:.2f} s, cached {later:.3f} s")
        print(f"ratio {decoding / later:.0f}")


def epoch(dataset: SizedDataset[Sample]) -> float:
    """Read every sample once; return the seconds."""
    started = time.perf_counter()
    for index in range(len(dataset)):
        _ = dataset[index]
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
