"""What is left out, and how it is said in a few lines: one for every reason, with a count, two examples, a remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError

if TYPE_CHECKING:
    import pandas as pd

MOST = 8  # reasons that are said; what one file has for a reason of its own is in the list
_OWN = re.compile(r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\S*[/\\]\S*|\S+\.\w+\b|\d+(?:\.\d+)?")


def reasons(excluded: pd.DataFrame, root: str, most: int = MOST) -> list[str]:
    """Say why files were left out, the most common reason first.

    Args:
        excluded: ``path``, ``problem`` and ``remedy`` of each.
        root: Folder below which files are named.
        most: Reasons to say; the others are counted.
    """
    if excluded.empty:
        return []
    kinds = excluded["problem"].map(kind_of) + "; " + excluded["remedy"].map(kind_of)
    groups = [excluded[kinds == kind] for kind in kinds.value_counts(sort=True).index]
    lines = [_line(group, root) for group in groups[:most]]
    if rest := sum(len(group) for group in groups[most:]):
        lines.append(f"Left out: {rest} more, for {len(groups) - most} more reasons.")
    return lines


def kind_of(sentence: str) -> str:
    """Return what a sentence says of every file alike: without names, numbers, quotes and parentheses."""
    return _OWN.sub("*", sentence)


def _line(group: pd.DataFrame, root: str) -> str:
    first = group.iloc[0]
    names = [_below(path, root) for path in group["path"]]
    if len(group) == 1:
        return f"Left out: {names[0]}: {first['problem']}; {first['remedy']}"
    shown = ", ".join(dict.fromkeys(names[:2])) + (", ..." if len(names) > 2 else "")
    which = "each" if (group["problem"] == first["problem"]).all() else "the first"
    return f"Left out: {len(group)} files ({shown}): {which} {first['problem']}; {first['remedy']}"


def _below(path: str, root: str) -> str:
    return path.removeprefix(root).lstrip("/\\") or path if path.startswith(root) else path


def leave_out_blank(table: pd.DataFrame) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
    """Leave out images of one colour throughout, which show no part; unless most are such, as no photographs would be.

    Returns:
        The other rows, and what was left out.
    """
    blank = (table["contrast"] == 0) & (table["sharpness"] == 0)
    if 2 * blank.sum() > len(table):
        return table, []
    problem, remedy = "shows nothing: every pixel has the same value", "check light, lens and exposure"
    problems = [UnreadableImageError(path, problem, remedy) for path in table["image_path"][blank]]
    return table[~blank].reset_index(drop=True), problems
