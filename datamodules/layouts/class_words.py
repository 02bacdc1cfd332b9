"""What the name of a folder says of the images in it: a split, good, defective, or nothing to rely on."""

from __future__ import annotations

import re

from datamodules.table import CALIBRATION, TEST, TRAIN

SPLIT_FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "calibration": CALIBRATION,
    "dev": CALIBRATION,
    "validation": CALIBRATION,
    "val": CALIBRATION,
    "valid": CALIBRATION,
    "test": TEST,
    "testing": TEST,
}
GOOD_WORDS = {
    *("accept", "accepted", "clean", "conforming", "correct", "faultless", "fine", "flawless", "free", "good", "gut"),
    *("healthy", "intact", "io", "normal", "ok", "okay", "pass", "passed", "perfect", "unbroken", "undamaged"),
    *("neg", "negative", "negatives", "pos", "positive", "positives"),  # tests say one, inspectors the other
}
BAD_WORDS = {"bad", "defect", "defective", "fail", "failed", "nio", "nok", "ng", "nogood", "notgood", "notok"}
# Kept beside the classes, and good or nobody's as likely as bad.
_STANDARD = {"golden", "reference", "references", "template", "templates"}
_UNCLEAR = _STANDARD | {
    *("ambiguous", "background", "doubtful", "ignore", "ignored", "maybe", "review", "skip", "skipped", "unclear"),
    *("uncertain", "undecided", "unsure"),
}
_NOT = {"no", "non", "not", "without"}
# Names made of these alone say nothing about what is in a folder.
_PLAIN_WORDS = {
    *("all", "annotated", "archive", "backup", "copy", "data", "dataset", "export", "heatmaps", "image", "images"),
    *("img", "imgs", "new", "of", "old", "output", "overlay", "overlays", "photos", "pics", "pictures", "predictions"),
    *("preview", "raw", "results", "sample", "samples", "test", "train", "temp", "the", "tmp", "todo", "unsorted"),
}


def words_of(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    return [word for word in re.split(r"[\s_.\-]+", name.lower()) if word]


def sounds_good(name: str) -> bool:
    """Tell whether one of the words of a name may mean that what bears it is good."""
    return bool((GOOD_WORDS | _STANDARD) & set(words_of(name)))


def may_be_either(name: str) -> bool:
    """Tell whether a name leaves open if what is in it is good: ``backup of good``, ``test_images``, ``no_crack``."""
    words = words_of(name)
    if "".join(words) in BAD_WORDS:
        return False
    if words and words[0] in _NOT:
        return not GOOD_WORDS & set(words[1:])
    if (GOOD_WORDS | _UNCLEAR) & set(words):
        return True
    return not BAD_WORDS & set(words) and all(word in _PLAIN_WORDS for word in words)
