"""The command line of a bundle: ``python predict.py SOURCE ...``."""

from __future__ import annotations

import argparse
import errno
import math
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.files.made_folders import leaving_none_empty
from datamodules.files.own_process import settle_process

from .bundle import Bundle
from .owning import new_folder
from .predicting import ERRORS, Options, check_call, predict, require_all
from .self_check import check
from .specification import BundleError
from .writing import CHOICES, TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

DEBUG = "LOUPE_DEBUG"
DEFAULT_OUT = "predictions"
PAGE_IMAGES = 500
HERE = Path(__file__).resolve().parents[1]  # in a bundle, the bundle itself
EPILOG = """examples:
  python predict.py pictures                      # a folder; also files, globs, zip archives, videos
  python predict.py line.mp4 --every 10 --overlay all
  python predict.py pictures --image-threshold 12.5   # move the line, for this call
  python predict.py --check                       # files whole, and the samples judged as they were at the export

An image that cannot be judged becomes a row that says why, and the exit status is 1 (with --errors ok: 0).
Each call has a folder of its own: predictions, predictions_2, ... With --out, the same command again goes on."""


def main(args: Sequence[str] | None = None) -> int:
    """Judge images.

    Returns:
        The exit status: 0 done, 1 not everything judged, 2 the command is wrong, 130 or 143 ended by SIGINT or SIGTERM.
    """
    options = _parser().parse_args(args)
    settle_process()
    before = signal.getsignal(signal.SIGTERM)
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)
        with leaving_none_empty():
            return _run(options)
    except BundleError as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    except DataError as error:
        print(f"predict: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"predict: {'; '.join([_of_system(error), *getattr(error, '__notes__', ())])}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        number = signal.SIGTERM if isinstance(error, _TerminatedError) else signal.SIGINT
        notes = "".join(getattr(error, "__notes__", ())) or "nothing had begun yet"
        print(f"predict: ended by {number.name}; {notes}", file=sys.stderr)
        return 128 + number
    except Exception as error:
        if os.environ.get(DEBUG, "0") not in {"", "0"}:
            raise
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        print(f"predict: Expected no such error: {reason}; {DEBUG}=1 shows where", file=sys.stderr)
        return 1
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM asks the command to end, as Ctrl-C does."""


def _terminate(*args: object) -> None:
    raise _TerminatedError(*args)


def _of_system(error: OSError) -> str:
    """Say what the system refused."""
    where = f" for {error.filename}" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"Expected space{where}, but the disk is full; every row that was written is whole: make space"
    return f"Expected to read and write{where}, but: {error.strerror or error}"


def _run(options: argparse.Namespace) -> int:
    if not options.source and not options.check:
        raise BundleError("Expected a source, but found none; give files, folders, globs, zip archives or videos.")
    bundle = Bundle(
        options.bundle,
        runtime=options.runtime,
        precision=options.precision,
        threads=options.threads,
        image_threshold=options.image_threshold,
        pixel_threshold=options.pixel_threshold,
    )
    if bundle.edited:
        print("spec.json was edited after the export: its thresholds are used as they stand now.", file=sys.stderr)
    if options.check:
        problems = check(bundle)
        print("\n".join(problems) or "Every file is as it was exported, and every sample is judged as it was.")
        return 1 if problems else 0
    chosen = Options(
        kind=options.kind,
        batch_size=options.batch,
        readers=options.readers,
        every=options.every,
        overlays=options.overlay,
        masks=options.mask,
        errors=options.errors,
        page=options.page,
        lot=options.lot,
        part=options.part,
    )
    check_call(bundle, options.source, chosen)
    out = Path(options.out).expanduser() if options.out else new_folder(Path(DEFAULT_OUT))
    try:
        summary = predict(bundle, options.source, out, chosen)
    except (KeyboardInterrupt, OSError) as error:
        error.add_note(f"what was finished is kept, and the same command with --out {out} goes on")
        raise
    print(summary)
    print(f"Predictions {out / TABLE}")
    if summary.page is not None:
        print(f"Page {summary.page}")
    require_all(summary, chosen, "If that is expected, add --errors ok.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="predict.py",
        description="Judge pictures with this bundle.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", nargs="*", help="files, folders, globs, zip archives, videos, or addresses of streams")
    add("--out", help="folder to write to, or to go on in (default: predictions, or a new one beside it)")
    add("--overlay", choices=CHOICES, default="defective", help="pictures to draw the map over (default: defective)")
    add("--mask", choices=CHOICES, default="none", help="pictures whose mask is written (default: none)")
    add("--batch", type=_count, default=8, help="pictures judged together (default: 8)")
    add("--readers", type=int, default=2, help="threads that read ahead (default: 2)")
    add("--every", type=_count, default=1, help="of a video, one frame in so many (default: 1)")
    add(
        "--errors", choices=ERRORS, default="fail", help="ok: end with 0 even if images have no verdict (default: fail)"
    )
    add("--page", type=_number, default=PAGE_IMAGES, help=f"images of index.html; 0: no page (default: {PAGE_IMAGES})")
    add("--lot", default="", help="name of the lot, for its certificate")
    add("--part", default="", help="part number, likewise")
    add("--kind", default="", help="the sub-population whose thresholds hold (default: all)")
    add("--image-threshold", type=_finite, help="for pictures, in raw score units, in place of the bundle's")
    add("--pixel-threshold", type=_finite, help="for pixels, in raw map units, in place of the bundle's")
    add("--runtime", choices=("onnxruntime", "openvino"), help="default: whichever is installed")
    add("--precision", default="fp32", help="fp32, or what else was exported (default: fp32)")
    add("--threads", type=_count, help="for the graph (default: the runtime's choice)")
    add("--check", action="store_true", help="check every file and sample instead of judging pictures")
    add("--bundle", default=str(HERE), help=argparse.SUPPRESS)
    return parser


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, but found {text}")
    return value


def _number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of 0 or more, but found {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, but found {text}")
    return value
