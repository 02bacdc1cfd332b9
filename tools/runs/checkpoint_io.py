"""Checkpoints on disk: the old one, or the new one, never a part of one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from typing_extensions import override

from datamodules.files.whole_files import write_whole

if TYPE_CHECKING:
    from lightning.fabric.utilities.types import _PATH


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the one that it replaces, and waits for the disk before it does.

    Lightning's own writes to the folder for temporary files and moves the result: where that is another disk, moving is
    copying over the good checkpoint, and a kill meanwhile loses both.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Save, through memory: torch ends the process where the disk is full while it writes."""
        if storage_options is not None:
            raise TypeError(f"Expected no storage options, but found {storage_options!r}.")
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), buffer.getbuffer(), durable=True)
