"""The data sets on which ``benchmarks.backbones`` compares feature networks: four real ones, five drawn ones.

Images are 256x256. A set is read once; from a seed it says which of its images make the bank and which are scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from datamodules.fiber import FiberDataModule
from datamodules.folder import FolderDataModule
from datamodules.oring import OringDataModule
from datamodules.print3d import Print3dDataModule
from datamodules.progress import track
from datamodules.synthetic.datamodule import SyntheticDataModule
from datamodules.synthetic.domains import DOMAINS
from datamodules.table import DEFECTIVE, GOOD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from datamodules.base import InspectionDataModule

SIDE = 256
BANKED, SCORED = 60, 40  # images in the bank, and at most scored of either class, where a set does not say otherwise
DRAWN_GOOD, DRAWN_DEFECTIVE, DRAWING_SEED = 120, 40, 101
DRAWN = "drawn "


@dataclass(frozen=True)
class DataSet:
    """A set and how it is split.

    Attributes:
        folder: Where it lies below the folder of all sets; empty for a drawn one, which is made.
        build: From its root to its datamodule.
        banked: Good images in the bank.
        scored: At most so many images of either class are scored; None: all.
        own_split: True where the bank comes from the set's own training folder, and its whole test folder is scored.
    """

    folder: str
    build: Callable[[Path], InspectionDataModule]
    banked: int = BANKED
    scored: int | None = SCORED
    own_split: bool = False


def _drawn(domain: str) -> Callable[[Path], InspectionDataModule]:
    return lambda root: SyntheticDataModule(
        root=str(root),
        domain=domain,
        good=DRAWN_GOOD,
        defective=DRAWN_DEFECTIVE,
        size=SIDE,
        drawing_seed=DRAWING_SEED,
        image_size=(SIDE, SIDE),
    )


def _real(kind: Callable[..., Any]) -> Callable[[Path], InspectionDataModule]:
    return lambda root: kind(root=str(root), image_size=(SIDE, SIDE))


DATA_SETS: dict[str, DataSet] = {
    "fiber": DataSet("fiber", _real(FiberDataModule), banked=50),
    "screw": DataSet("benchmark/screw", _real(FolderDataModule), banked=160, scored=None, own_split=True),
    "print3d": DataSet("print3d", _real(Print3dDataModule), banked=10),
    "spindle": DataSet("oring/spindle", _real(OringDataModule)),
    **{f"{DRAWN}{domain}": DataSet("", _drawn(domain)) for domain in DOMAINS},
}


@dataclass(frozen=True)
class Images:
    """A set in memory.

    Attributes:
        pixels_N3HW: uint8.
        mask_NHW: True on defects; all False where nobody marked any.
        table: What is known of each image: ``label_index``, ``group``, ``split``.
        marked: Whether every defective image has a mask.
    """

    pixels_N3HW: torch.Tensor
    mask_NHW: torch.Tensor
    table: pd.DataFrame
    marked: bool

    @property
    def defective(self) -> npt.NDArray[np.bool_]:
        """Tell which images are defective."""
        defective_N: npt.NDArray[np.bool_] = self.table["label_index"].to_numpy() == DEFECTIVE
        return defective_N


def read(name: str, data: Path, made: Path) -> Images:
    """Read a set; one that is drawn is drawn first.

    Args:
        name: Of the set.
        data: The folder of all real sets.
        made: Where drawn images are kept.
    """
    about = DATA_SETS[name]
    module = about.build(data / about.folder if about.folder else made)
    module.setup()
    table = module.samples[module.samples["label_index"].isin([GOOD, DEFECTIVE])].reset_index(drop=True)
    samples = module.dataset(table)
    pixels, masks, marked = [], [], True
    for index in track(range(len(table)), f"reading {name}"):
        sample = samples[index]
        pixels.append((255 * sample.image).round().to(torch.uint8))
        masks.append(torch.zeros(SIDE, SIDE, dtype=torch.bool) if sample.mask is None else sample.mask)
        marked &= sample.label_index != DEFECTIVE or bool(masks[-1].any())
    return Images(torch.stack(pixels), torch.stack(masks), table, marked)


def split(name: str, images: Images, seed: int) -> tuple[list[int], list[int]]:
    """Choose which images make the bank and which are scored.

    Groups, which no split may cut, are drawn whole: first those without a defect, so that few defects are wasted.
    """
    about, table = DATA_SETS[name], images.table
    rng = np.random.default_rng(seed)
    good = ~images.defective
    if about.own_split:
        learnt = np.flatnonzero(good & (table["split"] != "test").to_numpy())
        return sorted(rng.permutation(learnt)[: about.banked].tolist()), np.flatnonzero(
            (table["split"] == "test").to_numpy()
        ).tolist()
    group = table["group"].to_numpy()
    spoilt = set(group[images.defective])
    shuffled = rng.permutation(sorted(set(group)))
    order = sorted(shuffled.tolist(), key=lambda one: one in spoilt)  # stable: shuffled within
    bank: list[int] = []
    used = set()
    for one in order:
        members = np.flatnonzero(good & (group == one)).tolist()
        if bank and (len(bank) >= about.banked or len(bank) + len(members) == good.sum()):
            break  # some good images have to be scored
        used.add(one)
        bank += members
    rest = ~np.isin(group, list(used))
    scored = [_at_most(np.flatnonzero(rest & some), about.scored, rng) for some in (good, ~good)]
    return sorted(bank[: about.banked]), sorted(index for some in scored for index in some)


def _at_most(places: npt.NDArray[np.intp], count: int | None, rng: np.random.Generator) -> Iterator[int]:
    yield from rng.permutation(places)[:count].tolist()
