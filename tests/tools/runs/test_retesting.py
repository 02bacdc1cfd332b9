"""What ``loupe test`` says of a run: whether its figures are the same, and which are not."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from tools.errors import ConfigError
from tools.runs.checkpoint import Checkpoint, restore
from tools.runs.retesting import compared

BEFORE = {"test": {"image_auroc": {"value": 0.75, "low": 0.5}, "images": 8}, "objects": {"by_size": [{"found": 3}]}}


def test_the_same_figures_are_called_the_same() -> None:
    assert compared(BEFORE, BEFORE) == "Same metrics as the run, to the last digit."
    assert "in all 4 figures" in compared(BEFORE, BEFORE | {"wrong_verdicts": {"good": 1}})


def test_figures_that_differ_are_named_with_both_values() -> None:
    now = {"test": {"image_auroc": {"value": 0.625, "low": 0.4}, "images": 8}, "objects": {"by_size": [{"found": 2}]}}
    sentence = compared(BEFORE, now)
    assert sentence == (
        "3 of 4 figures differ from the run's own: test.image_auroc.value 0.75, now 0.625; "
        "objects.by_size.0.found 3, now 2."
    )
    only_ends = {"test": {"image_auroc": {"value": 0.75, "low": 0.4}}}
    assert compared(BEFORE, only_ends) == "1 of 2 figures differ from the run's own: test.image_auroc.low."


def test_a_checkpoint_of_another_version_says_what_to_do() -> None:
    config = OmegaConf.create(
        {
            "model": {"_target_": "models.do2mr.Do2mr", "top_share": 0.1},
            "threshold": {"_target_": "callbacks.Calibration"},
        }
    )
    with pytest.raises(ConfigError, match=r"No key 'model.top_share'.*Another version wrote it: train again"):
        restore(Checkpoint(config, {}, 1))
