"""A second look where runs disagree."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tools.runs.disputes import predict_again


def test_runs_that_agree_are_not_run_again() -> None:
    """A data module of views cannot survey a table without a row."""
    run: Any = object()  # anything that is asked of it would fail
    assert predict_again([run, run], pd.DataFrame({"name": ["a.png"]}, index=["a.png"]), [], []) == ([], [])
