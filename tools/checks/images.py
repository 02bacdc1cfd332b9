"""The doctor on the images themselves: files, depth, copies, labels and shortcuts.

Every check returns a finding, or a sentence that says what was looked for and not found.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from callbacks.measures.data_problems import shortcuts_of, telling_numbers
from callbacks.report.doctor import Finding
from callbacks.report.wording import percent, plural, share
from datamodules.errors import DataError
from datamodules.health.duplicates import SAVED_AGAIN
from datamodules.health.shortcuts import auroc, measures
from datamodules.table import CALIBRATION, DEFECTIVE, GOOD, TEST, TRAIN

from .examined import LEFT_OUT

if TYPE_CHECKING:
    from .examined import Examined

MOST_PAIRS_SHOWN, MOST_SHOWN = 6, 12
_DEPTHS = (1023, 4095, 16383)  # 10, 12 and 14 bits
_FLAT = 0.004  # contrast of one grey value in 255
_SHIFTED = 0.9  # AUROC between good images of two splits, from which on they were taken differently


def check_left_out(examined: Examined) -> Finding | str:
    """Find files that cannot be used, other than for their masks."""
    masks = {problem.path for problem in examined.inspection.unusable.values()}
    excluded = examined.datamodule.excluded
    rest = excluded[~excluded["path"].isin(masks)]
    if rest.empty:
        return "Files that cannot be read."
    part = len(rest) / (len(rest) + len(examined.table))
    first = rest.iloc[0]
    return Finding(
        "left_out",
        "problem" if part > 0.1 else "warning",
        "Some files cannot be used",
        f"{plural(len(rest), 'file')} of {len(rest) + len(examined.table):,} ({percent(part)}) cannot be used; for "
        f"example, {first['path']} {first['problem']}.",
        "Leaves them out of training, calibration and test, and lists them in every report.",
        "The table at the end of this page names a remedy for each; the data can be used without them, too.",
        len(rest),
    )


def check_amounts(examined: Examined) -> Finding | str:
    """Enough images to train on, to choose a threshold with, and to test with."""
    labels = examined.datamodule.samples["label_index"]
    defective = examined.datamodule.samples[labels == DEFECTIVE]
    try:
        examined.datamodule.check_training()
    except DataError as error:
        return Finding(
            "amounts", "problem", "Too few pictures to train", str(error), "Refuses to train.", "As the message says."
        )
    in_test, in_calibration = ((defective["split"] == split).sum() for split in (TEST, CALIBRATION))
    if in_test and in_calibration:
        return "Splits without good or without defective pictures."
    where = "nowhere" if defective.empty else "not in the " + ("test" if not in_test else "calibration") + " split"
    return Finding(
        "amounts",
        "warning",
        "No defective pictures where they are needed",
        f"{plural(len(defective), 'defective picture')}, {where}.",
        "Chooses the threshold from good calibration pictures alone (a quantile of their scores)."
        if not in_calibration
        else "Tests on good pictures alone: there is no recall and no AUROC.",
        "Take defective pictures of at least two groups; with supplied train and test splits, "
        "data.calibration_from=test moves a part of the test split, defects included, into calibration.",
    )


def check_depth(examined: Examined) -> Finding | str:
    """Find images that use less of their range than they could: 12 bits in 16-bit files look nearly black."""
    deep = examined.table[examined.table["bits"] == 16]
    if deep.empty or examined.datamodule.white_level is not None:
        return "Pictures whose bit depth hides them."
    highest = float(deep["highest"].max())
    white = next((level for level in _DEPTHS if highest <= level), None)
    if white is None:
        return "Pictures whose bit depth hides them."
    bits = white.bit_length()
    return Finding(
        "bit_depth",
        "problem",
        f"16-bit pictures that use {bits} bits",
        f"The highest value in {plural(len(deep), '16-bit picture')} is {highest:.0f}, of 65,535 possible: read as "
        "they are, they would be nearly black.",
        "Scales by the file's 65,535 unless it is told otherwise.",
        f"Set data.white_level={white} in every command.",
        len(deep),
    )


def check_flat(examined: Examined) -> Finding | str:
    """Find images of one grey value: a lamp or a lens cap, not a part."""
    rows = np.flatnonzero(examined.table["contrast"].to_numpy() < _FLAT).tolist()
    if not rows:
        return "Blank pictures."
    return Finding(
        "blank",
        "warning",
        "Blank pictures",
        f"{plural(len(rows), 'picture')} of nearly one grey value.",
        "Leaves out those of one value throughout, unless most are such; uses the others like any other.",
        "Delete them if nothing was in front of the camera.",
        len(rows),
        [examined.name(row) for row in rows],
        examined.sheet("", rows[:MOST_SHOWN]),
    )


def check_copies(examined: Examined) -> Finding | str:
    """Find files that are there more than once."""
    if not examined.copies:
        return "Copies of one file."
    split = examined.table["split"].to_numpy(dtype=object)
    across = [rows for rows in examined.copies if len(set(split[rows]) - {LEFT_OUT}) > 1]
    extra = sum(len(rows) - 1 for rows in examined.copies)
    shown = sorted(examined.copies, key=lambda rows: rows not in across)
    apart = f", {len(across)} of them in different splits: the test would ask for what was learnt" if across else ""
    return Finding(
        "copies",
        "problem" if across else "warning",
        "Copies of the same file",
        f"{plural(len(examined.copies), 'picture')} there more than once, {plural(extra, 'surplus file')}{apart}.",
        "Uses every copy, and splits by group: only copies of one group stay together.",
        "Delete the surplus files, or give copies the same group.",
        len(examined.copies),
        [" = ".join(examined.name(row) for row in rows) for rows in shown],
        examined.pair_sheet("Copies, pair by pair", [(rows[0], rows[1]) for rows in shown[:MOST_PAIRS_SHOWN]]),
    )


def check_near(examined: Examined) -> Finding | str:
    """Find images that look alike: saved, resized or taken again."""
    near = examined.near
    if not len(near):
        return "Near-duplicates: pictures saved, resized or taken again."
    first, second = examined.column("split", near.first), examined.column("split", near.second)
    across = ((first != second) & (first != LEFT_OUT) & (second != LEFT_OUT)).astype(np.bool_)
    order = np.argsort(~across, kind="stable")
    pairs = [(int(near.first[index]), int(near.second[index])) for index in order]
    apart = int((examined.column("group", near.first) != examined.column("group", near.second)).sum())
    leak = f" {plural(int(across.sum()), 'pair')} would lie in different splits." if across.any() else ""
    return Finding(
        "near_duplicates",
        "problem" if (across & (near.similarity >= SAVED_AGAIN)).any() else "warning" if apart else "note",
        "Pictures that look the same",
        f"{plural(len(near), 'pair')} agree in nearly all in which the pictures of this set differ; {apart:,} of them "
        f"in different groups.{leak}",
        "Keeps groups whole, but trusts the groups that it is given.",
        "Look at the pairs: two very regular parts may agree by chance. If a pair shows the same part, give both the "
        "same group (a subfolder, or the group column of labels.csv), or keep one.",
        len(near),
        [f"{examined.name(a)} ~ {examined.name(b)}" for a, b in pairs[:200]],
        examined.pair_sheet(
            "The most alike" + (", those across splits first" if across.any() else ""), pairs[:MOST_PAIRS_SHOWN]
        ),
    )


def check_contradictions(examined: Examined) -> Finding | str:
    """Find copies, or nearly, of which one is called good and one defective."""
    label = examined.table["label_index"].to_numpy()
    pairs = [pair for rows in examined.copies for pair in combinations(rows, 2)]
    exact = len([pair for pair in pairs if {int(label[pair[0]]), int(label[pair[1]])} == {GOOD, DEFECTIVE}])
    pairs += list(zip(examined.near.first.tolist(), examined.near.second.tolist(), strict=True))
    found = [(a, b) for a, b in pairs if {int(label[a]), int(label[b])} == {GOOD, DEFECTIVE}]
    if not found:
        return "Equal or nearly equal pictures with contradicting labels."
    return Finding(
        "contradictions",
        "problem" if exact else "warning",
        "Labels that contradict each other",
        f"{plural(len(found), 'pair')} of equal or nearly equal pictures, one called good, the other defective; "
        f"{exact:,} of them copies of one file.",
        "Believes both labels: one of them counts as a mistake whatever the detector says.",
        "Look at each pair. A small defect may be all that differs; if not, mend the label.",
        len(found),
        [f"{examined.name(a)} vs {examined.name(b)}" for a, b in found],
        examined.pair_sheet("", found[:MOST_PAIRS_SHOWN]),
    )


def check_shortcuts(examined: Examined) -> Finding | str:
    """Find single numbers that tell the labels apart."""
    telling = telling_numbers(shortcuts_of(examined.table), share)
    if telling is None:
        return "Numbers such as brightness or file size that tell the labels by themselves."
    return Finding(
        "shortcuts",
        "problem" if telling.grave else "note",
        telling.title,
        f"AUROC of one number alone: {telling.found}. At 0 or 1 it separates entirely; 0.5 says nothing.",
        "Reports the strongest such number as a baseline beside every result: a detector that is not better has learnt "
        "nothing else.",
        "Ask how the pictures were taken: same lamp, exposure, day and export for good and defective parts? If the "
        "defects themselves are not that large, take new pictures, or compare with the baseline before you trust a "
        "figure.",
        telling.numbers,
    )


def check_split_shift(examined: Examined) -> Finding | str:
    """Good images of the test split that were taken differently from those that were trained on."""
    good = examined.table[examined.table["label_index"] == GOOD]
    values = measures(good)
    train, test = ((good["split"] == split).to_numpy() for split in (TRAIN, TEST))
    found = []
    if min(train.sum(), test.sum()) >= 8:
        for name in values.keys() - {"order of files", "row", "col"}:
            value = auroc(values[name][train], values[name][test])
            if max(value, 1 - value) >= _SHIFTED:
                found.append((name, value))
    if not found:
        return "Good pictures that differ between training and test."
    found.sort(key=lambda one: -abs(one[1] - 0.5))
    listed = ", ".join(
        f"{name} ({'higher' if value > 0.5 else 'lower'} in test, AUROC {share(value)})" for name, value in found
    )
    return Finding(
        "split_shift",
        "warning",
        "Good pictures differ between training and test",
        f"Among good pictures alone, these tell training from test: {listed}.",
        "Keeps the splits that the data brings; a detector may call these good parts defective for that alone.",
        "Take training and test pictures alike, or drop the supplied splits and let Loupe divide the pictures.",
        len(found),
    )
