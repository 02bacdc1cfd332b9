"""What tests of kills share: commands that are ended at random moments, and a count of what came of it."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tools.command import NOT_BEGUN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
HUNG_S = 300.0  # after which a command that was asked to end, or has nothing left to do, counts as hung
SEED = 20261128
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LOG = "LOUPE_FAULTS"
"""Names a file that every tally is added to, a JSON object a line: what docs/reliability.md is written from."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status (negative: by a signal), and what it said."""

    status: int
    out: str
    err: str
    seconds: float


@dataclass
class Tally:
    """What came of the faults of one kind.

    Attributes:
        kind: What was tried.
        tried: How often.
        lost: Whatever is missing, torn or differs afterwards, in words.
        hung: Commands that did not end.
        tracebacks: Commands that showed one.
    """

    kind: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    hung: int = 0
    tracebacks: list[str] = field(default_factory=list)

    def see(self, ended: Ended) -> None:
        """Look at what a command said."""
        if "Traceback" in ended.err:
            self.tracebacks.append(ended.err[-2000:])

    def check(self) -> None:
        """Note the tally where it is asked for, and refuse whatever is not as it should be."""
        if os.environ.get(LOG):
            with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(self)) + "\n")
        assert not self.lost, self.lost
        assert not self.hung
        assert not self.tracebacks, self.tracebacks[0]


class HungError(Exception):
    """A command did not end in time."""


class Loupe:
    """Runs commands in warm processes, and ends them when told to; see ``warm``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.warm"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear(HUNG_S)

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop."""
        self._server.kill()
        self._server.wait()

    def run(self, args: Sequence[str | Path]) -> Ended:
        """Run a command to its end."""
        return self.end(args, None, signal.SIGKILL)

    def end(
        self,
        args: Sequence[str | Path],
        after: float | Path | None,
        number: int,
        *,
        group: bool = False,
        child: bool = False,
    ) -> Ended:
        """Run a command, and send it a signal: after so many seconds, or once a file is there.

        Args:
            args: Of the command.
            after: When; None: never.
            number: Of the signal.
            group: Whether all its processes get it.
            child: Whether one of its processes gets it instead, such as one that loads images.

        Raises:
            HungError: It did not end.
        """
        out, err = self.folder / "out.txt", self.folder / "err.txt"
        request = {"args": [str(arg) for arg in args], "cwd": str(self.folder), "out": str(out), "err": str(err)}
        if self._server.stdin is None:
            raise TypeError("Expected a server with a standard input.")
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        began = time.monotonic()
        process = int(self._hear(HUNG_S)["pid"])
        answer = self._hear(after) if isinstance(after, float) else None
        while isinstance(after, Path) and answer is None and not after.is_file():
            answer = self._hear(0.02)
        if after is not None and answer is None:
            (os.killpg if group else os.kill)(child_of(process) if child else process, number)
        answer = answer or self._hear(HUNG_S)
        if answer is None:
            os.killpg(process, signal.SIGKILL)
            self._hear(HUNG_S)
            raise HungError(f"{args} did not end; it said: {err.read_text()[-500:]}")
        said, complained = (path.read_text(encoding="utf-8", errors="replace") for path in (out, err))
        return Ended(int(answer["status"]), said, complained, time.monotonic() - began)

    def _hear(self, seconds: float) -> Any:
        """Read an answer; None if none came in time."""
        if self._server.stdout is None:
            raise TypeError("Expected a server with a standard output.")
        ready, _, _ = select.select([self._server.stdout], [], [], max(0.0, seconds))
        return json.loads(self._server.stdout.readline()) if ready else None


def child_of(process: int) -> int:
    """Return a process that another one started last."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()
    return int(children[-1])


class Storm:
    """Ends commands of one kind at random moments, with each signal in turn.

    Args:
        loupe: Runs them.
        kind: Of the commands.
        seconds: That a whole one takes.
        seed: Decides the moments.
    """

    def __init__(self, loupe: Loupe, kind: str, seconds: float, seed: int = SEED) -> None:
        self.loupe, self.seconds = loupe, seconds
        self.tally = Tally(kind)
        self._draws = random.Random(f"{seed} {kind}")  # noqa: S311 - no secret

    def strike(self, args: Sequence[str | Path], words: str) -> Ended | None:
        """End a command somewhere on its way; ``words`` must be among what it says where it can say something."""
        number = SIGNALS[self.tally.tried % len(SIGNALS)]
        self.tally.tried += 1
        after = self._draws.uniform(0.0, self.seconds)
        try:
            ended = self.loupe.end(args, after, number, group=self._draws.random() < 0.5)
        except HungError:
            self.tally.hung += 1
            return None
        self.tally.see(ended)
        self._check(ended, number, words, after)
        return ended

    def _check(self, ended: Ended, number: int, words: str, after: float) -> None:
        """A command that was ended says so: by its status, and in a sentence unless nothing could be said."""
        silent = -number
        if ended.status in {0, silent}:  # it was faster, or not yet, or no more, at work
            return
        if ended.status != 128 + number or f"ended by {signal.Signals(number).name}" not in ended.err:
            self.tally.lost.append(f"after {after:.2f} s of {number}: status {ended.status}, {ended.err[-500:]}")
        elif not any(said in ended.err for said in (words, NOT_BEGUN, "loupe: ended")):
            self.tally.lost.append(f"after {after:.2f} s of {number}: nothing about what is kept: {ended.err[-500:]}")
