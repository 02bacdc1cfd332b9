"""Work that trials share: results of pure steps, kept on disk under a hash of everything that went into them.

A sweep trains the same network on the same images many times, and most of what its trials compute they compute alike:
the features of a frozen backbone, the order of a coreset, the nearest neighbours in a bank. Networks know nothing of
that: ``steps`` wraps such a step, with all its inputs, so that an answer that is known is read instead of computed.

The key is a hash of the inputs' very bits, of the software, and of what else decides the last bit of a result (threads,
precision, device). So a kept answer is, bit for bit, what the step would have computed, and the cache never changes a
result. That is also why features are kept for whole batches: another composition of a batch may round differently.
Where it is known what a tensor holds, because it is the result of a step or a batch of certain files, its name stands
in for its bits. Steps write neither to their inputs nor to what they were given back.
"""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from models.tensor_files import save_tensors

from .tensor_names import TensorNames, bits, digest, glance, named_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    Input = Tensor | str | int | float

_ROOM = 0.9  # share of the limit that is left full when space is made, so that it is not made at every turn
_LAST = " channels last"  # the layout in memory decides which kernels run next, and so the last bit
_RECOUNT = 1 / 16  # share of the limit that may be written before the folder is counted again: others write, too


class SharedWork:
    """A folder of kept tensors, least recently used first out.

    Processes may share the folder: a file is whole or absent, and one that vanishes is computed again.

    Args:
        folder: Where to keep them.
        limit_gib: At most so much disk, in GiB; above 0.

    Attributes:
        hits: Answers that were read.
        misses: Answers that were computed and kept.
        paused: Steps compute everything for a while: what comes in ever new batches, such as epochs in changing order,
            would only fill the disk.
    """

    def __init__(self, folder: str | Path, limit_gib: float) -> None:
        if not limit_gib > 0:
            raise ValueError(f"Expected a limit above 0 GiB for shared work, but found {limit_gib}.")
        self.folder = Path(folder).expanduser()
        self.limit_bytes = int(limit_gib * 2**30)
        self.hits = self.misses = 0
        self.paused = False
        self._names = TensorNames()
        self._uncounted = self.limit_bytes  # nobody has counted yet

    def know(self, tensor: Tensor, content: str) -> None:
        """Note what a tensor holds, so that nobody need hash its bits; a sample of them is proof against mistakes.

        Args:
            tensor: Is not written to from now on.
            content: Decides, with the code that reads it, every bit.
        """
        self._names.give(tensor, f"{content} {glance(tensor)}")

    def name(self, tensor: Tensor) -> str:
        """Return what tells this content from any other: a name, or else a hash, which becomes its name."""
        name = self._names.of(tensor)
        if name is None:
            name = digest(tensor)
            if not tensor.is_inference():  # there, a write would go unnoticed
                self._names.give(tensor, name)
        return name

    def remember(self, step: str, inputs: Sequence[Input], compute: Callable[[], Sequence[Tensor]]) -> list[Tensor]:
        """Return what a pure step computes, as it is kept here if it is.

        Args:
            step: Its name; another for every change of what it computes.
            inputs: All that decides its result, a tensor first; the result comes back on that tensor's device.
            compute: The step itself.
        """
        key = _key(self, step, inputs)
        stored = self.load(key)
        if stored is None:
            computed = list(compute())
            self.save(key, computed)
            return self.named(key, computed)
        return self.named(key, [tensor.to(_device(inputs)) for tensor in stored])

    def remember_order(
        self, step: str, inputs: Sequence[Input], count: int, compute: Callable[[], Sequence[int]]
    ) -> list[int]:
        """Return the first ``count`` of a sequence that does not depend on its length: a longer one kept here will do.

        Args:
            step: As ``remember``.
            inputs: All that decides the sequence, except its length.
            count: How many are wanted.
            compute: Gives exactly ``count``.
        """
        key = _key(self, step, inputs)
        stored = self.load(key)
        if stored is not None and len(stored[0]) >= count:
            known: list[int] = stored[0][:count].tolist()
            return known
        picked = list(compute())
        self.save(key, [torch.tensor(picked, dtype=torch.int64)])
        return picked

    def load(self, key: str) -> list[Tensor] | None:
        """Return the tensors kept under a key; None where there are none, or not whole ones."""
        path = self._path(key)
        try:
            tensors = load_file(path)
            os.utime(path)  # used now
            names = sorted(tensors, key=lambda name: int(name.partition(" ")[0]))
        except Exception:  # noqa: BLE001 - missing, deleted by another process, cut short by a kill: all mean computing
            return None
        self.hits += 1
        # Cloned, since a tensor that torch did not align itself may round differently in the next product.
        return [tensors[name].clone(memory_format=_format(name.endswith(_LAST))) for name in names]

    def named(self, key: str, tensors: list[Tensor]) -> list[Tensor]:
        """Name the results of a step after its key, but for those that have a name, such as an input handed back."""
        for index, tensor in enumerate(tensors):
            if self._names.of(tensor) is None:
                self._names.give(tensor, f"{key} {index}")
        return tensors

    def save(self, key: str, tensors: Sequence[Tensor]) -> None:
        """Keep tensors under a key; make space by deleting those that were not used for longest."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        named = {f"{index}{_LAST if _is_last(tensor) else ''}": tensor for index, tensor in enumerate(tensors)}
        save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}, part)
        size = part.stat().st_size
        part.replace(path)
        self.misses += 1
        self._uncounted += size
        if self._uncounted >= self.limit_bytes * _RECOUNT:
            self._make_space()

    def _make_space(self) -> None:
        """Count the folder, and delete the oldest where it is over its limit."""
        files = []
        for path in self.folder.glob("*/*.safetensors"):
            try:
                found = path.stat()
            except OSError:  # another process made space
                continue
            files.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in files)
        self._uncounted = 0
        if total <= self.limit_bytes:
            return
        for _, size, path in sorted(files):
            path.unlink(missing_ok=True)
            total -= size
            if total <= self.limit_bytes * _ROOM:
                return

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"


def fingerprint(module: torch.nn.Module) -> str:
    """Hash a module: its structure, and the bits of its parameters and buffers."""
    hashed = hashlib.sha256(repr(module).encode())
    for name, value in named_tensors(module):
        hashed.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        hashed.update(bits(value))
    return hashed.hexdigest()


def _key(work: SharedWork, step: str, inputs: Sequence[Input]) -> str:
    arguments = [work.name(value) if isinstance(value, torch.Tensor) else repr(value) for value in inputs]
    return hashlib.sha256(repr((step, _circumstances(_device(inputs)), arguments)).encode()).hexdigest()


def _is_last(tensor: Tensor) -> bool:
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _format(last: bool) -> torch.memory_format:
    return torch.channels_last if last else torch.contiguous_format


def _device(inputs: Sequence[Input]) -> torch.device:
    return next(value.device for value in inputs if isinstance(value, torch.Tensor))


def _circumstances(device: torch.device) -> tuple[object, ...]:
    """Everything besides its inputs that may decide the last bit of a result."""
    kind = device.type
    chip = torch.cuda.get_device_name(device) if kind == "cuda" else platform.processor() or platform.machine()
    precision = (torch.is_autocast_enabled(kind), str(torch.get_autocast_dtype(kind)))
    cuda = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark)
    capability = torch.backends.cpu.get_cpu_capability()
    exact = (torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled())
    return (torch.__version__, kind, chip, capability, torch.get_num_threads(), precision, exact, cuda)
