"""The datamodule that every domain shares: from a sample table to honest splits and loaders that keep up."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from lightning import LightningDataModule

from .caching.cache import CachedDataset, content_keys
from .caching.in_memory import DatasetInMemory, cache_in_use
from .enhancing.enhancement import EnhanceAs, Enhancement, read_enhancement
from .errors import DataError, UnreadableImageError
from .files.csv_text import written
from .files.fitting import OWN, SQUASH, Fit, require_fit
from .files.roots import require_place
from .kinds import of_kinds
from .samples.augment import AugmentedDataset, require_transforms
from .samples.batch import Sample, collate
from .samples.copies import contradictions
from .samples.dataset import InspectionDataset, Reading
from .samples.held import hold_splits, read_earlier
from .samples.loading import make_loader
from .samples.split import fold_table, join_copies, split_table
from .samples.supervision import Supervision, check_supervision
from .samples.survey import ImageFacts
from .samples.surveyed import survey_table
from .table import (
    CALIBRATION,
    DEFECTIVE,
    GOOD,
    LABEL_NAMES,
    SPLITS,
    TEST,
    TRAIN,
    UNKNOWN,
    complete_table,
    content_hash,
    limit_table,
)
from .zones.foreground import read_foreground

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch.utils.data import DataLoader

    from .samples.batch import InspectionBatch
    from .samples.sized import SizedDataset

EXCLUDED_COLUMNS = ("path", "problem", "remedy")


@dataclass(kw_only=True, eq=False)
class InspectionDataModule(LightningDataModule, ABC):
    """Images of one domain. A subclass says what is on disk (``sample_table``); all else is here.

    ``setup`` surveyed at every file once, leaves out what cannot be used (``excluded`` says what and why), gives every
    image a split (``samples``), and refuses data that cannot lead to an honest result.

    Args:
        root: Folder with the data.
        image_size: Height and width that models see, in pixels.
        batch_size: Images per batch.
        num_workers: Processes that read images; null: one less than the processors, at most 8.
        calibration_share: Share of the good images on which thresholds are chosen.
        test_share: Share of the good images that only the test sees; the data's own test split goes before.
        calibration_from: Where calibration images are taken from if the data brings train and test splits only:
            ``train`` leaves the test split whole, ``test`` moves a part of it, defects included, into calibration.
        folds: Cross-validate: divide all images into so many folds, whatever splits the data brings; null: do not.
        fold: Which of them is the test split, from 1; calibration images come from the others.
        split_from: Folder of an earlier run, whose test and calibration images stay these; new ones are trained on.
        borrowed: Keys of images and groups that small splits borrowed while there were fewer, with the split in which
            they stay; ``loupe train`` finds them in the latest run of the same images.
        defects_in_train: Give the train split its part of the defective images (supervised models need them).
        instances: Where masks alone mark the defects, make instances of what is connected (instance models need them).
        classes: Of outlined defects, in the order of their labels, for instance models; null: as a training finds them
            (where there are two or more); none: all defects are of one class.
        kinds: Use images of these alone, in splits that are made with all; null: of all.
        limit: At most so many images of each split and label, for quick tries; null: all.
        white_level: Stored value that means white; null: 255 or 65535. A 12-bit camera in 16-bit files needs 4095.
        mask_on: A mask's pixel is a defect where its value is above this.
        void: Values of masks that mark nothing, such as the 255 of borders that nobody decided on; null: ask where one
            surveyed so.
        cache: Folder that keeps decoded and resized images, for trainings of many epochs; null: none.
        enhance: Enhancements by name that every image gets before it is resized, in training, test and prediction
            alike: see ``enhancing.filters``; an entry is a name, or a name with parameters, also by zone.
        enhance_as: The last one takes the image's place (``replace``), or up to three become its ``channels``.
        fit: How images of other proportions than ``image_size`` are brought to it: ``squash`` changes their
            proportions, ``letterbox`` pads them, ``crop`` cuts off what is too long, evenly; ``keep`` pads what is
            smaller at its own scale; ``own`` leaves images at their own sizes, one at a time, for models that take any.
        foreground: What of an image counts, for models that can leave the rest out: ``plain``, what stands out from a
            plain ground, its holes not, or ``solid``, with its holes; or ids of zones; null: all of it.
        foreground_margin: By which that is widened, in shares of an image's shorter side.
        augment: Transforms of ``torchvision.transforms.v2`` for training images; masks, zones and boxes move along.
        seed: Decides the splits and the order of training images.
    """

    root: str
    image_size: tuple[int, int] = (256, 256)
    batch_size: int = 16
    num_workers: int | None = None
    calibration_share: float = 0.2
    test_share: float = 0.3
    calibration_from: Literal["train", "test"] = "train"
    folds: int | None = None
    fold: int = 1
    split_from: str | None = None
    borrowed: dict[str, str] = field(default_factory=dict)
    defects_in_train: bool = False
    instances: bool = False
    classes: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    limit: int | None = None
    white_level: float | None = None
    mask_on: int = 127
    void: tuple[int, ...] | None = None
    cache: str | None = None
    enhance: tuple[str | dict[str, Any], ...] = ()
    enhance_as: EnhanceAs = "replace"
    fit: Fit = SQUASH
    foreground: str | int | tuple[int, ...] | None = None
    foreground_margin: float = 0.02
    augment: tuple[Any, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self.samples = pd.DataFrame()
        self.remarks: list[str] = []
        self.borrowed_groups: list[str] = []  # those that are there
        self.excluded = pd.DataFrame(columns=list(EXCLUDED_COLUMNS))
        self.enhancement: Enhancement = read_enhancement(self.enhance, self.enhance_as)
        self.first_epoch = 0  # later where a training goes on: it decides the order of images
        if self.limit is not None and self.limit < 1:
            raise DataError(f"Expected data.limit to be at least 1 or null, but found {self.limit}.")
        if self.white_level is not None and not 0 < self.white_level < math.inf:
            raise DataError(f"Expected data.white_level to be above 0 or null, but found {self.white_level}.")
        minimum_of = {
            "batch_size": (self.batch_size, 1),
            "num_workers": (self.num_workers or 0, 0),
            "mask_on": (self.mask_on, 0),
        }
        for key, (found, minimum) in minimum_of.items():
            if found < minimum:
                raise DataError(f"Expected data.{key} to be at least {minimum}, but found {found}.")
        for key, share in (("calibration_share", self.calibration_share), ("test_share", self.test_share)):
            if not 0 <= share <= 1:
                raise DataError(f"Expected data.{key} to be from 0 to 1, but found {share}.")
        if self.split_from is not None and self.folds is not None:
            raise DataError("Expected data.split_from or data.folds, but found both: folds test every image once.")
        if not 0 <= self.seed < 2**32:
            raise DataError(f"Expected data.seed to be from 0 to {2**32 - 1}, but found {self.seed}.")
        require_fit(self.fit)
        read_foreground(self.foreground, self.foreground_margin)
        require_transforms(self.augment)
        require_place("data.cache", self.cache)
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise DataError(f"Expected data.image_size to be [height, width] in pixels, but found {self.image_size}.")

    @abstractmethod
    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List what is on disk.

        Returns:
            Rows for ``complete_table``, and what had to be left out already, with the reason.

        Raises:
            DataError: There is nothing to go on with.
        """

    @property
    def reading(self) -> Reading:
        """How files become tensors."""
        height, width = self.image_size
        outlined = "annotation_path" in self.samples and bool((self.samples["annotation_path"] != "").any())
        instances = outlined or self.instances
        return Reading(
            height,
            width,
            self.white_level,
            self.mask_on,
            None if self.void is None else tuple(self.void),
            instances=instances,
            enhance=self.enhancement,
            classes=tuple(self.classes or ()),
            fit=self.fit,
            foreground=read_foreground(self.foreground, self.foreground_margin),
        )

    @property
    def content_hash(self) -> str:
        """Hash of the images' bytes, labels, splits and groups."""
        return content_hash(self.samples)

    def setup(self, stage: str | None = None) -> None:
        """Read, check and split; a second call changes nothing."""
        del stage  # one table serves every stage
        if not self.samples.empty:
            return
        table, problems = self.listing()
        table, unusable = self.survey(table)
        self.divide(table, [*problems, *unusable])

    def listing(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List what is on disk, complete and limited, before anyone has looked into a file."""
        rows, problems = self.sample_table()
        table = complete_table(rows)
        return table if self.limit is None else limit_table(table, self.limit, self.seed), problems

    def divide(self, table: pd.DataFrame, problems: Sequence[UnreadableImageError]) -> None:
        """Take a surveyed table for the samples: give every row a split; note what was left out."""
        share, seed, spread = self.calibration_share, self.seed, self.defects_in_train
        if self.split_from is not None:
            earlier = read_earlier(self.split_from)
            divided, more, remarks = hold_splits(table, earlier, Path(self.split_from).name)
            problems = [*problems, *more]
            self.remarks += remarks
        elif self.folds is not None:
            table = table.assign(group=join_copies(table))
            divided = fold_table(table, self.folds, self.fold, share, seed, defects_in_train=spread)
        else:
            rest, origin, before = self.test_share, self.calibration_from, self.borrowed
            divided = split_table(
                table, share, rest, seed, defects_in_train=spread, calibration_from=origin, borrowed=before
            )
            self.borrowed = divided.attrs.pop("borrowed", {})
            self.borrowed_groups = divided.attrs.pop("borrowed_groups", [])
        self.samples = of_kinds(divided, self.kinds)
        self.excluded = excluded_table(problems)

    def use_samples(self, table: pd.DataFrame) -> None:
        """Use a saved sample table, splits included, instead of what ``sample_table`` would find.

        Files that changed or vanished since are left out, and ``excluded`` says so.
        """
        table = complete_table(table)
        # Tables of earlier versions hold fewer facts.
        current, problems = self.survey(table.drop(columns=list(ImageFacts.__annotations__), errors="ignore"))
        before = table.set_index("name")["sha256"]
        changed = current["sha256"] != current["name"].map(before)
        problems += [
            UnreadableImageError(path, "has changed since the run was trained", "train again, or restore the file")
            for path in current["image_path"][changed]
        ]
        self.samples = current[~changed].reset_index(drop=True)
        self.excluded = excluded_table(problems)

    def survey(self, table: pd.DataFrame) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """Look at every sample once: see ``survey_table``. Overridden where samples are not whole files."""
        return survey_table(table, self.reading)

    def dataset(self, table: pd.DataFrame) -> InspectionDataset:
        """Say how the rows of a table become samples. Overridden where samples are not whole files."""
        return InspectionDataset(table, self.reading)

    def leave_out(self, sha256: Collection[str], problem: str, remedy: str) -> None:
        """Leave out every image with one of these hashes, and say why in ``excluded``."""
        hit = self.samples["sha256"].isin(sha256)
        errors = [UnreadableImageError(path, problem, remedy) for path in self.samples["image_path"][hit]]
        self.samples = self.samples[~hit].reset_index(drop=True)
        self.excluded = pd.concat([self.excluded, excluded_table(errors)], ignore_index=True)

    def split_samples(self, split: str) -> pd.DataFrame:
        """Return the rows of one split that may be used for it.

        Training sees no defective image unless ``defects_in_train``, even where its group lies in the train split.
        """
        rows = self.samples[self.samples["split"] == split]
        return rows[rows["label_index"] != DEFECTIVE] if split == TRAIN and not self.defects_in_train else rows

    def described(self) -> list[str]:
        """Say what was found, in whole sentences: the first lines of whatever is done with the data."""
        counts = self.samples["label_index"].map(LABEL_NAMES).value_counts()
        listed = ", ".join(f"{counts[name]:,} {name}" for name in LABEL_NAMES.values() if name in counts)
        left_out = f"; {len(self.excluded):,} left out or not used" if len(self.excluded) else ""
        noun = "image" if len(self.samples) == 1 else "images"
        return [f"Found {len(self.samples):,} {noun} in {self.root}: {listed}{left_out}."]

    def notes(self) -> list[str]:
        """Say, in whole sentences, what a reader of results must not miss about the data."""
        return [*contradictions(self.samples), *self.unlabelled()]

    def unlabelled(self) -> list[str]:
        """Say how many training images nobody labelled; nothing where all are labelled."""
        trained = self.split_samples(TRAIN)
        unknown = int((trained["label_index"] == UNKNOWN).sum())
        found = f"{unknown} of {len(trained)} training pictures are unlabelled and taken for good"
        return [f"{found}: a defective one teaches the model that its defect is normal."] if unknown else []

    def check_training(self, supervision: Supervision = "good") -> None:
        """Refuse splits that nothing can be trained or calibrated on.

        Args:
            supervision: What the model learns from; all but ``good`` needs defective training images.

        Raises:
            DataError: A split has no usable image, or labels are missing; says how to mend it.
        """
        if supervision != "good":
            check_supervision(self.split_samples(TRAIN), supervision, self.root)
        for split, key in ((TRAIN, "data.test_share"), (CALIBRATION, "data.calibration_share")):
            rows = self.split_samples(split)
            if rows.empty or (
                supervision == "good" and split == CALIBRATION and not (rows["label_index"] == GOOD).any()
            ):
                remedy = self._remedy(key) if rows.empty else "none of them is labelled good: label some, or add some"
                raise DataError(
                    f"Expected good pictures in the {split} split of {self.root}, but found {len(rows)} pictures "
                    f"there, of {len(self.samples)} in {self.samples['group'].nunique()} groups; {remedy}."
                )
        if self.split_samples(TEST).empty:
            raise DataError(
                f"Expected pictures in the test split of {self.root}, but found none of {len(self.samples)} in "
                f"{self.samples['group'].nunique()} groups; {self._test_remedy()}."
            )

    def _test_remedy(self) -> str:
        """Say what can fill an empty test split."""
        if not self.test_share:
            return "set data.test_share above 0"
        if (remedy := self._remedy("data.test_share")).startswith("it takes"):
            return remedy
        return "name some as test where folders or a table say the splits, or change data.test_share"

    def _remedy(self, key: str) -> str:
        """Say what can fill an empty split: more groups where there are too few, or another share."""
        good = self.samples.loc[self.samples["label_index"] != DEFECTIVE, "group"].nunique()
        if good < len(SPLITS) and self.folds is None:
            return f"it takes good pictures of {len(SPLITS)} groups, one each to train, calibrate and test with: " + (
                self.more_groups() or "add some"
            )
        return f"add pictures or groups, or change {key}"

    def more_groups(self) -> str:
        """Say how the images that are there can be divided to more groups; empty where they cannot."""
        return ""

    def train_dataloader(self) -> DataLoader[InspectionBatch]:
        """Load training images, in an order that the seed decides."""
        return self._loader(TRAIN, shuffle=True)

    def val_dataloader(self) -> DataLoader[InspectionBatch]:
        """Load calibration images."""
        return self._loader(CALIBRATION)

    def test_dataloader(self) -> DataLoader[InspectionBatch]:
        """Load test images."""
        return self._loader(TEST)

    def _loader(self, split: str, *, shuffle: bool = False) -> DataLoader[InspectionBatch]:
        table = self.split_samples(split)
        read = self.dataset(table)
        dataset: SizedDataset[Sample] = read if self.cache is None else CachedDataset(read, table, self.cache)
        if (memory := cache_in_use()) is not None:
            keys = content_keys(table, f"{type(read).__qualname__} {read.reading!r}")
            dataset = DatasetInMemory(
                dataset, [f"{key} {row}" for key, row in zip(keys, read.rows, strict=True)], memory
            )
        if split == TRAIN and self.augment:
            dataset = AugmentedDataset(dataset, self.augment, self.seed)
        seed, at_once = self.seed if shuffle else None, 1 if self.fit == OWN else self.batch_size
        return make_loader(dataset, at_once, self.num_workers, collate, seed, self.first_epoch)


def excluded_table(problems: Sequence[UnreadableImageError]) -> pd.DataFrame:
    """List what was left out: path, problem and remedy."""
    rows = [(written(problem.path), problem.problem, problem.remedy) for problem in problems]
    return pd.DataFrame(rows, columns=list(EXCLUDED_COLUMNS))
