"""The heavy half of ``loupe extend`` and ``loupe forget``: a model that learnt in one pass learns more, or less."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from callbacks.decisions.calibration import calibration_of
from callbacks.decisions.scopes import Scoped
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image
from datamodules.progress import track
from datamodules.samples.batch import Sample, collate
from datamodules.samples.dataset import image_tensor
from datamodules.table import CALIBRATION, UNKNOWN, read_table
from models.one_pass import OnePassModel
from tools.configuring.build import build
from tools.errors import ConfigError
from tools.runner.sources import find_images

from .checkpoint import read_checkpoint, restore
from .own_evidence import CalibrateByOwn
from .ownership import owned
from .reading import foreground_of, reading_of
from .thresholds import LEVELS, PROBABILITY, Move, calibration_state, last_move, put_thresholds
from .trainers import build_trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from callbacks.decisions.calibration import Calibration
    from datamodules.base import InspectionDataModule
    from datamodules.files.images import Array
    from datamodules.samples.batch import InspectionBatch
    from datamodules.samples.dataset import Reading

    from .growing_run import Growing
    from .run_folder import RunFolder

JOURNAL = "learnt.jsonl"
CLOSING = 3  # last lines of what is said: what became of thresholds, and where it is kept


class State(NamedTuple):
    """What counts of a model, before and after.

    Attributes:
        thresholds: Of images and pixels.
        scores: Of the calibration images, and then of what was added.
        size: What it holds, in words.
        knows: A digest of the images that it learnt, in their order.
    """

    thresholds: dict[str, Scoped]
    scores: list[float]
    size: str
    knows: str


class Done(NamedTuple):
    """What was done to a model.

    Attributes:
        verb: That did it.
        images: With which.
        words: As people are told.
    """

    verb: str
    images: Sequence[str]
    words: str


@torch.no_grad()
def extend(asked: Growing) -> str:
    """Add good images to a model; write it, unless ``dry``; return what changed, in words.

    Raises:
        ConfigError: The model cannot grow, or the run is at work.
        DataError: There is no image, one cannot be read, or the model knows them all.
    """
    with owned(asked.folder.path):
        return _extend(asked)


def _extend(asked: Growing) -> str:
    module, before = _open(asked)
    reading = reading_of(asked.config.data)
    images = list(find_images(asked.what))
    known = set(module.learnt)
    new = [image for image in images if image.name not in known]
    if not new:
        raise DataError(f"Expected images that the run has not learnt, but it knows all {len(images)} of them.")
    module.resume()
    for image in track(new, "learning"):
        module.collect_batch(_batch(module, image.name, image.read(), reading))
    module.extend()
    passed = f" {len(images) - len(new)} were known already." if len(new) < len(images) else ""
    done = Done("extend", [image.name for image in new], f"{len(new)} added.{passed}")
    at_hand = {image.name: image for image in new}
    own = _own(asked, module, done.images, lambda path: at_hand[path].read() if path in at_hand else read_image(path))
    return _settle(asked, module, before, done, own)


@torch.no_grad()
def forget(asked: Growing) -> str:
    """Take images out of a model; write it, unless ``dry``; return what changed, in words.

    Raises:
        ConfigError: The model cannot grow, or the run is at work.
        DataError: It never learnt such images, too few would be left, or one has to be read, and cannot.
    """
    with owned(asked.folder.path):
        return _forget(asked)


def _forget(asked: Growing) -> str:
    module, before = _open(asked)
    if not module.learnt:
        raise ConfigError(
            "Expected a run that noted which images it learnt, but an earlier version of Loupe trained it; train again."
        )
    gone = sorted({path for name in asked.what for path in named(name, module.learnt)})
    reading = reading_of(asked.config.data)
    module.forget(gone, lambda path: _seen_again(module, path, read_image, reading))
    own = _own(asked, module, [], read_image)
    return _settle(asked, module, before, Done("forget", gone, f"{len(gone)} taken out."), own)


def _own(asked: Growing, module: OnePassModel, images: Sequence[str], read: Callable[[str], Array]) -> CalibrateByOwn:
    """Prepare to judge all that was added, these images last, by what the model learnt from the others."""
    known, reading = set(module.learnt), reading_of(asked.config.data)
    earlier = [image for entry in _entries(asked.folder) if entry["verb"] == "extend" for image in entry["images"]]
    added = [image for image in dict.fromkeys([*earlier, *images]) if image in known]
    return CalibrateByOwn(added, read, lambda path: _seen_again(module, path, read, reading), reading)


def _seen_again(module: OnePassModel, path: str, read: Callable[[str], Array], reading: Reading) -> torch.Tensor:
    """Read an image once more, or its tiles (B, 3, H, W).

    Raises:
        DataError: It cannot be read.
    """
    try:
        return module.images_of(_batch(module, path, read(path), reading))
    except (OSError, UnreadableImageError) as error:
        raise DataError(
            f"Expected to read {path} once more, which {type(module).__name__} has to see to forget it, but: {error}"
        ) from error


def named(name: str, learnt: Sequence[str]) -> list[str]:
    """Find the learnt files that a name means: a path, a folder, a glob, or the end of a path.

    Raises:
        DataError: None, or an end that several paths have.
    """
    place = Path(name).expanduser()
    whole = {name, str(place.absolute()), str(place.resolve())}
    unique = list(dict.fromkeys(learnt))
    below = tuple(f"{path}{mark}" for path in whole for mark in "/#")  # folders and archives, and frames of videos
    if inside := [path for path in unique if path in whole or path.startswith(below)]:
        return inside
    globs = [*whole, f"*/{name}"]
    if globbed := [path for path in unique if any(fnmatchcase(path, glob) for glob in globs)]:
        if len(globbed) > 1 and not set("*?[") & set(name):
            raise DataError(
                f"Expected pictures to name one image each, but {name} is the end of {len(globbed)} paths, such as "
                f"{globbed[0]} and {globbed[1]}; name more of it."
            )
        return globbed
    raise DataError(
        f"Expected pictures that the run learnt from, but found none called {name} among {len(unique)}, such as "
        f"{unique[0]}."
    )


def _open(asked: Growing) -> tuple[OnePassModel, State]:
    """Restore the model of a run.

    Raises:
        ConfigError: It is not of a kind that grows, or learns of zones, which an image that is added lacks.
    """
    foreground = foreground_of(asked.config.data)
    if foreground is not None and foreground.zones:
        raise ConfigError(
            f"Expected data.foreground to be plain, solid or null where images are added or taken out, but found zones "
            f"{list(foreground.zones)}, which nobody finds on them here; train again, on all images."
        )
    module = restore(read_checkpoint(asked.folder.best_checkpoint)).eval()
    if not isinstance(module, OnePassModel) or not module.grows:
        raise ConfigError(
            f"Expected the run of a model that learns more without what it learnt before (patchcore, padim, dfm), but "
            f"found {type(module).__name__}; train again, on all images."
        )
    if not module.learnt and asked.what and not hasattr(module.model, "bank_MD"):
        raise ConfigError(
            "Expected a run that noted which images it learnt, but an earlier version of Loupe trained it; train again."
        )
    return module.to("cuda" if torch.cuda.is_available() else "cpu"), _state(module)


def _batch(module: OnePassModel, name: str, values: Array, reading: Reading) -> InspectionBatch:
    """Make a batch of one image, in tiles where the model learns from tiles."""
    sample = Sample(image_tensor(values, reading), name, name, UNKNOWN, frame=reading.frame(values.shape))
    batch = collate([reading.on_part(sample)]).to(module.device)
    return batch if module.tiling is None else module.tiling.cut_batch(batch)


def _state(module: OnePassModel) -> State:
    calibration = calibration_of(module)
    scores = [seen.score for seen in calibration.scores]
    knows = hashlib.sha256("\0".join(module.learnt).encode("utf-8", "surrogateescape")).hexdigest()
    return State(_thresholds(calibration), scores, _size(module), knows)


def _thresholds(calibration: Calibration) -> dict[str, Scoped]:
    if calibration.image is None or calibration.pixel is None:
        raise ConfigError("Expected a calibrated model, but no threshold has been chosen; train again.")
    return {"image": calibration.image, "pixel": calibration.pixel}


def _size(module: OnePassModel) -> str:
    bank = getattr(module.model, "bank_MD", None)
    images = f"{len(dict.fromkeys(module.learnt))} images"
    return images if bank is None else f"{len(bank)} patches of {images}"


def _settle(asked: Growing, module: OnePassModel, before: State, done: Done, own: CalibrateByOwn) -> str:
    """Choose thresholds again, or take those that held for the same images; write everything, and say what moved."""
    scored = _calibrate(asked, module, own)
    after, held = _state(module), _held(asked.folder)
    known = _once_held(asked.folder, after.knows) if done.verb == "forget" else None
    if known is not None:
        after = after._replace(thresholds={level: Scoped.from_dict(known[level]) for level in LEVELS})
    lines = [f"{done.words} The model holds {after.size}; it held {before.size}.", _moved(before, after, scored)]
    lines += (
        [_whose(asked.folder, restored=True)] if known else [own.describe(), _whose(asked.folder)] if scored else []
    )
    if asked.dry:
        return "\n".join([*(line for line in lines if line), "Nothing was changed (dry=true)."])
    why = asked.why or f"{done.verb}: {len(done.images)} images"
    entry = {"verb": done.verb, "by": asked.who, "why": asked.why, "images": list(done.images), "holds": after.size}
    _note(asked.folder, {**entry, "knew": before.knows, "before": held})
    about = Move(None, None, "", asked.who, why, done.verb)
    probability = {key: known[key] for key in PROBABILITY if key in known} if known else None
    outcome = put_thresholds(asked.folder, after.thresholds, about, module.cpu().state_dict(), probability)
    return "\n".join([*[line for line in lines if line], outcome, f"{asked.folder.path / JOURNAL} keeps which images."])


def _held(folder: RunFolder) -> dict[str, Any]:
    """Return the thresholds that hold, and how scores become probabilities."""
    state = calibration_state(folder)
    return {key: state[key] for key in (*LEVELS, *PROBABILITY) if key in state}


def _once_held(folder: RunFolder, knows: str) -> dict[str, Any] | None:
    """Find what held when a model that knew just these images was extended; None where it never was."""
    found = [entry for entry in _entries(folder) if entry["verb"] == "extend" and entry.get("knew") == knows]
    held: dict[str, Any] | None = found[-1]["before"] if found else None
    return held


def _whose(folder: RunFolder, *, restored: bool = False) -> str:
    """Say whose thresholds are replaced, and by what; nothing where nobody but the training chose them."""
    if restored:
        return (
            "The model knows the images that it knew before: thresholds are those that held then, whoever chose them."
        )
    last = last_move(folder)
    if last is None or last.get("verb"):
        return ""
    return (
        f"The thresholds that {last['by']} gave on {last['when'][:10]} were for the scores of before, and are "
        "replaced: calibrate once more."
    )


def _calibrate(asked: Growing, module: OnePassModel, own: CalibrateByOwn) -> int:
    """Choose thresholds by the calibration images, if they are where they were, and by what was added.

    Returns:
        How many calibration images there are; 0: not all of them, and thresholds stay.
    """
    datamodule: InspectionDataModule = build(asked.config.data, "data")
    known = read_table(asked.folder.samples)
    wanted = known[known["split"] == CALIBRATION]
    there = [Path(path).is_file() for path in wanted["image_path"]]
    if wanted.empty or not all(there):
        return 0
    datamodule.use_samples(wanted)
    if len(datamodule.samples) < len(wanted):
        return 0
    calibration = calibration_of(module)
    usual, cloud, scales = calibration.usual, calibration.cloud, calibration.scales
    build_trainer(asked.config, [own]).validate(module, datamodule, verbose=False)
    calibration.usual, calibration.cloud, calibration.scales = usual, cloud, scales  # learnt from all images, not these
    return len(wanted)


def _moved(before: State, after: State, scored: int) -> str:
    """Say what became of scores and verdicts of the calibration images."""
    if not scored:
        return (
            "The calibration images are not where they were, or have changed: thresholds stay as they were, and rest "
            "on scores of the model before. loupe calibrate chooses them anew from labels."
        )
    pairs = list(zip(before.scores[:scored], after.scores[:scored], strict=True))  # what was added comes after them
    shifts = [new - old for old, new in pairs]
    old_threshold, new_threshold = before.thresholds["image"].all.value, after.thresholds["image"].all.value
    flips = sum((old >= old_threshold) != (new >= new_threshold) for old, new in pairs)
    return (
        f"Scores of {scored} calibration images moved by {min(shifts):+.4g} to {max(shifts):+.4g}; {flips} of their "
        "verdicts change, by the thresholds of all."
    )


def _note(folder: RunFolder, entry: dict[str, Any]) -> None:
    """Add to the journal of what was learnt and forgotten, before anything else is written."""
    old = "".join(f"{json.dumps(entry)}\n" for entry in _entries(folder))
    entry = {"when": datetime.now().astimezone().isoformat(timespec="seconds")} | entry
    folder.write_text(JOURNAL, f"{old}{json.dumps(entry)}\n")


def _entries(folder: RunFolder) -> list[dict[str, Any]]:
    path = folder.path / JOURNAL
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
