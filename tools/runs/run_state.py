"""Whether a run is finished: the key ``state`` of its environment.json."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from .run_files import ENVIRONMENT, METRICS, PREDICTIONS

if TYPE_CHECKING:
    from .run_folder import RunFolder

State = Literal["training", "testing", "finished"]
OLD_SIGNS = (METRICS, PREDICTIONS)  # of runs that earlier versions finished


def state_of(folder: RunFolder) -> State:
    """Return how far a run is: ``finished`` only once every file of it is written."""
    known: dict[str, State] = {"training": "training", "testing": "testing", "finished": "finished"}
    environment = folder.read_json(ENVIRONMENT)
    if "state" not in environment:
        return "finished" if all((folder.path / name).is_file() for name in OLD_SIGNS) else "training"
    return known.get(str(environment["state"]), "training")


def is_finished(folder: RunFolder) -> bool:
    """Tell whether a run is finished."""
    return state_of(folder) == "finished"


def note_state(folder: RunFolder, state: State, **more: float) -> None:
    """Write how far a run is, and since when if it is finished."""
    environment = folder.read_json(ENVIRONMENT) | {"state": state} | more
    if state == "finished":
        environment["ended"] = datetime.now().astimezone().isoformat(timespec="seconds")
    folder.write_json(ENVIRONMENT, environment)


def warn_of_unfinished(folder: RunFolder | None) -> None:
    """Say on standard error that a run is not finished, if it is not."""
    if folder is not None and not is_finished(folder):
        sys.stderr.write(f"{unfinished(folder)}\n")


def unfinished(folder: RunFolder) -> str:
    """Say that a run, or the folder of a test, is not finished, and what to do about it."""
    if folder.path.parent.name == "tests":
        return f"{folder.path} is not finished: the test was stopped, or runs now; test the run again"
    far = "its training" if state_of(folder) == "training" else "its test"
    return (
        f"{folder.path} is not finished: {far} was stopped, or runs now; go on with: loupe train resume={folder.path}"
    )
