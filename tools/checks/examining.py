"""The heavy half of ``loupe doctor``: one pass over the files, every check, one page and its JSON."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from callbacks.measures.data_problems import shortcuts_of
from callbacks.report.doctor import LEVELS, DoctorContent, Finding, render_doctor
from callbacks.report.wording import DASH, plural, share
from datamodules.files.csv_text import csv_text
from datamodules.health.shortcuts import is_plain
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, count_by_split
from tools.configuring.build import build
from tools.runs.first_lines import first_lines
from tools.runs.run_folder import RunFolder

from . import features, groups, images, masks
from .candidates import asked_names
from .examined import examine
from .feature_advice import TOO_FEW, advise_features
from .feature_card import as_plain, card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from omegaconf import DictConfig

    from callbacks.report.doctor import Sheet
    from datamodules.health.shortcuts import Shortcut

    from .examined import Examined

CHECKS = (
    images.check_amounts,
    images.check_shortcuts,
    images.check_copies,
    images.check_near,
    images.check_contradictions,
    groups.check_supplied_splits,
    groups.check_tiles,
    groups.check_groups,
    masks.check_unusable_masks,
    masks.check_inverted,
    masks.check_shifted,
    images.check_left_out,
    images.check_depth,
    images.check_split_shift,
    images.check_flat,
    masks.check_missing_masks,
    features.check_features,
)
_MOST_SHOWN, _MOST_ROWS = 12, 30


def doctor(config: DictConfig, overrides: Sequence[str] = ()) -> RunFolder:
    """Examine a data set; write index.html, doctor.json and samples.csv, and print a summary.

    Where features are to be compared, all is written before, and again after it: a comparison that is ended loses
    nothing but itself.

    Args:
        config: Of the verb.
        overrides: That it was called with.

    Raises:
        ConfigError: A value of the config is not usable.
        DataError: The data cannot be read at all.
    """
    started = time.monotonic()
    names = asked_names(config.features, config.minutes)
    datamodule = build(config.data, "data")
    examined = examine(datamodule)
    print("\n".join(first_lines(datamodule)))
    results = [check(examined) for check in CHECKS]
    findings = [one for one in results if isinstance(one, Finding)]
    passed = [one for one in results if isinstance(one, str)]
    config.name = config.name or f"{config.choices.data}-doctor"
    folder = RunFolder.create(config)
    folder.write_text(folder.samples.name, csv_text(datamodule.samples))
    content = doctor_content(examined, config.choices.data, findings, passed)
    write_results(folder, content, as_json(examined, content, time.monotonic() - started))
    print(summary(content))
    if names:
        advice = advise_features(datamodule, names, float(config.minutes))
        found = card(advice, overrides) if advice else TOO_FEW
        (findings if isinstance(found, Finding) else passed).append(found)  # type: ignore[arg-type]  # each its own
        content = doctor_content(examined, config.choices.data, findings, passed)
        plain = as_json(examined, content, time.monotonic() - started)
        plain["features"] = as_plain(advice, overrides) if advice else None
        write_results(folder, content, plain)
        print(found if isinstance(found, str) else f"{found.title}. {found.found}\n{found.advice}")
    print(f"Page {folder.path / 'index.html'}")
    return folder


def write_results(folder: RunFolder, content: DoctorContent, plain: dict[str, Any]) -> None:
    """Write the page, and the same for programs."""
    folder.write_text("index.html", render_doctor(content))
    folder.write_json("doctor.json", plain)


def doctor_content(
    examined: Examined, choice: str, findings: Sequence[Finding], passed: Sequence[str]
) -> DoctorContent:
    """Gather what the page shows."""
    return DoctorContent(
        title=f"{choice}: {examined.datamodule.root}",
        verdict=verdict(examined, findings),
        about=about(examined),
        findings=sorted(findings, key=lambda one: LEVELS.index(one.level)),
        passed=passed,
        tables=tables(examined),
        shortcuts=(shortcuts := shortcuts_of(examined.table)),
        shortcut_table=shortcut_table(shortcuts),
        sheets=sheets(examined),
        excluded=examined.datamodule.excluded,
        command=shlex.join(["loupe", *sys.argv[1:]]),
    )


def verdict(examined: Examined, findings: Sequence[Finding]) -> str:
    """Say the result in one sentence."""
    grave = [one for one in findings if one.level == "problem"]
    counted = f"{plural(len(examined.table), 'picture')} examined"
    if grave:
        return f"{counted}: {plural(len(grave), 'problem')} to solve before you trust a result."
    if any(one.level == "warning" for one in findings):
        return f"{counted}: fit to train on, with something to look at first."
    return f"{counted}: fit to train on."


def about(examined: Examined) -> list[tuple[str, str]]:
    """Describe the data set: files, sizes, depths, groups."""
    table = examined.table
    sizes = Counter(zip(table["width"], table["height"], strict=True)).most_common()
    written = [f"{width} x {height} ({count:,})" for (width, height), count in sizes[:4]]
    depths = Counter(zip(table["bits"], table["channels"], strict=True)).most_common()
    kinds = [f"{bits} bit {'grey' if channels == 1 else 'colour'} ({count:,})" for (bits, channels), count in depths]
    marked = sum(facts is not None for facts in examined.inspection.masks)
    return [
        ("pictures", f"{len(table):,} readable, {len(examined.datamodule.excluded):,} files left out of training"),
        ("size", ", ".join(written) + (f" and {len(sizes) - 4} more sizes" if len(sizes) > 4 else "")),
        ("depth", ", ".join(kinds)),
        ("groups", f"{table['group'].nunique():,}, the largest of {int(table['group'].value_counts().iloc[0]):,}"),
        ("marked defects", f"{marked:,}"),
        ("files", f"{table['file_bytes'].sum() / 2**20:,.1f} MiB"),
    ]


def tables(examined: Examined) -> list[tuple[str, pd.DataFrame]]:
    """Count images by split, kind, type of defect and group, each by label."""
    found = [("By split", count_by_split(examined.datamodule.samples))]
    label = examined.table["label_index"].map(LABEL_NAMES)
    for title, column in (("By kind", "kind"), ("By type of defect", "defect"), ("By group", "group")):
        named = examined.table[column] != ""
        if column == "group" and examined.table["group"].nunique() in {1, len(examined.table)}:
            continue
        counts = pd.crosstab(examined.table[column][named], label[named])
        if len(counts):
            order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
            rest = f" (the {_MOST_ROWS} largest of {len(counts):,})" if len(counts) > _MOST_ROWS else ""
            found.append((title + rest, counts.loc[order[:_MOST_ROWS]]))
    return found


def shortcut_table(shortcuts: Mapping[str, Sequence[Shortcut]]) -> pd.DataFrame:
    """Tabulate the AUROC of every number, as it is, for every set of images."""
    columns = {
        where: {one.measure: share(one.auroc) for one in ones if is_plain(one.measure)}
        for where, ones in shortcuts.items()
    }
    return pd.DataFrame(columns).fillna(DASH).T


def sheets(examined: Examined) -> list[Sheet]:
    """Draw some good images, and some of every type of defect, to look at."""
    generator = np.random.default_rng(examined.datamodule.seed)
    label, defect = examined.table["label_index"].to_numpy(), examined.table["defect"].to_numpy(dtype=object)
    wanted = [("Good", label == GOOD)]
    wanted += [
        (f"Defective: {name}" if name else "Defective", (label == DEFECTIVE) & (defect == name))
        for name in sorted(set(defect[label == DEFECTIVE]))[:_MOST_SHOWN]
    ]
    found = []
    for title, mask in wanted:
        rows = np.flatnonzero(mask)
        drawn = np.sort(generator.permutation(rows)[: _MOST_SHOWN if title == "Good" else _MOST_SHOWN // 2])
        found.append(examined.sheet(f"{title}, {len(drawn)} of {len(rows):,}", drawn.tolist()))
    return found


def as_json(examined: Examined, content: DoctorContent, seconds: float) -> dict[str, Any]:
    """Put the result into plain values for other programs."""
    return {
        "root": str(examined.datamodule.root),
        "verdict": content.verdict,
        "seconds": round(seconds, 2),
        "about": dict(content.about),
        "counts": {
            title: {str(name): {str(k): int(v) for k, v in row.items()} for name, row in table.iterrows()}
            for title, table in content.tables
        },
        "findings": [
            {
                "key": one.key,
                "level": one.level,
                "title": one.title,
                "found": one.found,
                "loupe": one.loupe,
                "advice": one.advice,
                "count": one.count,
                "names": list(one.names),
            }
            for one in content.findings
        ],
        "passed": list(content.passed),
        "shortcuts": {
            where: [
                {"measure": one.measure, "auroc": one.auroc, "certain": one.certain, "separates": one.separates}
                for one in found
            ]
            for where, found in content.shortcuts.items()
        },
        "excluded": content.excluded.astype(str).to_dict("records"),
    }


def summary(content: DoctorContent) -> str:
    """Say the result on a few lines of plain text."""
    lines = [content.verdict]
    lines += [f"  {one.level:<8} {one.title}: {one.found}" for one in content.findings]
    return "\n".join([*lines, f"  {plural(len(content.passed), 'check')} passed."])
