"""The desk at which inspectors work: it hands out images in order, and keeps what is said of them.

Everything here is plain: no page, no network, no model.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .agreeing import compare_all, to_settle
from .entries import MARK, NEAREST, RANDOM, SETTLE, VERDICTS, Mark, Seen
from .queue import Queue, draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .entries import Entry
    from .items import Gathered, Item
    from .journal import Journal
    from .leases import Leases

FIRST, SECOND, SETTLING = "first", "second", "settle"
PASSES = (FIRST, SECOND, SETTLING)
AHEAD = 3  # images that a person holds: the one before them, and the next two


@dataclass(frozen=True)
class Order:
    """How images are handed out.

    Attributes:
        share: Of images that are picked at random.
        seed: Of the draw.
    """

    share: float = 0.5
    seed: int = 0


class UnknownError(Exception):
    """There is no such image, verdict or pass; the message says what there is."""


class Desk:
    """Hands out images, and keeps verdicts.

    Args:
        gathered: The images.
        journal: What was said so far.
        leases: Who has which image.
        order: How they are handed out.
        types: Of defects that people can choose, beside those that the data and the journal know.
    """

    def __init__(
        self, gathered: Gathered, journal: Journal, leases: Leases, order: Order, types: Sequence[str] = ()
    ) -> None:
        self.gathered = gathered
        self.journal = journal
        self.leases = leases
        self.queue = Queue((item.scored for item in gathered.items.values()), order.share, order.seed)
        self.seed = order.seed
        self._lock = threading.Lock()
        known = (entry.after.type for entry in journal.state.entries.values() if entry.after is not None)
        self.types = list(dict.fromkeys([*types, *gathered.types, *sorted({one for one in known if one})]))

    def upcoming(self, by: str, which: str = FIRST) -> list[str]:
        """Name the next images for a person, at most three, and reserve them."""
        with self._lock:
            found = [name for name in self._line(by, which) if self.leases.free(name, by)][:AHEAD]
            self.leases.hold(found, by)
            return found

    def say(self, request: str, by: str, image: str, mark: Mark, which: str = FIRST) -> Entry:
        """Keep a verdict; it is on the disk when this returns.

        Raises:
            UnknownError: There is no such image, verdict or pass.
            OSError: The disk does not take it.
        """
        item = self.item(image)
        if mark.verdict not in VERDICTS:
            raise UnknownError(f"Expected a verdict of {', '.join(VERDICTS)}, but found {mark.verdict!r}.")
        seen = Seen(self.gathered.model, item.score, item.threshold, self.picked(image), _pass(which) == SECOND)
        entry = self.journal.mark(request, by, image, mark, seen, SETTLE if which == SETTLING else MARK)
        if mark.type and mark.type not in self.types:
            self.types.append(mark.type)
        return entry

    def picked(self, image: str) -> str:
        """Tell how an image came to be shown."""
        return self.queue.picked[image]

    def item(self, image: str) -> Item:
        """Find an image.

        Raises:
            UnknownError: There is none of that name.
        """
        try:
            return self.gathered.items[image]
        except KeyError:
            raise UnknownError(f"Expected the name of an image of this set, but found {image!r}.") from None

    def shown(self, image: str, by: str, which: str = FIRST) -> dict[str, Any]:
        """Say what a page shows beside an image, in plain values; in a second pass, nothing of what others said."""
        item, own = self.item(image), self.journal.state.own(image, by)
        label = self.journal.state.label(image)
        mark, who = (None, "") if own is None else (own.after, by)
        if which != SECOND and label is not None:
            mark, who = label.mark, label.entry.by
        opinions = {}
        if which == SETTLING:
            opinions = {name: _plain(entry.after) for name, entry in self.journal.state.opinions(image).items()}
        given = item.given if which != SECOND else None
        return {
            "image": image,
            "score": item.score,
            "threshold": item.threshold,
            "kind": item.kind,
            "group": item.group,
            "picked": self.picked(image),
            "mark": _plain(mark),
            "by": who,
            "given": _plain(given),
            "has_mask": bool(mark is not None and mark.mask) or (mark is None and item.marked and which != SECOND),
            "opinions": opinions,
            "held_by": holder if (holder := self.leases.holder(image)) != by else "",
        }

    def counts(self) -> dict[str, Any]:
        """Count images by what they count as, and the random share of them."""
        state, items = self.journal.state, self.gathered.items
        labels = {name: state.label(name) for name in items}
        verdicts = [label.mark.verdict for label in labels.values() if label is not None]
        at_random = [name for name in items if self.picked(name) == RANDOM]
        return {
            **{verdict: verdicts.count(verdict) for verdict in VERDICTS},
            "images": len(items),
            "labelled": len(verdicts),
            "left": len(items) - len(verdicts),
            "random": len(at_random),
            "random_labelled": sum(labels[name] is not None for name in at_random),
            "nearest_labelled": sum(self.picked(name) == NEAREST and labels[name] is not None for name in items),
            "disputed": len(to_settle(state)),
            "inspectors": state.inspectors(),
        }

    def agreement(self) -> list[dict[str, Any]]:
        """Compare every two inspectors, in plain values."""
        return [compared.to_dict() for compared in compare_all(self.journal.state)]

    def _line(self, by: str, which: str) -> list[str]:
        """Order the images of a pass."""
        state, items = self.journal.state, self.gathered.items
        if _pass(which) == SETTLING:
            return [name for name in to_settle(state) if name in items]
        if which == SECOND:
            seen = [name for name in items if state.own(name, by) is None and state.opinions(name)]
            return sorted(seen, key=lambda name: (draw(name, self.seed + 1), name))
        labelled = {name for name, item in items.items() if item.given is not None or state.label(name) is not None}
        mine = {name for name in labelled if state.label(name) is not None}
        return [one.name for one in self.queue.order(labelled) if one.name not in mine]


def _pass(which: str) -> str:
    if which not in PASSES:
        raise UnknownError(f"Expected a pass of {', '.join(PASSES)}, but found {which!r}.")
    return which


def _plain(mark: Mark | None) -> dict[str, str] | None:
    return None if mark is None else {"verdict": mark.verdict, "type": mark.type, "mask": mark.mask}
