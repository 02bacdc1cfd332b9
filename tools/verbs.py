"""The verbs as functions: what ``loupe train`` and ``loupe predict`` do, for programs and notebooks.

They take the words of the command line, and its keys by name too; they print what the commands print, raise what those
turn into sentences, and return what was made.
"""

from __future__ import annotations

import os
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from . import predict as predict_verb
from . import train as train_verb
from .command import quiet_libraries
from .configuring.positions import quoted, with_keys
from .configuring.trust import take_trust, trusting
from .notebook import metrics_html, predictions_html
from .runner.writing import DEFECTS, TABLE
from .runs.known_runs import find_run
from .runs.run_files import METRICS, PREDICTIONS, REPORT
from .runs.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Word = str | os.PathLike[str]

_NAME = re.compile(r"[A-Za-z_]\w*")
# Words that a grammar may take for something else.
_VALUES = {"true", "false", "null", "nan", "inf", "on", "off", "yes", "no"}
# Columns of words, in which nothing is written as nothing; in all others that is NaN.
_WORDS = (
    *("name", "image_path", "verdict", "kind", "group", "defect", "accepted", "reasons", "unusual", "error"),
    *("type", "zone", "severity"),
)


@dataclass(frozen=True)
class Run:
    """A run that was trained.

    Attributes:
        path: Its folder.
    """

    path: Path

    @classmethod
    def open(cls, wanted: str | Path) -> Run:
        """Open a run by its folder, by its name, or as ``latest``.

        Raises:
            ConfigError: There is none.
        """
        return cls(RunFolder.open(find_run(str(wanted))).path)

    @property
    def metrics(self) -> pd.DataFrame:
        """What the test measured: ``value``, and the ends ``low`` and ``high`` of its interval, by name.

        NaN where there is none.
        """
        found = RunFolder(self.path).read_json(METRICS).get("test", {})
        rows = {name: _row(value) for name, value in found.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"], dtype=float)

    @property
    def predictions(self) -> pd.DataFrame:
        """One row per test image."""
        return _frame(self.path / PREDICTIONS)

    @property
    def report(self) -> Path:
        """The page; not there where the run was told to write none."""
        return self.path / REPORT

    def _repr_html_(self) -> str:
        """Show a notebook its figures."""
        return metrics_html(self.path, self.metrics, self.report)

    def predict(self, *sources: Word, **keys: Any) -> Predictions:
        """Judge files, folders, globs, archives or videos, as ``loupe predict`` does.

        Args:
            sources: What to judge.
            keys: As ``loupe.predict``.

        Raises:
            ConfigError: The run or a key is not usable.
            DataError: A source names no image.
        """
        return predict(self.path, *sources, **keys)


@dataclass(frozen=True)
class Predictions:
    """What became of images that were judged.

    Attributes:
        path: The folder of their tables, overlays and masks.
    """

    path: Path

    @property
    def frame(self) -> pd.DataFrame:
        """One row per image: score, verdict, and ``error`` where it could not be judged."""
        return _frame(self.path / TABLE)

    @property
    def defects(self) -> pd.DataFrame:
        """One row per defect; none where nobody measures them."""
        path = self.path / DEFECTS
        return _frame(path) if path.is_file() else pd.DataFrame()

    @property
    def overlays(self) -> list[Path]:
        """The images that were written with what was found drawn over them."""
        return sorted((self.path / "overlays").rglob("*.jpg"))

    def _repr_html_(self) -> str:
        """Show a notebook the images with their verdicts."""
        return predictions_html(self.path, [row.to_dict() for _, row in self.frame.iterrows()])


def train(*words: Word, **keys: Any) -> Run:
    """Train on a folder of images, calibrate, test and write a report.

        run = loupe.train("PATH", "trainer.max_epochs=5", model="unet")

    Args:
        words: What stands behind ``loupe train``: a folder, and ``KEY=VALUE``.
        keys: The same keys as Python values. A key with a point in it is written ``**{"data.image_size": [64, 64]}``.

    Raises:
        ConfigError: A key or a value is wrong.
        DataError: The images cannot be used.
        WeightsError: Pre-trained weights cannot be had.
    """
    with _words("train", words, keys) as overrides:
        folder = train_verb.run(overrides, show=False)
    return Run(_made(folder))


def predict(*words: Word, **keys: Any) -> Predictions:
    """Judge images by a run, a bundle or a line.

        loupe.predict("latest", "x.png", "folder", overlay="all").frame

    An image that cannot be judged becomes a row that says why; ``errors="fail"`` raises at the end instead.

    Args:
        words: What stands behind ``loupe predict``: a run, what to judge, and ``KEY=VALUE``.
        keys: The same keys as Python values, as in ``train``.

    Raises:
        ConfigError: The run, the bundle or a key is not usable.
        DataError: Nothing to judge was found.
    """
    named = "errors" in keys or any(str(word).startswith("errors=") for word in words)
    with _words("predict", words, keys if named else keys | {"errors": "ok"}) as overrides:
        folder = predict_verb.run(overrides, show=False)
    return Predictions(_made(folder))


@contextmanager
def _words(verb: str, words: tuple[Word, ...], keys: dict[str, Any]) -> Iterator[list[str]]:
    """Turn words and keys into overrides; meanwhile, what libraries say to themselves is kept from the reader."""
    given = [os.fspath(word) for word in words]
    overrides, trust = take_trust([*given, *(f"{key}={_text(value)}" for key, value in keys.items())])
    with warnings.catch_warnings(), trusting(trust=trust):
        quiet_libraries()
        yield with_keys(verb, overrides)


def _text(value: Any) -> str:
    """Write a value in the grammar of overrides."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, str | os.PathLike):
        word = os.fspath(value)
        return word if _NAME.fullmatch(word) and word.lower() not in _VALUES else quoted(word)
    return repr(value)


def _made(folder: Path | None) -> Path:
    if folder is None:
        raise TypeError("Expected a verb to make a folder, but it made none.")
    return folder


def _frame(path: Path) -> pd.DataFrame:
    """Read a table; words stay words, empty ones included, and numbers that are missing are NaN."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(_WORDS, str)).fillna(
        dict.fromkeys(_WORDS, "")
    )


def _row(value: Any) -> list[Any]:
    """Spread an estimate to its value and its ends; a bare number has none."""
    return [value.get(name) for name in ("value", "low", "high")] if isinstance(value, dict) else [value, None, None]
