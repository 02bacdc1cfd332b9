"""What was left out is said by reason: nothing is lost, nothing said twice, two examples each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from datamodules.samples.left_out import reasons

ROOT = "/data set/rings"
COLUMNS = ["path", "problem", "remedy"]


def test_nothing_left_out_says_nothing() -> None:
    assert reasons(pd.DataFrame(columns=COLUMNS), ROOT) == []


def test_files_with_one_reason_are_one_line_with_two_examples() -> None:
    rows = [(f"{ROOT}/images/{i:03}.png", f"has {i} of 4 outlines that cannot be used: {ROOT}/{i}.json", "mend it")
            for i in range(5)]  # fmt: skip
    (line,) = reasons(pd.DataFrame(rows, columns=COLUMNS), ROOT)
    assert line.startswith("Left out: 5 files (images/000.png, images/001.png, ...): the first has 0 of 4 outlines")
    assert line.endswith("; mend it")


def test_counts_add_up_whatever_is_left_out() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        kinds = rng.integers(0, 14, int(rng.integers(1, 60)))
        words = [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "iota",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
        ]
        rows = [(f"{ROOT}/{i}.png", f"is {words[kind]}", "delete it") for i, kind in enumerate(kinds)]
        lines = reasons(pd.DataFrame(rows, columns=COLUMNS), ROOT, most=5)
        said = [int(line.split()[2]) if line.split()[2].isdigit() else 1 for line in lines]
        assert sum(said) == len(rows)
        assert len(lines) == min(6, len(set(kinds.tolist())))


def test_a_single_file_is_named_with_its_problem_and_remedy() -> None:
    rows = [(f"{ROOT}/a.json", "is empty", "copy it again"), ("elsewhere/b.png", "is damaged", "delete it")]
    assert sorted(reasons(pd.DataFrame(rows, columns=COLUMNS), ROOT)) == [
        "Left out: a.json: is empty; copy it again",
        "Left out: elsewhere/b.png: is damaged; delete it",
    ]
