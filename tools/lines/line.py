"""What every line does, and the way from ``loupe predict line=NAME`` to it."""

from __future__ import annotations

import shlex
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from omegaconf import OmegaConf, open_dict

from callbacks.report.signing import with_certificate
from configs import CONFIG_DIR
from datamodules.errors import DataError
from datamodules.files.made_folders import make_folder
from datamodules.files.whole_files import write_whole
from tools.configuring.config import compose_config, groups, parse_overrides, require_values
from tools.errors import ConfigError
from tools.signals import keeping_note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

GROUP = "line"
ACCEPTANCE = "acceptance"  # a group of its own, and a key of lines whose parts are accepted by rules
ERRORS = ("fail", "ok")


@dataclass(frozen=True)
class Judged:
    """What a line left.

    Attributes:
        summary: What was found, in a few lines.
        failed: Files that could not be judged.
        page: To look at; None where none was written.
    """

    summary: str
    failed: int
    page: Path | None


class Line(Protocol):
    """A procedure that judges images of one domain.

    One that has a ``record``, the name of a file, goes on in a folder that holds it.
    """

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Judge what ``sources`` name, and write tables and pages to ``out``.

        Raises:
            DataError: There is nothing to judge.
        """


def names_line(overrides: Sequence[str]) -> bool:
    """Tell whether a command names a line."""
    return any(override.key_or_group == GROUP for override in parse_overrides(overrides))


def compose_line(overrides: Sequence[str]) -> DictConfig:
    """Compose the config of a command; the keys of the line may be set by themselves: ``mode=seed``.

    Raises:
        ConfigError: A key or a value is wrong.
    """
    parsed = parse_overrides(overrides)
    chosen = next(str(override.value()) for override in parsed if override.key_or_group == GROUP)
    own = set(OmegaConf.load(CONFIG_DIR / "predict_line.yaml"))
    keys = line_keys(chosen) - own - {ACCEPTANCE}
    config = compose_config("predict_line", [_placed(override, keys) for override in parsed])
    if config.errors not in ERRORS:
        raise ConfigError(f"Expected errors to be one of {', '.join(ERRORS)}, but found {config.errors!r}.")
    return _with_acceptance(config, chosen)


def line_keys(line: str) -> set[str]:
    """Return the keys that a line takes; none where there is no such line."""
    file = CONFIG_DIR / GROUP / f"{line}.yaml"
    return set(map(str, OmegaConf.load(file))) if file.is_file() else set()


def named_line(args: Sequence[str]) -> str:
    """Return the line that a command names, where there is one of that name; else nothing."""
    named = [value for key, _, value in (arg.partition("=") for arg in args) if key == GROUP]
    return named[-1] if named and line_keys(named[-1]) else ""


def _with_acceptance(config: DictConfig, chosen: str) -> DictConfig:
    """Hand the rules for parts to the line.

    Raises:
        ConfigError: It has no parts to judge.
    """
    rules = config.pop(ACCEPTANCE, None)
    if rules:
        if ACCEPTANCE not in config.line:
            raise ConfigError(f"Expected no acceptance for line={chosen}, which judges no parts, but found one.")
        with open_dict(config.line):
            config.line[ACCEPTANCE] = rules
    return config


def _placed(override: Override, keys: set[str]) -> str:
    """Return an override as it was written, with the line before a key that is its own."""
    written = str(override.input_line)
    return f"{GROUP}.{written}" if override.key_or_group in keys else written


def run_line(config: DictConfig, line: Line, overrides: Sequence[str]) -> Path:
    """Judge, and say what was found; return the folder of the results.

    Raises:
        ConfigError: ``out`` holds something already.
        DataError: There is nothing to judge, or something could not be judged (``errors=ok`` lets that pass).
    """
    require_values(config)
    sources = [config.source] if isinstance(config.source, str) else list(config.source)
    out = new_folder(config.out, str(config.choices[GROUP]), getattr(line, "record", ""))
    command = shlex.join(["loupe", "predict", *overrides])
    with nullcontext() if hasattr(line, "record") else _alone(out), keeping_note(lambda: how_to_go_on(line, out)):
        found = line.predict(sources, out, page=bool(config.page), command=command)  # a record owns its folder itself
    if found.page is not None:
        html = with_certificate(found.page.read_text(encoding="utf-8"), str(config.lot or ""), str(config.part or ""))
        write_whole(found.page, html.encode())
    print(found.summary)
    print(f"Results {out}")
    if found.page is not None:
        print(f"Page {found.page}")
    if found.failed and config.errors != "ok":
        raise DataError(
            f"Expected to judge everything, but {found.failed} files could not be: see {out / 'errors.csv'}; errors=ok "
            "lets that pass."
        )
    return out


def how_to_go_on(line: Line, out: Path) -> str:
    """Say what an interrupted call left."""
    if not hasattr(line, "record"):
        return f"what was written stays in {out}; run the command again with another out"
    return f"what is done stays in {out}; the same command with out={shlex.quote(str(out))} goes on"


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Own a new or empty folder inside the block.

    Raises:
        ConfigError: Another call was first.
    """
    from tools.runs.ownership import sole_writer  # noqa: PLC0415 - help and errors do without OpenCV

    with sole_writer(out):
        if _holds_results(out):
            raise ConfigError(f"Expected out to be a new or empty folder, but found results at {out}.")
        yield


def _holds_results(folder: Path) -> bool:
    from tools.runner.owning import LOCK  # noqa: PLC0415 - help and errors do without OpenCV

    return any(path.name != LOCK for path in folder.iterdir())


def new_folder(wanted: str | None, name: str, record: str = "") -> Path:
    """Make a folder for results, exclusively; where its name is left to the clock, count on.

    Args:
        wanted: The folder; None: one by the clock.
        name: Of the line.
        record: A file by which a folder is known as that of an interrupted call, which goes on; empty: none does.

    Raises:
        ConfigError: It is there already, with something in it, or cannot be made.
    """
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    for count in range(1, 10_000):
        stem = Path(wanted).expanduser() if wanted else Path("predictions") / f"{name}_{stamp}"
        path = stem if count == 1 else stem.with_name(f"{stem.name}_{count}")
        try:
            make_folder(path)
        except FileExistsError:
            if not wanted:
                continue
            if record and (path / record).is_file():
                return path.resolve()
            if not path.is_dir() or _holds_results(path):
                raise ConfigError(f"Expected out to be a new or empty folder, but found results at {path}.") from None
        except OSError as error:
            raise ConfigError(f"Expected out to be a folder to write to, but {path}: {error.strerror}.") from error
        return path.resolve()
    raise ConfigError("Expected a free name under predictions/, but ten thousand are taken; set out=FOLDER.")


def lines() -> list[str]:
    """List the names of all lines."""
    return groups().get(GROUP, [])
