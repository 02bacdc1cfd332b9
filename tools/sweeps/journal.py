"""The journal of a sweep: one JSON object per line, checked and flushed to disk, readable after a kill at any byte.

A line ends with the CRC-32 of what stands before it. What a kill tore off is never repaired: the next writer ends the
torn line, readers skip it, and the trial that it told of runs again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from datamodules.files.made_folders import make_folder
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

JOURNAL, LOCK = "journal.jsonl", "journal.lock"
State = Literal["complete", "pruned", "failed"]
ALONE, MIDDLE = "milliseconds_alone", "milliseconds_alone_middle"
_SEAL = ',"crc":'


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        id: Hash of its resolved config and its data.
        state: ``complete``, ``pruned`` (ended early because others did better) or ``failed``.
        setting: What the sweep chose for it, as text of overrides, by key.
        data: Hash of the content of its data.
        result: What it found, in plain values: ``objective``, ``metrics`` and more.
        values: Intermediate objectives, as pairs of step and value.
        seconds: From its start to its end.
        error: The traceback of a failed one.
        cause: Why it failed, in one sentence.
        batch_size: With which it ran, where memory was too short for its own; None otherwise.
    """

    id: str
    state: State
    setting: dict[str, str]
    data: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    values: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""
    cause: str = ""
    batch_size: int | None = None

    @property
    def objective(self) -> float | None:
        """What a search maximises, from calibration images alone; None where there is none."""
        value = self.result.get("objective")
        return None if value is None else float(value)

    @property
    def milliseconds_alone(self) -> float | None:
        """Of its model per image, measured when nothing else ran; None where it never was."""
        value = self.result.get(ALONE)
        return None if value is None else float(value)


class Journal:
    """The only writer of a sweep's journal.

    Args:
        folder: Of the sweep; made if missing.

    Raises:
        ConfigError: Another process is writing it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            make_folder(folder, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"Expected out to be a folder to write to, but {folder}: {error.strerror}.") from error
        lock = folder / LOCK
        lock.touch()  # with the umask's mode, so that a colleague may go on with the sweep
        self._lock = FileLock(lock, mode=lock.stat().st_mode & 0o777)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise ConfigError(
                f"Expected to be alone in {folder}, but another loupe sweep is at work there; wait for it, or choose "
                "another name=."
            ) from None
        path = folder / JOURNAL
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        self._folder = folder
        self._records = read_records(folder)
        self.trials = replay(self._records)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # ends what a kill tore

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        empty = os.fstat(self._file).st_size == 0
        os.close(self._file)
        self._lock.release()
        if empty:  # refused before anything was noted: leave nothing behind
            for name in (JOURNAL, LOCK):
                (self._folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there is something else in it
                self._folder.rmdir()

    @property
    def suggested(self) -> list[Trial]:
        """All trials in the order in which a search was told of them; those that it suggested again, again."""
        last = {record["id"]: place for place, record in enumerate(self._records) if record["event"] == "end"}
        names = [
            record["id"]
            for place, record in enumerate(self._records)
            if record["event"] == "repeat" or (record["event"] == "end" and last[record["id"]] == place)
        ]
        return [self.trials[name] for name in names if name in self.trials]

    @property
    def data(self) -> dict[str, dict[str, Any]]:
        """What was noted last about each data set: see ``note_data``."""
        return {record["about"]: record for record in self._records if record["event"] == "data"}

    @property
    def plan(self) -> list[str] | None:
        """The arguments of the last command that was noted."""
        return next((record["args"] for record in reversed(self._records) if record["event"] == "plan"), None)

    @property
    def exhausted(self) -> str:
        """Why nothing was left to try when the last command ended; empty where something was, or nobody looked."""
        return _exhausted(self._records)

    def note_plan(self, args: list[str], version: str, mark: str = "") -> None:
        """Note the command, so that the sweep can be resumed by its folder alone, with the mark of who typed it."""
        self._append({"event": "plan", "args": args, "version": version, "mark": mark})

    def note_start(self, trial_id: str, setting: dict[str, str]) -> None:
        """Note that a trial was handed out."""
        self._append({"event": "start", "id": trial_id, "setting": setting})

    def note_setting(self, trial_id: str, setting: dict[str, str]) -> None:
        """Note keys of a known trial that an earlier command left at their defaults."""
        trial = self.trials[trial_id]
        if set(setting) - set(trial.setting):
            self._append({"event": "setting", "id": trial_id, "setting": setting})
            self.trials[trial_id] = replace(trial, setting={**trial.setting, **setting})

    def note_end(self, trial: Trial) -> None:
        """Note what became of a trial; on disk when this returns."""
        self._append({"event": "end", **vars(trial)})
        self.trials[trial.id] = trial

    def note_repeat(self, trial_id: str) -> None:
        """Note that a search suggested a known trial again, and was told what it had found."""
        self._append({"event": "repeat", "id": trial_id})

    def note_drop(self, trial_id: str) -> None:
        """Note that a failed trial is void: its data could not be read then, and can now, under another id."""
        self._append({"event": "drop", "id": trial_id})
        self.trials.pop(trial_id, None)

    def note_measured(self, trial_id: str, milliseconds: float, middle: float) -> None:
        """Note the time of a trial's model per image, measured when nothing else ran: the least, and the middle."""
        record = {"event": "measured", "id": trial_id, ALONE: milliseconds, MIDDLE: middle}
        self._append(record)
        self.trials[trial_id] = _measured(self.trials[trial_id], record)

    def note_data(self, about: str, data: str, seen: str, places: list[str]) -> None:
        """Note the hash of a data set's content, where it comes from, and how its files looked from outside."""
        self._append({"event": "data", "about": about, "data": data, "seen": seen, "places": places})

    def note_exhausted(self, reason: str) -> None:
        """Note that nothing is left to try, and why."""
        self._append({"event": "exhausted", "reason": reason})

    def _append(self, record: dict[str, Any]) -> None:
        self._records.append(record)
        os.write(self._file, seal({"time": round(time.time(), 3), **record}))
        os.fsync(self._file)


def seal(record: dict[str, Any]) -> bytes:
    """Write a record as one line with its checksum."""
    body = json.dumps(record, separators=(",", ":"), allow_nan=False)[:-1]
    return f"{body}{_SEAL}{zlib.crc32(body.encode())}}}\n".encode()


def unseal(line: bytes) -> dict[str, Any] | None:
    """Read one line; None where it is not whole."""
    body, seal_found, check = line.rstrip(b"\n").rpartition(_SEAL.encode())
    if not seal_found or check != f"{zlib.crc32(body)}}}".encode():
        return None
    record: dict[str, Any] = json.loads(body + b"}")
    return record


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Read every whole record, oldest first; safe at any moment, beside a writer."""
    path = folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    return [record for line in lines if (record := unseal(line)) is not None]


def read_trials(folder: Path) -> dict[str, Trial]:
    """Read every trial that has ended, by its id, in the order of their first ends; of several ends the last counts."""
    return replay(read_records(folder))


def replay(records: Iterable[dict[str, Any]]) -> dict[str, Trial]:
    """Read every trial out of records; see ``read_trials``."""
    trials: dict[str, Trial] = {}
    for record in records:
        if record["event"] == "end":
            about = {key: value for key, value in record.items() if key not in {"event", "time"}}
            about["values"] = [(int(step), float(value)) for step, value in about["values"]]
            trials[record["id"]] = Trial(**about)
        elif record["event"] == "drop":
            trials.pop(record["id"], None)
        elif (trial := trials.get(record.get("id", ""))) is None:
            continue
        elif record["event"] == "setting":
            trials[trial.id] = replace(trial, setting={**trial.setting, **record["setting"]})
        elif record["event"] == "measured":
            trials[trial.id] = _measured(trial, record)
    return trials


def _measured(trial: Trial, record: dict[str, Any]) -> Trial:
    found = {key: record[key] for key in (ALONE, MIDDLE) if key in record}
    return replace(trial, result={**trial.result, **found})


def exhausted(folder: Path) -> str:
    """Say why nothing was left to try when the last command ended; empty where something was, or nobody looked."""
    return _exhausted(read_records(folder))


def _exhausted(records: Iterable[dict[str, Any]]) -> str:
    plans = [record for record in records if record["event"] in {"plan", "exhausted"}]
    return str(plans[-1]["reason"]) if plans and plans[-1]["event"] == "exhausted" else ""


def last_plan(folder: Path) -> list[str]:
    """Return the arguments of the last command that worked in a folder.

    Raises:
        ConfigError: There was none.
    """
    return list(_last_plan(folder)["args"])


def last_mark(folder: Path) -> str:
    """Return the mark of the user who typed that command; empty where there is none."""
    return str(_last_plan(folder).get("mark", ""))


def _last_plan(folder: Path) -> dict[str, Any]:
    plans = [record for record in read_records(folder) if record["event"] == "plan"]
    if not plans:
        raise ConfigError(f"Expected the folder of a sweep, with {JOURNAL}, but found none at {folder}.")
    return plans[-1]
