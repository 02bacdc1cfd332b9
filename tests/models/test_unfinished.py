"""A bank that is ended while it collects goes on where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from datamodules.errors import DataError
from models.components import unfinished
from models.patchcore import PatchCore

from .test_patchcore import ARGUMENTS, batch, pictures

if TYPE_CHECKING:
    from pathlib import Path

BATCHES = 12


def module_in(path: Path, **options: Any) -> PatchCore:
    torch.manual_seed(3)
    module = PatchCore(ARGUMENTS, 0.25, **options).eval()
    module.batches = BATCHES
    module.keep_in(path)
    torch.manual_seed(0)
    return module


def collect(module: PatchCore, last: int, first: int = 0) -> None:
    for index in range(first, last):
        images = batch(pictures(4, seed=index))
        images.image_path = [f"/{index}-{place}.png" for place in range(4)]
        module.collect_batch(images)


@pytest.mark.parametrize("options", [{}, {"bank_size": 20, "memory": "1MiB"}, {"scales": (1, 1.5)}])
@pytest.mark.parametrize("ended", [1, 5, 11])
def test_a_bank_that_was_ended_becomes_the_one_of_a_fit_that_nobody_touched(
    options: dict[str, Any], ended: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    monkeypatch.setattr(unfinished, "SHARE", 1e9)
    whole = module_in(tmp_path / "whole.pt", **options)
    collect(whole, BATCHES)
    whole.fit()
    collect(module_in(tmp_path / "ended.pt", **options), ended)
    again = module_in(tmp_path / "ended.pt", **options)
    described, describe = [], again.describe

    def noted(image_B3HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        described.append(len(image_B3HW))
        return describe(image_B3HW)

    monkeypatch.setattr(again, "describe", noted)
    collect(again, BATCHES)
    again.fit()
    assert described == [4] * (BATCHES - ended)
    assert again.learnt == whole.learnt
    assert torch.equal(again.model.image_M, whole.model.image_M)
    assert torch.equal(again.model.bank_MD, whole.model.bank_MD)
    again.on_train_end()
    assert not list(tmp_path.glob("ended*"))


def test_a_short_fit_keeps_nothing(tmp_path: Path) -> None:
    module = module_in(tmp_path / "a.pt")
    collect(module, 2)
    module.fit()
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_said_and_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pt").write_bytes(b"half a file")
    module = module_in(tmp_path / "a.pt")
    collect(module, 2)
    module.fit()
    assert len(module.model.bank_MD) == 0.25 * 8 * 64
    assert "all images are collected anew" in "".join(capsys.readouterr())


def test_other_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    collect(module_in(tmp_path / "a.pt"), 2)
    with pytest.raises(DataError, match=r"delete that file to collect all anew"):
        collect(module_in(tmp_path / "a.pt"), 3, first=1)


def test_on_a_full_disk_it_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    (tmp_path / "file").write_text("")
    module = module_in(tmp_path / "file" / "a.pt")  # a folder cannot be made there
    collect(module, 3)
    module.fit()
    assert len(module.model.bank_MD) == 0.25 * 12 * 64
