"""Files of tensors that a colleague can read: with the mode that the process's umask gives to any new file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def save_tensors(tensors: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write contiguous tensors to ``path``, a safetensors file, with ``metadata`` beside them.

    The library goes through a temporary file, which nobody but its owner may read, and keeps that mode (0600). A file
    that is made the usual way first shows which mode is due; asking for the umask itself would change it for a moment,
    for all threads.
    """
    path = Path(path)
    path.unlink(missing_ok=True)
    path.touch()
    mode = path.stat().st_mode
    save_file(dict(tensors), path, None if metadata is None else dict(metadata))
    path.chmod(mode)
