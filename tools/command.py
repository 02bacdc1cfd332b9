"""The door that all verbs share: help, ``--print``, and errors that a person can act on instead of tracebacks."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Protocol

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from configs import CONFIG_DIR
from datamodules.errors import DataError
from datamodules.files.made_folders import leaving_none_empty
from datamodules.files.own_process import settle_process
from models.errors import DivergedError, WeightsError

from .configuring.config import check_choice, describe, groups, parse_overrides
from .configuring.places import choice_file, searching, take_config_dir
from .configuring.positions import is_word, usage, with_keys
from .configuring.trust import take_trust, trusting
from .errors import ConfigError, FailedTrialsError
from .mishaps import explain, first_line, quiet_threads, surprise
from .output import UNREAD, is_unread
from .signals import Interrupted, heard, keeping_note, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

HELP_FLAGS = {"-h", "--help"}
PRINT_FLAG = "--print"
NOT_BEGUN = "nothing had begun yet; run the command again"
DEBUG = "LOUPE_DEBUG=1"
OPENS_RUNS = {
    *(
        "advise",
        "calibrate",
        "compare",
        "export",
        "extend",
        "forget",
        "label",
        "predict",
        "serve",
        "sweep",
        "test",
        "train",
    ),
}
TRUST = "true: let the config of a run name any code; for runs that you trust as you trust a program"


class Run(Protocol):
    """What a verb does with its overrides."""

    def __call__(self, overrides: Sequence[str], *, show: bool) -> object:
        """Run, or only show the config; what comes back is for Python, not for the command line."""


def run_verb(verb: str, args: Sequence[str], run: Run, epilog: str, shown: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        verb: Its name; ``configs/VERB.yaml`` holds its keys.
        args: Overrides and flags.
        run: What to do.
        epilog: Examples, for the help.
        shown: Groups to list in the help; None: those in the verb's defaults list.

    Returns:
        The exit status: 0 done, 1 data, weights or the machine are not usable, 2 the command is wrong, 130 or 143 ended
        by SIGINT or SIGTERM.
    """
    settle_process()
    quiet_libraries()
    try:
        with leaving_none_empty(), heard(), quiet_threads(), keeping_note(lambda: NOT_BEGUN):
            words, folder = take_config_dir(args)
            with searching(folder):
                if HELP_FLAGS & set(words):
                    print(help_text(verb, epilog, shown, args=words))
                else:
                    _run(verb, words, run)
            sys.stdout.flush()  # while errors can still be told
    except (ConfigError, OmegaConfBaseException) as error:
        lost = f"Expected every ${{...}} of the config to lead to a value, but: {first_line(error)}"
        return _fail(verb, sentence(error) if isinstance(error, ConfigError) else lost, 2)
    except (DataError, WeightsError, DivergedError, FailedTrialsError) as error:
        return _fail(verb, explain(error) or sentence(error), 1)
    except Interrupted as error:
        return _fail(verb, sentence(error), error.status)
    except BrokenPipeError as error:
        return _unread(verb, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user reads a sentence, and a developer may ask for more
        return _fail(verb, _surprised(error), 1)
    return 0


def _run(verb: str, args: Sequence[str], run: Run) -> None:
    """Run a verb with its overrides."""
    given, trust = take_trust([arg for arg in args if arg != PRINT_FLAG])
    if flags := [arg for arg in given if arg.startswith("-")]:
        raise ConfigError(f"No option {flags[0]!r}; there are {PRINT_FLAG} and --help, all else is KEY=VALUE.")
    with trusting(trust=trust):
        run(with_keys(verb, given), show=PRINT_FLAG in args)


def debugging() -> bool:
    """Tell whether a developer reads along: tracebacks are shown instead of sentences."""
    return os.environ.get(DEBUG.partition("=")[0], "0") not in {"", "0"}


def print_config(config: DictConfig) -> None:
    """Print a config as YAML, with every reference resolved that can be."""
    missing = OmegaConf.missing_keys(config)
    print(OmegaConf.to_yaml(config, resolve=not missing), end="")


def help_text(
    verb: str,
    epilog: str,
    shown: Sequence[str] | None = None,
    *,
    configs: Sequence[str] | None = None,
    args: Sequence[str] = (),
) -> str:
    """Describe a verb: what it does, its keys with their defaults, the groups and their choices, examples.

    With choices such as ``model=padim`` among the arguments, their own keys follow in place of the lists of choices.

    Args:
        verb: Its name.
        epilog: Examples.
        shown: Groups to list; None: those in the defaults list.
        configs: Names of the configs that hold its keys, the one that says what it does first; None: that of the verb.
        args: Of the command.

    Raises:
        ConfigError: A choice among the arguments is none.
    """
    lines = [line for name in configs or (verb,) for line in _read_with_base(name)]
    named = usage(verb) if configs is None else "".join(f"{name.replace('/', '=')} " for name in configs[:1])
    typed = f"usage: loupe {verb} {named}[KEY=VALUE ...] [--print] [--help]"
    parts = [lines[0].lstrip("# "), "", typed, "", "keys:"]
    parts += key_lines(lines[1:])
    parts += [_help_line("trust=false", TRUST)] if verb in OPENS_RUNS else []
    defaults = _defaults(lines)
    listed = [
        group for group, choices in groups().items() if choices and group in (defaults if shown is None else shown)
    ]
    chosen = chosen_choices(args, listed)
    for group, choice in chosen.items():
        parts += [
            "",
            f"{group}={choice}: {describe(group, choice)}",
            *key_lines(_choice_lines(group, choice), f"{group}."),
        ]
    for group in [] if chosen else listed:
        choices = groups()[group]
        default = defaults.get(group, "null")
        parts += ["", f"{group}=" if default == "null" else f"{group}=  (default {default})"]
        parts += [_help_line(choice, describe(group, choice)) for choice in choices]
    if chosen:
        parts += ["", f"loupe {verb} --help lists the choices of every group."]
    elif {"data", "model"} & set(listed):
        example = " ".join(f"{group}=NAME" for group in ("data", "model") if group in listed)
        parts += ["", f"The keys of a choice: loupe {verb} {example} --help"]
    parts += [
        "",
        "Any key of the config can be set; --print shows them all, and what a command would run with.",
        "--config-dir=DIR adds a folder of configs of your own: DIR/model/NAME.yaml is model=NAME.",
        "",
        epilog,
    ]
    return "\n".join(parts)


def chosen_choices(args: Sequence[str], listed: Sequence[str]) -> dict[str, str]:
    """Return the choices that arguments name, by group.

    Raises:
        ConfigError: One is misspelt; names the nearest right one.
    """
    chosen = {}
    for override in parse_overrides([arg for arg in args if "=" in arg and not arg.startswith("-")]):
        if override.key_or_group in listed and isinstance(override.value(), str):
            check_choice(override, groups()[override.key_or_group])
            chosen[override.key_or_group] = str(override.value())
    if "data" in listed and "data" not in chosen and any(not HELP_FLAGS & {arg} and is_word(arg) for arg in args):
        chosen["data"] = "folder"  # what a path alone means
    return chosen


def _choice_lines(group: str, choice: str) -> list[str]:
    """Read the lines of a choice's config, followed by those of the configs of its group that it extends."""
    lines = choice_file(group, choice).read_text(encoding="utf-8").splitlines()
    base = [line.partition("[")[2].partition("]")[0] for line in lines if line.startswith("defaults: [")]
    names = [name.strip() for text in base for name in text.split(",") if name.strip() not in {"", "_self_"}]
    own = [line for line in lines if not line.startswith("_target_")]
    return own + [line for name in names for line in _choice_lines(group, name)]


def key_lines(lines: Sequence[str], prefix: str = "") -> list[str]:
    """Describe the keys of a config's text; of a key that comes twice, as in the config that it extends, the first."""
    keys = [line for line in lines if line and line[0].isalpha() and not line.startswith("defaults")]
    first: dict[str, str] = {}
    for line in keys:
        first.setdefault(line.partition(":")[0], line)
    return [_help_line(f"{prefix}{entry}", comment) for entry, comment in map(_split_key, first.values())]


def _read_with_base(verb: str) -> list[str]:
    """Read the lines of a verb's config, followed by those of the config that it extends, if any."""
    lines = (CONFIG_DIR / f"{verb}.yaml").read_text(encoding="utf-8").splitlines()
    base = [line.removeprefix("  - ") for line in lines if line.startswith("  - ") and ":" not in line]
    return lines + [line for name in base if name != "_self_" for line in _read_with_base(name)]


def _help_line(name: str, text: str) -> str:
    return f"  {name:<22} {text}".rstrip()


def _split_key(line: str) -> tuple[str, str]:
    """Split ``key: value  # comment`` to ``key=value`` and the comment."""
    entry, _, comment = line.partition("#")
    key, _, value = entry.partition(":")
    shown = value.strip().replace("???", "(needed)")
    return f"{key}={shown}", comment.strip()


def _defaults(lines: Sequence[str]) -> dict[str, str]:
    """Read the default choice of every group from a defaults list."""
    plain = (line.partition("#")[0].strip("- ") for line in lines if line.startswith("  - "))
    entries = [entry.split(": ") for entry in plain if ": " in entry]
    return dict(entries)


def quiet_libraries() -> None:
    """Silence notes of libraries that tell our users nothing they could act on."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero", "anomalib"):
        logging.getLogger(name).setLevel(logging.ERROR)  # the parents' levels are reset when lightning is imported
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(anomalib|timm)\.")  # their own renames
    warnings.filterwarnings("ignore", module=r"lightning\.")  # worker counts, log intervals: chosen on purpose


def _surprised(error: Exception) -> str:
    words = explain(error) or f"{surprise(error)}; {DEBUG} shows where"
    return "; ".join([words, *getattr(error, "__notes__", ())])


def _unread(verb: str, error: BrokenPipeError) -> int:
    """End a command whose output nobody takes any more: with a word where something had begun."""
    if not is_unread():
        return _fail(verb, _surprised(error), 1)
    notes = [note for note in error.__notes__ if note != NOT_BEGUN]
    return _fail(verb, "; ".join(["nobody takes what it prints", *notes]), UNREAD) if notes else UNREAD


def _fail(verb: str, words: str, status: int) -> int:
    if debugging():
        traceback.print_exc()
    print(f"loupe {verb}: {words}", file=sys.stderr)
    return status
