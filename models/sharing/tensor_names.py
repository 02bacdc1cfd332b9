"""Names of tensors: what is known of a content without looking at its bits, which may take longer than using them.

A name belongs to one object in Python and to what is in it: a copy, a slice or a write ends it. Tensors made in
inference mode count no writes, so whoever names one promises to write to it no more.
"""

from __future__ import annotations

import hashlib
import weakref
from typing import TYPE_CHECKING, NamedTuple

import torch

from models.features.last_seen import version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

STEP = 97  # a prime, so that a sample of an image's bits meets every column of usual widths


class _Named(NamedTuple):
    reference: weakref.ref[Tensor]
    version: int
    name: str


class TensorNames:
    """The names that were given, for as long as their tensors live."""

    def __init__(self) -> None:
        self._named: dict[int, _Named] = {}

    def give(self, tensor: Tensor, name: str) -> None:
        """Name a tensor."""
        key = id(tensor)
        reference = weakref.ref(tensor, lambda _: self._named.pop(key, None))
        self._named[key] = _Named(reference, version(tensor), name)

    def of(self, tensor: Tensor) -> str | None:
        """Return the name of a tensor; None where it has none, or was written to since."""
        found = self._named.get(id(tensor))
        if found is None or found.reference() is not tensor or found.version != version(tensor):
            return None
        return found.name


def bits(tensor: Tensor) -> memoryview:
    """Look at the bits of a tensor."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def digest(tensor: Tensor) -> str:
    """Hash type, shape and bits."""
    hashed = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    hashed.update(bits(tensor))
    return hashed.hexdigest()


def glance(tensor: Tensor) -> str:
    """Hash type, shape and a sample of the bits: what tells two tensors apart that should be the same and are not."""
    hashed = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    hashed.update(bits(tensor.detach().flatten()[::STEP]))
    return hashed.hexdigest()


def named_tensors(module: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    """List parameters and buffers by their names."""
    return ((name, value) for name, value in module.state_dict().items() if isinstance(value, torch.Tensor))
