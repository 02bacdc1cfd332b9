"""Sizes by kind: what a config says of one kind of fiber or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from datamodules.errors import DataError

from .prior import Prior

if TYPE_CHECKING:
    from collections.abc import Iterable

Sizes: TypeAlias = float | dict[str, float] | None  # one for all kinds, or by kind


def priors_by_kind(kinds: Iterable[str], core_um: Sizes, cladding_um: Sizes, aspect: float | None) -> dict[str, Prior]:
    """Return what is known of each kind.

    Raises:
        DataError: A size is none, or is given for a kind that no image has.
    """
    known = sorted(set(kinds))
    for name, sizes in (("core_um", core_um), ("cladding_um", cladding_um)):
        strange = sorted(set(sizes) - set(known)) if isinstance(sizes, dict) else []
        if strange:
            found = ", ".join(kind or "''" for kind in known)
            raise DataError(f"Expected {name} for kinds that images have ({found}), but found {strange[0]!r}.")
    return {kind: Prior(size_of(core_um, kind), size_of(cladding_um, kind), aspect) for kind in known}


def size_of(sizes: Sizes, kind: str) -> float | None:
    """Return the size of a kind; None where nobody said."""
    return sizes.get(kind) if isinstance(sizes, dict) else sizes
