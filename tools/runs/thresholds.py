"""The thresholds of a finished run: shown, moved, and moved back; every move is kept with who, when and why."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from callbacks.decisions.choosing import Seen
from callbacks.decisions.moving import calls_of, follow, set_image_threshold, set_pixel_threshold
from callbacks.decisions.scopes import Scoped
from tools.errors import ConfigError

from .checkpoint import KEY, load_tensors
from .checkpoint_io import WholeCheckpointIO
from .ownership import owned
from .run_files import CALIBRATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .run_folder import RunFolder

JOURNAL = "thresholds.jsonl"
STATE = "post_processor._extra_state"
BUFFERS = {"image": "post_processor.image_threshold", "pixel": "post_processor.pixel_threshold"}
LEVELS = ("image", "pixel")
PROBABILITY = ("probability", "probability_note")


class Move(NamedTuple):
    """A threshold as a person wants it, or as it follows from what the model learnt.

    Attributes:
        image: Raw value; None: as it is.
        pixel: Raw value; None: as it follows.
        kind: For whom; empty: for all.
        who: Answers for it.
        why: As they say.
        verb: That changed the model, where thresholds follow; empty: the thresholds themselves were asked for.
    """

    image: float | None
    pixel: float | None
    kind: str
    who: str
    why: str
    verb: str = ""


def describe(folder: RunFolder) -> str:
    """Show the thresholds of a run, what they promise, and how they were moved."""
    state = _read(folder)["state_dict"][STATE]
    lines = [f"Thresholds of {folder.path}"]
    for level in LEVELS:
        scoped = Scoped.from_dict(state[level])
        lines += [f"  {level} {scope}: {value:.6g}" for scope, value in scoped.values().items()]
        lines.append(f"    {scoped.all.promise}")
    moves = [json.loads(line) for line in _journal(folder)]
    lines += [_sentence(entry) for entry in moves]
    return "\n".join(lines)


def move(folder: RunFolder, wanted: Move) -> str:
    """Move thresholds, for good; return what changed, in words.

    Raises:
        ConfigError: A value or a kind is not valid, the run is at work, or its checkpoint is not whole.
    """
    with owned(folder.path):
        content = _read(folder)
        state = content["state_dict"][STATE]
        before = {level: Scoped.from_dict(state[level]) for level in LEVELS}
        try:
            after = _moved(before, wanted, [Seen(*row) for row in state["scores"]])
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return _keep(folder, content, before, after, wanted)


def calibration_state(folder: RunFolder) -> dict[str, Any]:
    """Read thresholds and the scores that they rest on.

    Raises:
        ConfigError: The checkpoint is not whole.
    """
    state: dict[str, Any] = _read(folder)["state_dict"][STATE]
    return state


def learnt_of(folder: RunFolder) -> list[str]:
    """Name the images that a model which learns in one pass has learnt; none where it does not note them.

    Raises:
        ConfigError: The checkpoint is not whole.
    """
    return list(_read(folder)["state_dict"].get("_extra_state", {}).get("learnt", ()))


def last_move(folder: RunFolder) -> dict[str, Any] | None:
    """Return the last entry of a run's journal of thresholds; None where none was moved."""
    lines = _journal(folder)
    return dict(json.loads(lines[-1])) if lines else None


def keep_thresholds(
    folder: RunFolder, after: dict[str, Scoped], about: Move, probability: dict[str, Any] | None = None
) -> str:
    """Put thresholds that were chosen anew in place of those of a run, for good; return what changed, in words.

    Args:
        folder: Of the run.
        after: For images and pixels.
        about: By whom, and why.
        probability: How scores become probabilities from now on, as ``probability`` and ``probability_note``; None: as
            before.

    Raises:
        ConfigError: The run is at work, or its checkpoint is not whole.
    """
    with owned(folder.path):
        return put_thresholds(folder, after, about, probability=probability)


def put_thresholds(
    folder: RunFolder,
    after: dict[str, Scoped],
    about: Move,
    state: Mapping[str, Any] | None = None,
    probability: dict[str, Any] | None = None,
) -> str:
    """Do as ``keep_thresholds`` for a run that is owned already; ``state`` is that of a model that changed as well.

    Raises:
        ConfigError: The checkpoint is not whole.
    """
    content = _read(folder)
    before = {level: Scoped.from_dict(content["state_dict"][STATE][level]) for level in LEVELS}
    if state is not None:
        content["state_dict"] = dict(state)
    return _keep(folder, content, before, after, about, probability)


def undo(folder: RunFolder, who: str, why: str) -> str:
    """Take the last move back; taking back is a move as well, so that it can be taken back.

    Raises:
        ConfigError: No move was made, or as for ``move``.
    """
    with owned(folder.path):
        lines = _journal(folder)
        if not lines:
            raise ConfigError(f"Expected a move to take back, but the thresholds of {folder.path} were never moved.")
        content, last = _read(folder), json.loads(lines[-1])
        before = {level: Scoped.from_dict(content["state_dict"][STATE][level]) for level in LEVELS}
        after = {level: Scoped.from_dict(last["before"][level]) for level in LEVELS}
        probability = {key: last["before"][key] for key in PROBABILITY if key in last["before"]}
        return _keep(folder, content, before, after, Move(None, None, "", who, why or "taken back"), probability)


def _moved(before: dict[str, Scoped], wanted: Move, seen: list[Seen]) -> dict[str, Scoped]:
    image, pixel = before["image"], before["pixel"]
    note = f"Set by {wanted.who} on {_now()[:10]}{': ' + wanted.why if wanted.why else ''}."
    threshold = pixel.of_kind(wanted.kind)
    value = wanted.pixel
    if wanted.image is not None:
        moved = set_image_threshold(image, wanted.image, seen, note, wanted.kind)
        if value is None:
            value = follow(image.of_kind(wanted.kind), moved.of_kind(wanted.kind), threshold, seen)
        image = moved
    if value is not None and value != threshold:
        pixel = set_pixel_threshold(pixel, value, note, wanted.kind)
    return {"image": image, "pixel": pixel}


def _keep(
    folder: RunFolder,
    content: dict[str, Any],
    before: dict[str, Scoped],
    after: dict[str, Scoped],
    wanted: Move,
    probability: dict[str, Any] | None = None,
) -> str:
    """Write the journal first, then the checkpoint, then the table that people read."""
    entry: dict[str, Any] = {"when": _now(), "by": wanted.who, "why": wanted.why, "kind": wanted.kind}
    entry |= {"verb": wanted.verb} if wanted.verb else {}
    entry |= {"before": {level: before[level].to_dict() for level in LEVELS}}
    entry |= {"after": {level: after[level].to_dict() for level in LEVELS}}
    if probability:
        entry["before"] |= {key: content["state_dict"][STATE][key] for key in PROBABILITY}
        entry["after"] |= probability
        content["state_dict"][STATE] |= probability
    seen = [Seen(*row) for row in content["state_dict"][STATE]["scores"]]
    entry["calls"] = calls_of(after["image"], seen, wanted.kind)
    folder.write_text(JOURNAL, "".join(f"{line}\n" for line in [*_journal(folder), json.dumps(entry)]))
    for level in LEVELS:
        content["state_dict"][STATE][level] = after[level].to_dict()
        content["state_dict"][BUFFERS[level]] = torch.tensor(after[level].all.value)
    WholeCheckpointIO().save_checkpoint(content, folder.best_checkpoint)
    folder.write_json(CALIBRATION, folder.read_json(CALIBRATION) | entry["after"])
    return (
        f"{_sentence(entry)}\n{folder.path / JOURNAL} keeps it; loupe threshold {folder.path} undo=true takes it back."
    )


def _sentence(entry: dict[str, Any]) -> str:
    changes = []
    for level in LEVELS:
        before, after = (Scoped.from_dict(entry[side][level]).values() for side in ("before", "after"))
        for scope in {**before, **after}:
            was, now = before.get(scope, before["all"]), after.get(scope, after["all"])
            if was != now:
                changes.append(f"{level} threshold of {scope}: {was:.6g} -> {now:.6g}")
    why = f" ({entry['why']})" if entry["why"] else ""
    sentence = f"{entry['when']} {entry['by']}{why}: {'; '.join(changes) or 'nothing changed'}."
    return sentence + (f" On the calibration images: {entry['calls']}." if entry.get("calls") else "")


def _read(folder: RunFolder) -> dict[str, Any]:
    """Read a whole checkpoint, the optimizer's state included, to write it again."""
    content = load_tensors(folder.best_checkpoint)
    if not isinstance(content, dict) or STATE not in content.get("state_dict", {}) or KEY not in content:
        raise ConfigError(
            f"Expected {folder.best_checkpoint} to hold thresholds, but it is not a checkpoint of Loupe's."
        )
    return content


def _journal(folder: RunFolder) -> list[str]:
    path = folder.path / JOURNAL
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
