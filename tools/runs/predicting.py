"""The heavy half of ``loupe predict``: one pass over the files, in bounded memory, every row written as it comes."""

from __future__ import annotations

import csv
import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import torch

from callbacks.calibration import calibration_of
from callbacks.evaluation import prediction_rows
from callbacks.report.pictures import overlay
from datamodules.dataset import FileDataset, collate_readable
from datamodules.errors import DataError, UnreadableImageError
from datamodules.folder import walk_images
from datamodules.loading import make_loader
from datamodules.progress import track
from tools.build import build

from .checkpoint import read_checkpoint, restore
from .trained import make_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datamodules.base import InspectionDataModule
    from datamodules.batch import InspectionBatch
    from models.base import InspectionModel

    from .run_folder import RunFolder
    from .trained import Trained

COLUMNS = ("image_path", "score", "verdict", "error")


def predict(trained: Trained) -> RunFolder:
    """Judge every picture of ``source``, and write predictions.csv and overlays.

    Raises:
        ConfigError: The checkpoint is not usable.
        DataError: ``source`` names no picture.
    """
    config = trained.config
    files = find_files(config.source)
    datamodule: InspectionDataModule = build(config.data, "data")
    module = restore(read_checkpoint(trained.checkpoint)).eval()
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    folder = make_output(trained, "predictions")
    dataset = FileDataset(files, datamodule.reading)
    loader = make_loader(dataset, datamodule.batch_size, datamodule.num_workers, collate_readable)
    defective = failed = 0
    with (folder.path / "predictions.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for batch, failures in track(loader, "predicting"):
            rows = judge(module, batch, folder.path, config.overlay) if batch is not None else []
            writer.writerows(rows)
            writer.writerows(
                {"image_path": error.path, "error": f"{error.problem}; {error.remedy}"} for error in failures
            )
            stream.flush()  # what is done is done, whatever happens next
            defective += sum(row["verdict"] == "defective" for row in rows)
            failed += len(failures)
    print(f"{len(files)} pictures: {defective} defective, {len(files) - defective - failed} good, {failed} unreadable.")
    print(f"Predictions {folder.path / 'predictions.csv'}")
    return folder


@torch.inference_mode()
def judge(module: InspectionModel, batch: InspectionBatch, folder: Path, which: str) -> list[dict[str, Any]]:
    """Judge a batch; draw overlays of ``which`` pictures (defective, all or none); return rows."""
    decided = module.predict_step(batch.to(module.device)).to("cpu")
    rows = prediction_rows(decided)
    for index, row in enumerate(rows):
        if which == "all" or (which == "defective" and row["verdict"] == "defective"):
            image = decided.image[index].permute(1, 2, 0).mul(255).round().byte().numpy()
            low, high = calibration_of(module).map_range
            picture = overlay(
                image, decided.anomaly_map[index].numpy(), low, high, predicted_mask_HW=decided.pred_mask[index].numpy()
            )
            path = folder / "overlays" / Path(row["name"]).with_suffix(".jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            path.write_bytes(encoded.tobytes())
    return rows


def find_files(source: str | Iterable[str]) -> list[Path]:
    """Expand files, folders and globs to files, sorted within each, in the order given, each once.

    Raises:
        DataError: One of them names nothing.
    """
    sources: Sequence[str] = [source] if isinstance(source, str) else list(source)
    files: dict[Path, None] = {}
    problems: list[UnreadableImageError] = []
    for entry in sources:
        path = Path(entry).expanduser()
        if path.is_dir():
            found = walk_images(path, problems)
        elif path.exists():
            found = [path]
        else:
            found = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - absolute too
        if not found:
            raise DataError(
                f"Expected source to name pictures, but found none at {entry}; give a file, a folder or a glob."
            )
        files.update(dict.fromkeys(file.resolve() for file in found))
    return list(files)
