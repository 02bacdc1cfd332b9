"""What the parts of the page's server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .desk import Desk
    from .lens import Alike, Lens
    from .masks import Masks
    from .seeing import Sights
    from .teaching import Teacher


@dataclass
class Room:
    """A desk, and all that is shown at it.

    Attributes:
        desk: Hands out images, and keeps verdicts.
        masks: That people draw.
        sights: Images as browsers get them.
        lens: What a model sees.
        alike: Good images beside others.
        out: Folder of journal, masks and labels.
        by: Who labels, where nobody else says their name.
        title: What is labelled, in words.
        teacher: Lets the model learn images that people call good.
        exports: What can be written, by name; each returns what it says.
    """

    desk: Desk
    masks: Masks
    sights: Sights
    lens: Lens
    alike: Alike
    out: Path
    by: str
    title: str
    teacher: Teacher
    exports: dict[str, Callable[[], str]] = field(default_factory=dict)
