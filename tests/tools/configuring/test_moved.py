"""Configs of earlier releases: what they name is found where it lies today, and nothing else is touched."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING

import pytest
from omegaconf import OmegaConf

from tools.configuring.config import compose_config
from tools.configuring.moved import KEYS, MOVED, with_new_names
from tools.configuring.trust import own_targets
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("before", "today"), MOVED.items())
def test_what_moved_lies_where_it_is_said(before: str, today: str) -> None:
    room, _, name = today.rpartition(".")
    assert hasattr(importlib.import_module(room), name)
    assert today in own_targets(), "no config names it any more: the entry is dead"
    with pytest.raises(ImportError):
        importlib.import_module(before.rpartition(".")[0])


def test_names_change_at_every_depth_and_references_stay() -> None:
    before, today = next(iter(MOVED.items()))
    old = {"_target_": before, "x": "${y}", "y": [{"z": {"_target_": before, "deeper": [before]}}]}
    new = {"_target_": today, "x": "${y}", "y": [{"z": {"_target_": today, "deeper": [before]}}]}
    assert OmegaConf.to_container(with_new_names(OmegaConf.create(old))) == new


def test_keys_change_with_their_class_alone() -> None:
    name = "callbacks.decisions.calibration.Calibration"
    old = {"threshold": {"_target_": name, "least": 4, "prior": None}, "other": {"least": 5}}
    new = {"threshold": {"_target_": name, "min_images": 4, "prior": None}, "other": {"least": 5}}
    assert OmegaConf.to_container(with_new_names(OmegaConf.create(old))) == new
    assert OmegaConf.to_container(with_new_names(OmegaConf.create(new))) == new


@pytest.mark.parametrize(
    ("target", "before", "today"), [(t, b, n) for t, keys in KEYS.items() for b, n in keys.items()]
)
def test_renamed_keys_are_keys_of_today(target: str, before: str, today: str) -> None:
    room, _, name = target.rpartition(".")
    keys = inspect.signature(getattr(importlib.import_module(room), name)).parameters
    assert today in keys
    assert before not in keys


def test_a_run_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    config = compose_config("train", [f"out={tmp_path}", "name=old", "id=1", "tiling=hann"])
    text = OmegaConf.to_yaml(config)
    for before, today in MOVED.items():
        text = text.replace(today, before)
    text = text.replace("min_images: 10", "least: 10")
    folder = RunFolder.create(config)
    folder.write_text("config.yaml", text)
    assert OmegaConf.to_yaml(folder.load_config()) == OmegaConf.to_yaml(config)
    assert any(before in text for before in MOVED)
    assert "least: 10" in text
