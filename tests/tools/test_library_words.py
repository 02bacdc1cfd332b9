"""What torch says in words alone, said by torch itself: whoever upgrades it learns here what it words anew."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.samples.sized import SizedDataset
from tools.library_words import is_out_of_memory, lost_loader, sentence_of_loader, system_error


class Killed(SizedDataset[torch.Tensor]):
    """Ends the process that loads it as a system without memory does."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(index)


def test_too_large_a_tensor_is_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("any words"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_loader_that_was_killed_is_lost() -> None:
    with pytest.raises(RuntimeError) as caught:
        next(iter(DataLoader(Killed(), num_workers=1)))
    lost = lost_loader(caught.value)
    assert lost is not None
    assert int(lost.processes) > 0
    assert not lost.shared_memory
    assert lost_loader(RuntimeError("shapes do not match")) is None


def test_a_full_disk_is_known_by_its_number_or_its_words() -> None:
    error = OSError(28, "words do not count")
    assert system_error(error) is error
    found = system_error(RuntimeError("writer failed: No space left on device"))
    assert found is not None
    assert found.errno == 28
    assert system_error(RuntimeError("shapes do not match")) is None
    assert sentence_of_loader(RuntimeError("shapes do not match")) is None
