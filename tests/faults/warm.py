"""Runs ``loupe`` commands, one after the other, in processes that are forked after everything heavy is loaded.

Each is a session of its own that runs ``tools.cli.main`` as the command does, so that it can be killed at any moment of
its work, hundreds of times in minutes. What happens while libraries load, tests see that start the command itself.

Reads one JSON object a line (``args``, ``cwd``, ``out``, ``err``), and answers with two: ``pid``, then ``status``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import NoReturn

from tools.cli import VERBS

HEAVY = (
    *(f"tools.{verb}" for verb in VERBS),
    "tools.runs.resuming",
    "tools.runs.repeating",
    "tools.runs.retesting",
    "tools.runs.predicting",
    "tools.runs.comparing",
    "tools.runs.distilling",
    "tools.bundles.exporting",
    "tools.bundles.judging",
    "tools.checks.examining",
    "tools.sweeps.sweeping",
    "tools.sweeps.training_trial",
    "torchvision.models.detection",
    "onnxruntime",
    "onnxscript",
)


def serve() -> None:
    """Answer until the input ends."""
    for name in HEAVY:
        importlib.import_module(name)
    say({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        ready, begun = os.pipe()
        child = os.fork()
        if not child:
            become(request["args"], request["cwd"], request["out"], request["err"], begun)
        os.close(begun)
        os.read(ready, 1)  # it is a session now: its group may be killed
        os.close(ready)
        say({"pid": child})
        say({"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})


def become(args: list[str], cwd: str, out: str, err: str, begun: int | None = None) -> NoReturn:
    """Become the command: a session of its own, in a folder, whose output goes to two files; then close ``begun``."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command hears it: it is not at work yet
    if begun is not None:
        os.close(begun)
    os.chdir(cwd)
    for descriptor, path in ((0, os.devnull), (1, out), (2, err)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | (os.O_TRUNC if descriptor else 0), 0o644)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = ["loupe", *args]
    from tools.cli import main  # noqa: PLC0415 - as the command itself does

    status = 1
    try:
        status = main()
    except Exception:  # noqa: BLE001 - a traceback is what the tests look for
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def say(answer: dict[str, int | bool]) -> None:
    """Write an answer."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
