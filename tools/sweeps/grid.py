"""The search that tries every combination."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tools.errors import ConfigError

from .suggesting import Suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .journal import Trial
    from .settings import Composer


class Grid:
    """Every combination once, the last key fastest.

    Raises:
        ConfigError: A key has an interval, whose values cannot be counted.
    """

    def __init__(self, composer: Composer) -> None:
        for axis in composer.axes:
            if axis.interval is not None:
                raise ConfigError(
                    f"Expected a list for {axis.key}, since a grid tries every value, but found an interval; write "
                    f"{axis.key}=A,B,C or {axis.key}='range(A,B,STEP)', or search with sweep.search=tpe."
                )
        self._settings = self._all(composer)

    def learn(self, trials: Iterable[Trial]) -> int:
        """Nothing: every combination is visited, and those that are done cost nothing."""
        del trials
        return 0

    def ask(self) -> Suggestion | None:
        """Suggest the next combination."""
        return next(self._settings, None)

    def tell(self, suggestion: Suggestion, trial: Trial | None, *, again: bool = False) -> None:
        """Do nothing: a grid does not depend on results."""

    @staticmethod
    def _all(composer: Composer) -> Iterator[Suggestion]:
        seen = set()
        leading = [axis for axis in composer.axes if axis.key not in composer.followers]
        for texts in itertools.product(*(axis.choices for axis in leading)):
            full = {axis.key: text for axis, text in zip(leading, texts, strict=True)}
            setting = composer.effective(full)
            line = tuple(setting.items())
            if line not in seen:  # combinations that differ only in keys that this model lacks
                seen.add(line)
                yield Suggestion(setting)
