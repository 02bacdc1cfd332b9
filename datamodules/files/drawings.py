"""Images that are drawn over others: overlays, heat maps, predictions, and whatever tools leave beside an image.

None of them is data. They are told by their names, and only where the image that they are drawn over is there, too:
``000_overlay.png`` beside ``000.png``, ``000.png.heatmap.jpg``, ``pred_000.png``; or ``overlays/000.jpg`` below or
beside the folder of ``000.png``.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError

from .names import is_image_folder, same_name
from .suffixes import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_WORD = (
    r"(?:overlays?|over[-_ ]?laid|heat[-_ ]?maps?|anomaly[-_ ]?maps?|anom(?:aly)?|score[-_ ]?maps?|"
    r"saliency|grad[-_ ]?cam|pred(?:s|icted|ictions?)?|results?|outputs?|annotated|drawn|drawing|contours?|outlines?|"
    r"vis|viz|visuali[sz]ed|visuali[sz]ations?|bbox(?:es)?|box(?:es)?|detections?|previews?|thumb(?:nail)?s?|blend(?:ed)?)"
)
_MORE = r"(?:[-_. ]?(?:overlay|image|img|map|mask|vis|viz|jpg|png|\d+))*"
_OF_WHAT = r"(?:(?:gt|ground[-_ ]?truth|masks?|labels?|seg(?:mentation)?|defects?|colou?r(?:ed)?|anomaly)[-_. ]+)*"
_BEHIND = re.compile(rf"^(?P<stem>.+?)[-_. ]+{_OF_WHAT}{_WORD}{_MORE}$", re.IGNORECASE)
_BEFORE = re.compile(rf"^{_WORD}{_MORE}[-_. ]+(?P<stem>.+)$", re.IGNORECASE)
_FOLDER = re.compile(rf"^(?:{_WORD}{_MORE}|(?:images?|masks?)[-_ ]?{_WORD}{_MORE})$", re.IGNORECASE)
REMEDY = "rename it if it is an image of its own"


def find_drawings(
    own: Sequence[Path], below: Mapping[Path, Sequence[Path]], problems: list[UnreadableImageError]
) -> set[Path]:
    """Find what is drawn over other images, and say so.

    Args:
        own: Images in a folder.
        below: Images below each of its folders.
        problems: Gets a sentence for every image, and for every folder of such.
    """
    drawn = drawn_over(own)
    for path, name in drawn.items():
        problems.append(UnreadableImageError(path, f"is drawn over {name}, by its name, and not used", REMEDY))
    found = set(drawn)
    folders = [folder for folder, paths in below.items() if paths and _FOLDER.match(folder.name)]
    if not folders:
        return found
    beside = {same_name(path.stem) for path in own if path not in drawn}
    beside |= {same_name(path.stem) for folder in below if is_image_folder(folder.name) for path in below[folder]}
    for folder in folders:
        if all(any(stem in beside for stem in _stems(path)) for path in below[folder]):
            count = f"{len(below[folder])} image{'' if len(below[folder]) == 1 else 's'}"
            what = f"holds {count} drawn over those beside it, by their names, which are not used"
            problems.append(UnreadableImageError(folder, what, "rename the folder if they are images of their own"))
            found.update(below[folder])
    return found


def drawn_over(images: Iterable[Path]) -> dict[Path, str]:
    """Tell which images of one folder are drawn over others there, and the name of those."""
    named = [(path, stems) for path in images if (stems := _stems(path)[1:])]
    if not named:
        return {}
    known = {same_name(path.stem): path.name for path in images}
    return {path: name for path, stems in named if (name := next(filter(None, map(known.get, stems)), None))}


def _stems(path: Path) -> list[str]:
    """List the stems that the image under a drawing may have: its own, and what is left without such words."""
    stem = path.stem
    found = [same_name(stem)]
    for pattern in (_BEHIND, _BEFORE):
        if match := pattern.match(stem):
            bare, suffix = os.path.splitext(match["stem"])  # noqa: PTH122 - a stem
            found.append(same_name(bare if suffix.lower() in SUFFIXES else match["stem"]))
    return found
