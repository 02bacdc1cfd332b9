"""Loggers of other houses, where they are installed: their files lie beside or in the run, and hold what was logged."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from callbacks.tracking.loggers import Mlflow, Wandb

if TYPE_CHECKING:
    from pathlib import Path


def test_mlflow_keeps_runs_in_a_database_beside_them(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    folder = tmp_path / "runs of today" / "folder-patchcore" / "one"
    folder.mkdir(parents=True)
    logger = Mlflow().start(folder, "folder-patchcore/one")
    logger.log_metrics({"train/loss": 0.5}, step=3)
    logger.finalize("success")
    with sqlite3.connect(tmp_path / "runs of today" / "mlflow.db") as database:
        assert database.execute("select key, value, step from metrics").fetchall() == [("train/loss", 0.5, 3)]
        assert database.execute("select name, status from runs").fetchall() == [("folder-patchcore/one", "FINISHED")]


def test_wandb_sends_nothing_unless_told_to(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    logger = Wandb().start(tmp_path, "folder-patchcore/one")
    logger.log_metrics({"train/loss": 0.5}, step=3)
    logger.finalize("success")
    wandb.finish()
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
