"""A bundle examines itself where it landed: every file by its checksum, every sample by its expected verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from datamodules.errors import UnreadableImageError

from .specification import SPEC, hash_file, read_checksums

if TYPE_CHECKING:
    from .bundle import Bundle

SAMPLES = "samples"
EXPECTED = f"{SAMPLES}/expected.json"


def check(bundle: Bundle) -> list[str]:
    """Return what is wrong, in whole sentences; nothing where all is well.

    Scores may differ from the expected ones by the tolerance of the parity gate: another processor rounds differently.
    """
    problems = []
    for name, value in read_checksums(bundle.folder).items():
        path = bundle.folder / name
        if not path.is_file():
            problems.append(f"{name} is missing.")
        elif name != SPEC and hash_file(path) != value:
            problems.append(f"{name} is not as it was exported.")
    expected = json.loads((bundle.folder / EXPECTED).read_text(encoding="utf-8"))
    for name, sample in expected["samples"].items():
        try:
            result = bundle(bundle.folder / SAMPLES / name, kind=sample["kind"])
        except UnreadableImageError as error:
            problems.append(f"{SAMPLES}/{name} cannot be judged: it {error.problem}.")
            continue
        if abs(result.score - sample["score"]) > expected["score_tolerance"]:
            problems.append(f"{name} scores {result.score:.6g} here, but {sample['score']:.6g} where it was exported.")
        exported_threshold = np.float32(sample["threshold"])
        if not bundle.edited and (np.float32(sample["score"]) >= exported_threshold) != result.defective:
            problems.append(f"{name} is called {result.verdict} here, but {sample['verdict']} where it was exported.")
    return problems
