"""A bank between two graphs: one describes patches, the runner finds the nearest of the bank, the other scores.

A graph would have to compare every patch with all of the bank; a search passes over most of it, and finds the same.

Letters: B batch, P patches of an image, D features of a patch, M patches in the bank.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from models.components.bank_search import BankSearch

from .specification import BundleError, check_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from models.components.bank_search import Floats, Group, Rows

    from .network import Array

PATCHES, SQUARES, BANK = "patches", "squares", "bank"


def array_file(name: str) -> str:
    """Name the file of an array in a bundle."""
    return f"{name}.npy"


def open_arrays(folder: Path, composition: Mapping[str, Any]) -> dict[str, Array]:
    """Read the arrays that a composition names, unless a file differs from what was exported."""
    names = [str(name) for name in composition.get("arrays", [])]
    check_files(folder, [array_file(name) for name in names])
    return {name: np.load(folder / array_file(name), allow_pickle=False) for name in names}


class Searching:
    """Measures how far patches are from the nearest one of a bank.

    Args:
        bank_MD: float32.
        threads: That search at once; None: as many as this process may use.

    Raises:
        BundleError: A package is missing.
    """

    def __init__(self, bank_MD: Floats, threads: int | None) -> None:
        try:
            from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - only bundles with large banks need it
        except ImportError as error:
            raise BundleError(
                "Expected threadpoolctl to be installed, since this bundle searches a large bank, but found none; run: "
                "pip install threadpoolctl"
            ) from error
        self._pools = ThreadpoolController()
        self._threads = threads or _usable()
        with self._pools.limit(limits=1, user_api="blas"):
            self._search = BankSearch(bank_MD, at_once=self._at_once)

    def __call__(self, patch_BPD: Array) -> Array:
        """Return squared distances (B, P)."""
        with self._pools.limit(
            limits=1, user_api="blas"
        ):  # products are small: threads of their own would wait for each other
            found = self._search(np.ascontiguousarray(patch_BPD.reshape(-1, patch_BPD.shape[2])))
        return found.square_N.reshape(patch_BPD.shape[:2])

    def _at_once(self, ask: Callable[[Group], Floats | Rows], groups: list[Group]) -> list[Floats | Rows]:
        if self._threads == 1 or len(groups) < 2:
            return [ask(group) for group in groups]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(ask, groups))


def _usable() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
