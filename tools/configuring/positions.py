"""What people type without a key: ``loupe train PATH``, ``loupe predict RUN PATH``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import ConfigError

from .config import nearest, parse_override

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POSITIONS: Mapping[str, tuple[str, ...]] = {
    "doctor": ("data.root",),
    "train": ("data.root",),
    "sweep": ("data.root",),
    "predict": ("run", "source"),
    "test": ("run",),
    "export": ("run",),
    "compare": ("runs",),
    "threshold": ("run",),
    "calibrate": ("run", "labels"),
    "advise": ("run", "labels"),
    "label": ("run", "source"),
    "extend": ("run", "data"),
    "forget": ("run", "pictures"),
    "runs": ("out",),
    "serve": ("run",),
}
"""The keys, in order, that words without one stand for."""
ACTIONS: Mapping[str, tuple[str, ...]] = {"sweep": ("show", "resume", "best")}
"""Words that say what to do with a folder, and stand for no key."""
SEVERAL = frozenset({"source", "runs", "data", "pictures"})  # take all words that are left
INSTEAD = {"bundle": "run", "line": "run", "sweep": "run", "resume": "data.root"}  # the first makes the second needless
OWN = frozenset({"prepare"})  # take the words apart themselves: the first names a domain, not a value
PLAIN = re.compile(r"[\w.~-]*/[\w./~-]*")  # words that the grammar reads as they stand
BUNDLE = "spec.json"  # the file by which a bundle is known


def usage(verb: str) -> str:
    """Show what may be typed without a key, for the help."""
    return "".join(
        f"[{key.rpartition('.')[2].upper()}{' ...' if key in SEVERAL else ''}] " for key in POSITIONS.get(verb, ())
    )


def with_keys(verb: str, args: Sequence[str]) -> list[str]:
    """Give every word that is neither ``key=value`` nor a flag its key.

    Raises:
        ConfigError: There are more words than the verb has places, or one looks like a slip of the finger.
    """
    words = [arg for arg in args if is_word(arg)]
    rest = [arg for arg in args if not is_word(arg)]
    if not words:
        return rest
    actions = ACTIONS.get(verb, ())
    if words[0] in actions or (nearest(words[0], actions) and not Path(words[0]).expanduser().exists()):
        return list(args)
    if verb in OWN:
        return [*words, *rest]
    places = [key for key in POSITIONS.get(verb, ()) if key not in _named_keys(rest)]
    if not places:
        raise ConfigError(f"Expected key=value, but found {words[0]!r}; loupe {verb} --help shows how.")
    given = []
    for place, key in enumerate(places):
        taken = words[place:] if key in SEVERAL else words[place : place + 1]
        given += [_override(verb, key, taken)] if taken else []
    if len(words) > len(places) and places[-1] not in SEVERAL:
        takes = " ".join(key.rpartition(".")[2].upper() for key in places)
        raise ConfigError(
            f"Expected loupe {verb} {takes}, with everything else as key=value, but found {words[len(places)]!r} as "
            "well; put a path with spaces into quotes."
        )
    return [*given, *rest]


def is_word(arg: str) -> bool:
    """Tell what is meant without a key: no flag, and no ``=``, unless it is a path that has one."""
    if arg.startswith(("-", "+", "~")):
        return False
    return "=" not in arg or (arg.startswith(("/", "./", "../")) and Path(arg).exists())


def _named_keys(rest: Sequence[str]) -> set[str]:
    """Collect the keys that are given by name, and those that they stand in for."""
    keys = {parse_override(arg).key_or_group for arg in rest if not arg.startswith("-")}
    return keys | {INSTEAD[key] for key in keys if key in INSTEAD}


def _override(verb: str, key: str, words: Sequence[str]) -> str:
    if key in SEVERAL:
        return f"{key}=[{','.join(map(quoted, words))}]"
    word = words[0]
    if key == "data.root" and not Path(word).expanduser().exists():
        raise ConfigError(_nowhere(verb, Path(word).expanduser().absolute()))
    if verb in {"predict", "serve"} and key == "run" and (Path(word).expanduser() / BUNDLE).is_file():
        key = "bundle"
    return f"{key}={quoted(word)}"


def _nowhere(verb: str, path: Path) -> str:
    """Say that there is nothing at a path, and what of nearly that name lies beside it."""
    try:
        near = nearest(path.name, (entry.name for entry in path.parent.iterdir()))
    except OSError:  # there is no such folder either, or nobody may look into it
        near = None
    hint = f"did you mean {str(path.parent / near)!r}?" if near else f"loupe {verb} --help shows how."
    return f"Expected key=value or a folder of images, but there is nothing at {str(path)!r}; {hint}"


def quoted(word: str) -> str:
    """Quote a word, unless it is a plain path, so that Hydra's grammar gives it back as it stands."""
    if PLAIN.fullmatch(word):
        return word
    escaped = word.replace("'", "\\'")
    trailing = len(word) - len(word.rstrip("\\"))  # before the closing quote, these would escape it
    return f"'{escaped}{chr(92) * trailing}'"
