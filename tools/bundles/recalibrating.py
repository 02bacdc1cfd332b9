"""A bundle takes the thresholds that its run has now: ``spec.json`` is written anew, its graphs stay as they are."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

from datamodules.files.whole_files import write_whole
from tools.runner.specification import SPEC, read_spec
from tools.runs.run_files import CALIBRATION

from .card import thresholds_text
from .exporting import expect_anew
from .shipping import write_checksums, write_zip

if TYPE_CHECKING:
    from pathlib import Path

    from tools.runs.run_folder import RunFolder

CARD = "MODEL_CARD.md"
BEFORE = "spec.before.json"  # beside the bundle, so that its own files stay those that it ships
TAKEN = ("image", "pixel", "probability", "probability_note", "good_scores")


def take_thresholds(bundle: Path, run: RunFolder) -> str:
    """Write the thresholds of a run into its bundle; return what was done, in words.

    ``spec.json``, what is expected of the samples, the model card, checksums and the zip say the same afterwards; the
    ``spec.json`` from before lies beside the bundle.

    Raises:
        BundleError: The bundle is not whole.
    """
    spec = read_spec(bundle)
    known = run.read_json(CALIBRATION)
    former = bundle.with_name(f"{bundle.name}.{BEFORE}")
    shutil.copy2(bundle / SPEC, former)
    spec["thresholds"] |= {key: known[key] for key in TAKEN if key in known}
    write_whole(bundle / SPEC, (json.dumps(spec, indent=2, allow_nan=False) + "\n").encode(), durable=True)
    expect_anew(bundle)
    card = (bundle / CARD).read_text(encoding="utf-8")
    section = f"## Thresholds\n\n{thresholds_text(spec)}\n\n## "
    card = re.sub(r"## Thresholds\n\n.*?\n\n## ", lambda _: section, card, count=1, flags=re.DOTALL)
    write_whole(bundle / CARD, card.encode(), durable=True)
    write_checksums(bundle)
    archive = write_zip(bundle) if bundle.with_name(f"{bundle.name}.zip").is_file() else None
    also = f" and {archive.name}" if archive is not None else ""
    return f"Bundle {bundle}{also}: new thresholds in {SPEC}, the graphs as they were; {former} is the one from before."
