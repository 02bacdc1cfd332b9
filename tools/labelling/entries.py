"""What a person said of an image, as one line of the journal keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Verdict = Literal["good", "defective", "rework", "unsure"]
Act = Literal["mark", "settle", "undo", "redo"]

GOOD, DEFECTIVE, REWORK, UNSURE = VERDICTS = get_args(Verdict)
MARK, SETTLE, UNDO, REDO = ACTS = get_args(Act)
DECIDED = (GOOD, DEFECTIVE)
NEAREST, RANDOM = "nearest", "random"


@dataclass(frozen=True)
class Mark:
    """A verdict on an image.

    Attributes:
        verdict: ``good``, ``defective``, ``rework`` or ``unsure``.
        type: Of the defect, in the inspector's word; empty where nobody told.
        mask: Name of the mask that was drawn, by its content; empty where there is none.
    """

    verdict: str
    type: str = ""
    mask: str = ""

    @classmethod
    def read(cls, found: Any) -> Mark | None:
        """Read what ``asdict`` made of one; None of nothing.

        Raises:
            ValueError: It is neither.
        """
        if found is None:
            return None
        if not isinstance(found, dict) or found.get("verdict") not in VERDICTS:
            raise ValueError(f"expected a verdict of {', '.join(VERDICTS)}, but found {found!r}")
        return cls(str(found["verdict"]), str(found.get("type", "")), str(found.get("mask", "")))


@dataclass(frozen=True)
class Seen:
    """What an inspector had before them.

    Attributes:
        model: That judged the image; empty without one.
        score: Raw, higher is worse; None without one.
        threshold: That the score was held against.
        picked: How the image came to be shown: ``nearest`` to the threshold, or at ``random``.
        blind: Whether what others said was hidden.
    """

    model: str = ""
    score: float | None = None
    threshold: float | None = None
    picked: str = NEAREST
    blind: bool = False


@dataclass(frozen=True)
class Entry:
    """A line of the journal.

    Attributes:
        number: Counts from 1.
        request: Chosen by whoever sends it: what is sent twice is kept once.
        when: Local time with its offset, ISO 8601.
        by: Who.
        act: ``mark``, ``settle`` (a disagreement), ``undo`` or ``redo``.
        image: Which.
        before: What the image was called until then; None: nothing.
        after: What it is called from then on.
        of: The number of the entry that is undone or done again; 0 of others.
        seen: What it rests on.
    """

    number: int
    request: str
    when: str
    by: str
    act: str
    image: str
    before: Mark | None
    after: Mark | None
    of: int = 0
    seen: Seen = Seen()

    def line(self) -> str:
        """Write it as JSON; ``from`` and ``to`` are what it was called before and after."""
        found: dict[str, Any] = {name: getattr(self, name) for name in ("number", "request", "when", "by", "act")}
        found |= {"image": self.image, "from": _plain(self.before), "to": _plain(self.after)}
        found |= {"of": self.of} if self.of else {}
        return json.dumps(found | asdict(self.seen), ensure_ascii=False, allow_nan=False)

    @classmethod
    def read(cls, line: str) -> Entry:
        """Read a line.

        Raises:
            ValueError: It is not one of these.
        """
        found = json.loads(line)
        if not isinstance(found, dict):
            raise TypeError("expected keys and values")
        if found.get("act") not in ACTS:
            raise ValueError(f"expected an act of {', '.join(ACTS)}, but found {found.get('act')!r}")
        try:
            return cls(
                number=int(found["number"]),
                request=str(found["request"]),
                when=str(found["when"]),
                by=str(found["by"]),
                act=str(found["act"]),
                image=str(found["image"]),
                before=Mark.read(found["from"]),
                after=Mark.read(found["to"]),
                of=int(found.get("of", 0)),
                seen=Seen(**{name: found[name] for name in Seen.__annotations__ if name in found}),
            )
        except KeyError as error:
            raise ValueError(f"expected a key {error.args[0]}") from error


def _plain(mark: Mark | None) -> dict[str, str] | None:
    return None if mark is None else {key: value for key, value in asdict(mark).items() if value}
