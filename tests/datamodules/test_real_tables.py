"""Real folders give the same sample tables whatever changes in how folders are read: what is where, and what it is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from datamodules.fiber import FiberDataModule
from datamodules.folder import FolderDataModule
from datamodules.meta_atom import MetaAtomDataModule
from datamodules.metallography import MetallographyDataModule
from datamodules.oring import OringDataModule
from datamodules.print3d import Print3dDataModule

if TYPE_CHECKING:
    from datamodules.base import InspectionDataModule

COLUMNS = ("name", "label_index", "split", "group", "kind", "defect", "mask_path", "zones_path", "box", "mask_box")
# Of the tables that were read before every mask had to be used or named; one that changes needs its reason here.
REAL: dict[str, tuple[type[InspectionDataModule], str, dict[str, Any]]] = {
    "fiber": (FiberDataModule, "fiber", {}),
    "screw": (FolderDataModule, "benchmark/screw", {}),
    "print3d": (Print3dDataModule, "print3d", {}),
    "print3d_folders": (FolderDataModule, "print3d", {}),
    "meta_atom": (MetaAtomDataModule, "meta_atom", {"blocks": 3, "test_arrays": ("Array_2Crop",)}),
    "grains": (MetallographyDataModule, "metallography/grains", {"mask_foreground": "black", "marks": "boundary"}),
    "inclusions": (
        MetallographyDataModule,
        "metallography/inclusions",
        {"dim_masks": "convert", "mask_sizes": "align"},
    ),
    "inclusions_refused": (MetallographyDataModule, "metallography/inclusions", {}),
    "scans": (
        MetallographyDataModule,
        "metallography/scans",
        {"mask_foreground": "black", "dim_masks": "convert", "mask_sizes": "align"},
    ),
    "rings": (OringDataModule, "oring/rings", {}),
    "spindle": (OringDataModule, "oring/spindle", {}),
}
HASHES = {
    "fiber": "83 49054582487c 6",
    "screw": "480 962f0874c67c 0",
    "print3d": "135 d42d8d386978 0",  # groups of loose layers by their numbers, so that later ones move none
    "print3d_folders": "135 d376193c55b8 0",
    "meta_atom": "817 6470bf6ac824 65",
    "grains": "184 d318300ea41a 0",
    "inclusions": "713 a2b279b08477 0",
    "inclusions_refused": "178 f0b421ab4200 239",
    "scans": "1580 582ab74ce22c 0",
    "rings": "76 f8abf84f8b18 0",
    "spindle": "293 230860bae526 0",
}


def digest(datamodule: InspectionDataModule, root: Path) -> str:
    rows, problems = datamodule.sample_table()
    table = rows.reindex(columns=list(COLUMNS)).astype(object).fillna("").sort_values("name", ignore_index=True)
    for column in ("mask_path", "zones_path"):
        table[column] = [
            " ".join(Path(part).relative_to(root).as_posix() for part in str(path).split(" | ") if part)
            for path in table[column]
        ]
    text = table.to_csv(index=False, lineterminator="\n")
    left_out = sorted(Path(problem.path).name for problem in problems)
    return f"{len(table)} {hashlib.sha256(text.encode()).hexdigest()[:12]} {len(left_out)}"


@pytest.mark.parametrize("name", REAL)
def test_real_folders_give_the_same_tables(shared_data: Path, name: str) -> None:
    make, folder, options = REAL[name]
    root = (shared_data / folder).resolve()
    assert digest(make(root=str(root), **options), root) == HASHES[name]
