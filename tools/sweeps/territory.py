"""How many settings a space holds, and which of them were not tried: a search must know when there is nothing left."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

    from .settings import Composer, Setting
    from .space import Axis

_DRAWS = 100  # at random, before all that is left is counted through


@dataclass
class Branch:
    """What one choice of groups makes possible.

    Attributes:
        groups: The choice.
        axes: All other keys that its config knows.
        tried: Settings.
    """

    groups: Setting
    axes: tuple[Axis, ...]
    tried: set[tuple[tuple[str, str], ...]] = field(default_factory=set)

    @property
    def size(self) -> int | None:
        """How many settings it has; None where a key has a range of numbers."""
        counts = [axis.size for axis in self.axes]
        return None if None in counts else prod(count for count in counts if count is not None)

    @property
    def exhausted(self) -> bool:
        """Tell whether all of them were tried."""
        return self.size is not None and len(self.tried) >= self.size


class Territory:
    """The settings of a space, branch by branch: a key that a branch does not know does not multiply it.

    Args:
        composer: Knows the axes, and which keys a choice of groups has.
    """

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        leading = [axis for axis in composer.axes if axis.key not in composer.followers]
        groups = composer.deciding
        self._branches: dict[tuple[tuple[str, str], ...], Branch] = {}
        for texts in itertools.product(*(axis.choices for axis in groups)):
            chosen = {axis.key: text for axis, text in zip(groups, texts, strict=True)}
            known = [axis for axis in leading if axis not in groups and composer.has(chosen, axis)]
            self._branches[tuple(chosen.items())] = Branch(chosen, tuple(known))
        self._groups = [axis.key for axis in groups]

    @property
    def size(self) -> int | None:
        """How many settings there are; None where nobody can count them."""
        sizes = [branch.size for branch in self._branches.values()]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def exhausted(self) -> bool:
        """Tell whether every setting was tried."""
        return all(branch.exhausted for branch in self._branches.values())

    def add(self, setting: Mapping[str, str]) -> None:
        """Note a setting as tried."""
        branch = self._branches.get(tuple((key, setting.get(key, "")) for key in self._groups))
        if branch is not None:
            branch.tried.add(tuple((axis.key, setting.get(axis.key, "")) for axis in branch.axes))

    def untried(self, rng: random.Random) -> Setting | None:
        """Draw a setting that was not tried, every open branch as likely as another; None where there is none."""
        branches = [branch for branch in self._branches.values() if not branch.exhausted]
        if not branches:
            return None
        branch = rng.choice(branches)
        drawn = (tuple((axis.key, axis.draw(rng)) for axis in branch.axes) for _ in range(_DRAWS))
        candidates = itertools.chain(drawn, _all(branch) if branch.size is not None else ())
        fresh = next((candidate for candidate in candidates if candidate not in branch.tried), None)
        return None if fresh is None else {**branch.groups, **dict(fresh)}


def _all(branch: Branch) -> Iterator[tuple[tuple[str, str], ...]]:
    """Go through all settings of a branch that can be counted."""
    for texts in itertools.product(*(axis.texts() for axis in branch.axes)):
        yield tuple((axis.key, text) for axis, text in zip(branch.axes, texts, strict=True))
