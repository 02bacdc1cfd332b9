"""The command line: ``loupe VERB overrides...``; each verb is a module of this folder with a ``main(args)``."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import signal
import sys
from typing import TYPE_CHECKING

from .freed_memory import keep_freed_memory
from .mishaps import explain, surprise
from .output import UNREAD, let_go
from .signals import Interrupted, heard, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = {
    "demo": "train on drawn pictures and write a report: see it work in two minutes",
    "doctor": "examine a data set before training on it: leaks, copies, shortcuts, wrong masks and labels",
    "prepare": "cut raw pictures to tiles, with labels and splits",
    "distill": "teach a small feature network what a large one sees, on your own pictures without labels",
    "train": "train on your pictures, calibrate, test, and write a report",
    "sweep": "try many settings, here or on a cluster; resume, extend, rank",
    "runs": "list the runs that there are, the latest first",
    "threshold": "show the thresholds of a run, move them, or take that back",
    "calibrate": "choose the thresholds of a run anew from labels that people gave since",
    "label": "say what images are by keyboard: the nearest to the threshold first, nothing lost; labels, masks",
    "advise": "compare what labels would bring a run: a threshold, another model, a supervised head, a classifier",
    "extend": "add good images to what a run has learnt, without the images of before",
    "forget": "take images out of what a run has learnt",
    "test": "test a run again, or on other pictures",
    "compare": "set runs against each other on the test pictures that they share",
    "predict": "judge files, folders or globs with a trained run",
    "serve": "judge images in a browser, or for other programs, by runs and bundles",
    "export": "turn a run into a bundle that judges pictures without torch, and prove that both agree",
}
MODULES = {"runs": "list_runs"}  # verbs that share their name with a room
USAGE_ERROR = 2


def main(args: Sequence[str] | None = None) -> int:
    """Run a verb.

    Returns:
        The exit status: 0 done, 1 it could not be done, 2 the command is wrong, 130 or 143 ended by SIGINT or SIGTERM.
    """
    if args is None:
        _print_anything()
        keep_freed_memory()
    try:
        with heard():  # from here on, since loading a verb takes a while
            status = _run(list(sys.argv[1:] if args is None else args))
            if not status:
                sys.stdout.flush()  # while errors can still be told
            return status
    except Interrupted as error:
        print(f"loupe: {sentence(error)}", file=sys.stderr)
        return error.status
    except BrokenPipeError:
        return UNREAD
    except OSError as error:
        print(f"loupe: {explain(error) or surprise(error)}", file=sys.stderr)
        return 1
    finally:
        if args is None:  # the process is about to end: a late Ctrl-C shall not complain about that
            let_go()
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _print_anything() -> None:
    """Let what is printed hold any name of a file: escaped, where the terminal or the log cannot take it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(args: Sequence[str]) -> int:
    if not args or args[0] in {"-h", "--help", "help"}:
        print(overview())
        return 0 if args else USAGE_ERROR
    if args[0] == "--version":
        print(f"loupe {importlib.metadata.version('loupe-inspect')}")
        return 0
    verb, *rest = args
    if verb not in VERBS:
        from .configuring.config import nearest  # noqa: PLC0415 - Hydra takes a while, in which signals could not be heard

        near = nearest(verb, VERBS)
        hint = f"did you mean '{near}'?" if near else "there are: " + ", ".join(VERBS)
        print(f"loupe: no verb {verb!r}; {hint}", file=sys.stderr)
        return USAGE_ERROR
    status: int = importlib.import_module(f"{__package__}.{MODULES.get(verb, verb)}").main(rest)
    return status


def overview() -> str:
    """Describe the verbs."""
    verbs = "\n".join(f"  {verb:<9} {text}" for verb, text in VERBS.items())
    return (
        "Loupe trains, calibrates, compares and ships visual defect detectors.\n\n"
        "usage: loupe VERB [KEY=VALUE ...] [--print] [--help]\n\n"
        f"{verbs}\n\n"
        "Start with: loupe demo\n"
        "Then:       loupe train PATH\n"
        "More:       loupe train --help"
    )
