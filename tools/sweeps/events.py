"""TensorBoard over all trials: each once, named by what sets it apart, with its row in the HParams tab.

A trial trains under its id, a hash, before anybody knows what it will be compared with. When it has ended its events
move to ``OUT/NAME/tensorboard``, and a longer sweep in which more keys differ gives them longer names.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

from callbacks.tracking.event_files import forget_results, only_results
from callbacks.tracking.hparams import write_row
from datamodules.files.whole_files import write_whole

from .leaderboard import PLAIN, Leaderboard, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from .journal import Trial

HOME, INDEX = "tensorboard", "trials.json"
PLACES = frozenset({"out", "name", "id", "report"})
ENDED = frozenset({"complete", "pruned"})  # a failed trial is tried again, and may be running
_LONGEST = 120  # characters of a name, well below what file systems take


def gather_events(board: Leaderboard, folder: Path) -> None:
    """Move the events of all trials that have ended to one place, each under its name, with its row.

    What is right already is left alone.

    Args:
        board: Of the sweep; its keys are what differs.
        folder: Of the sweep.
    """
    home = folder / HOME
    ended = [trial for trial in board.trials if trial.state in ENDED]
    names = trial_names(ended, board.keys)
    known = _read_index(home)
    _rename(home, {trial_id: entry["name"] for trial_id, entry in known.items()}, names)
    index: dict[str, Any] = {}
    for trial in ended:
        moved = _move(folder / "trials" / trial.id / HOME, home / names[trial.id])
        index[trial.id] = {"name": names[trial.id], "row": row_of(trial), "figures": figures(trial)}
        if moved or known.get(trial.id) != index[trial.id]:
            write_row(home / names[trial.id], index[trial.id]["row"], index[trial.id]["figures"])
    if index != known:
        write_whole(home / INDEX, json.dumps(index, indent=1).encode())


def row_of(trial: Trial) -> dict[str, float | str]:
    """Take what was set for a trial, and nothing that says where it lies."""
    return {key: typed(text) for key, text in trial.setting.items() if key not in PLACES}


def trial_names(trials: Iterable[Trial], keys: Sequence[str]) -> dict[str, str]:
    """Name trials by what differs, such as ``model=patchcore,coreset_ratio=0.1``; by id, too, where that is alike."""
    short = short_keys(keys)
    names = {
        trial.id: ",".join(f"{short[key]}={_word(trial.setting[key])}" for key in keys if key in trial.setting)[
            :_LONGEST
        ]
        for trial in trials
    }
    shared = Counter(names.values())
    return {
        trial_id: name if name and shared[name] == 1 else ",".join(filter(None, (name, trial_id)))
        for trial_id, name in names.items()
    }


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Give each key the shortest of its endings that no other key shares: ``lr`` for ``model.lr``."""
    short = {}
    for key in keys:
        parts = key.split(".")
        endings = [".".join(parts[index:]) for index in range(len(parts) - 1, -1, -1)]
        taken = [other for other in keys if other != key]
        short[key] = next(one for one in endings if one == key or not any(_ends(other, one) for other in taken))
    return short


def _ends(key: str, ending: str) -> bool:
    return key == ending or key.endswith(f".{ending}")


def _word(text: str) -> str:
    """Write a value so that it can stand in the name of a folder; of a path, its last part."""
    last = text.strip("'\"").rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w.+\-\[\]]+", "_", last)


def figures(trial: Trial) -> dict[str, float]:
    """Return figures that the trial's own scalars lack, for the columns beside its row."""
    found = {"sweep/objective": trial.objective, **{f"sweep/{name}": value_of(trial, name) for name in PLAIN}}
    return {name: value for name, value in found.items() if value is not None}


def typed(text: str) -> float | str:
    """Read a number where there is one; lists without spaces, as in the rows of single runs."""
    try:
        return float(text)
    except ValueError:
        return text.replace(", ", ",") if text[:1] in {"[", "{"} else text


def _read_index(home: Path) -> dict[str, Any]:
    path = home / INDEX
    if not path.is_file():
        shutil.rmtree(home, ignore_errors=True)  # rows alone, as earlier versions wrote them: they are written anew
        return {}
    index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return index


def _rename(home: Path, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Give events their new names, by way of their ids: a new name may be another trial's old one."""
    changed = [trial_id for trial_id in before if trial_id in after and before[trial_id] != after[trial_id]]
    waiting = {trial_id: home / f".{trial_id}" for trial_id in changed}
    for trial_id, aside in waiting.items():
        if (home / before[trial_id]).is_dir():
            (home / before[trial_id]).replace(aside)
    for trial_id, aside in waiting.items():
        if aside.is_dir():
            shutil.rmtree(home / after[trial_id], ignore_errors=True)
            aside.replace(home / after[trial_id])


def _move(source: Path, place: Path) -> bool:
    """Move what a trial wrote, and tell whether there was anything; a test that was written later replaces the test."""
    place.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        return False
    if only_results(source):
        forget_results(place)
        for path in source.iterdir():
            shutil.move(path, place / path.name)
        source.rmdir()
    else:
        shutil.rmtree(place)
        source.replace(place)
    return True
