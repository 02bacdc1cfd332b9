"""What is known of every image, from the journal's entries alone: nothing else is kept that could contradict it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .entries import DECIDED, REDO, SETTLE, UNDO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .entries import Entry, Mark


@dataclass(frozen=True)
class Label:
    """What an image counts as.

    Attributes:
        entry: That says so.
        disputed: Whether somebody who did not see it says otherwise, and nobody has settled it.
    """

    entry: Entry
    disputed: bool

    @property
    def mark(self) -> Mark:
        """The verdict."""
        if self.entry.after is None:
            raise ValueError("Expected an entry that says something of its image.")
        return self.entry.after


@dataclass
class State:
    """Every verdict that stands, and what can be undone and done again.

    An inspector's verdicts are their own: to undo one never touches those of others. An image counts as what was said
    last by whoever saw what had been said before; whoever did not, gave a second opinion.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    requests: dict[str, Entry] = field(default_factory=dict)
    done: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    undone: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _stacks: dict[str, dict[tuple[str, str], list[int]]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Take an entry.

        Raises:
            ValueError: It undoes, or does again, what is not the inspector's latest.
        """
        if entry.number != len(self.entries) + 1:
            raise ValueError(f"expected entry {len(self.entries) + 1}, but found {entry.number}")
        if entry.act in {UNDO, REDO}:
            self._turn(entry)
        else:
            self._stack(entry).append(entry.number)
            self.done[entry.by].append(entry.number)
            self.undone[entry.by].clear()
        self.entries[entry.number] = entry
        self.requests[entry.request] = entry

    def _turn(self, entry: Entry) -> None:
        taken, given = self.done[entry.by], self.undone[entry.by]
        if entry.act == REDO:
            taken, given = given, taken
        if not taken or taken[-1] != entry.of:
            raise ValueError(f"expected to {entry.act} entry {taken[-1] if taken else 'none'}, but found {entry.of}")
        given.append(taken.pop())
        stack = self._stack(self.entries[entry.of])
        if entry.act == UNDO:
            stack.remove(entry.of)
        else:
            stack.append(entry.of)

    def _stack(self, entry: Entry) -> list[int]:
        slot = (entry.by, SETTLE if entry.act == SETTLE else "")
        return self._stacks.setdefault(entry.image, {}).setdefault(slot, [])

    def own(self, image: str, by: str) -> Entry | None:
        """What an inspector says of an image, settlements aside; None: nothing."""
        stack = self._stacks.get(image, {}).get((by, ""), [])
        return self.entries[stack[-1]] if stack else None

    def opinions(self, image: str) -> dict[str, Entry]:
        """What every inspector says of an image."""
        found = self._stacks.get(image, {})
        return {by: self.entries[stack[-1]] for (by, sort), stack in found.items() if stack and not sort}

    def label(self, image: str) -> Label | None:
        """What an image counts as; None: nobody said anything of it that stands."""
        found = self._stacks.get(image, {})
        settled = [stack[-1] for (_, sort), stack in found.items() if stack and sort]
        if settled:
            return Label(self.entries[max(settled)], disputed=False)
        opinions = self.opinions(image).values()
        seeing = [entry for entry in opinions if not entry.seen.blind]
        leading = max(seeing or opinions, key=lambda entry: entry.number, default=None)
        if leading is None:
            return None
        words = {entry.after.verdict for entry in (leading, *opinions) if entry.after and _counts(entry, leading)}
        return Label(leading, disputed=len(words & set(DECIDED)) > 1)

    def images(self) -> list[str]:
        """Name the images of which anything stands, by name."""
        return sorted(image for image, found in self._stacks.items() if any(found.values()))

    def inspectors(self) -> list[str]:
        """Name everybody who said anything that stands, by name."""
        slots = (slot for found in self._stacks.values() for slot, stack in found.items() if stack)
        return sorted({by for by, sort in slots if not sort})

    def verdicts_of(self, by: str) -> dict[str, str]:
        """What an inspector says of images, by name."""
        owned = ((image, self.own(image, by)) for image in self._stacks)
        return {image: entry.after.verdict for image, entry in owned if entry is not None and entry.after is not None}


def _counts(entry: Entry, leading: Entry) -> bool:
    """Tell whether a verdict speaks for itself: it leads, or was given without sight of the others."""
    return entry is leading or entry.seen.blind or leading.seen.blind


def replay(entries: Iterable[Entry]) -> State:
    """Take entries in their order.

    Raises:
        ValueError: One does not follow from those before it.
    """
    state = State()
    for entry in entries:
        state.apply(entry)
    return state
