"""What passes between a planner and a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .journal import Trial
    from .settings import Setting


class Suggestion(NamedTuple):
    """A setting to try; ``handle`` is the search's own."""

    setting: Setting
    handle: Any = None


class Search(Protocol):
    """Suggests settings and learns from their objectives."""

    def learn(self, trials: Iterable[Trial]) -> int:
        """Take what earlier commands found, in the order in which they were told; return how many taught something."""

    def ask(self) -> Suggestion | None:
        """Suggest a setting; None where every one was tried."""

    def tell(self, suggestion: Suggestion, trial: Trial | None, *, again: bool = False) -> None:
        """Learn what became of a suggestion.

        Args:
            suggestion: As ``ask`` gave it.
            trial: None where it still runs, on behalf of an earlier suggestion.
            again: It was known before.
        """
