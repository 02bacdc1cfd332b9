"""What is served: runs and bundles, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.configuring.positions import quoted
from tools.errors import ConfigError
from tools.runner import Bundle, BundleError
from tools.runner.decision import ALL
from tools.runner.predicting import known_kinds
from tools.runner.specification import SPEC
from tools.runs.known_runs import find_run
from tools.runs.trained import find_trained

from .batching import Batcher
from .likeness import Likeness, good_of_bundle, good_of_run
from .limits import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tools.runner.judge import Judge

    from .likeness import Source

RUN, BUNDLE = "run", "bundle"
PATH_PARTS = 2  # of a run's name: NAME/ID


@dataclass(frozen=True)
class Served:
    """A model that is served.

    Attributes:
        name: By which callers choose it.
        sort: ``run`` or ``bundle``.
        judge: What judges.
        batcher: Its queue.
        kinds: Sub-populations that it tells apart.
        likeness: Good images to show beside others.
    """

    name: str
    sort: str
    judge: Judge
    batcher: Batcher
    kinds: tuple[str, ...]
    likeness: Likeness

    def about(self) -> dict[str, Any]:
        """Plain values that callers may know; no paths."""
        decision = self.judge.decision
        return {
            "name": self.name,
            "sort": self.sort,
            "height": self.judge.size[0],
            "width": self.judge.size[1],
            "threshold": float(decision.image[ALL]),
            "promise": decision.promise,
            "kinds": list(self.kinds),
            "thresholds": {kind: value for kind, (value, _) in self.judge.own_thresholds().items()},
            "acceptance": "" if self.judge.acceptance is None else self.judge.acceptance.name,
            "model": {key: str(value) for key, value in self.judge.about.items()},
        }


class Catalogue:
    """The models that are served; the first is the one that is meant where nobody says.

    Args:
        models: In the order in which they are listed.
    """

    def __init__(self, models: Sequence[Served]) -> None:
        self.models = {model.name: model for model in models}

    def find(self, name: str, kind: str = "") -> Served:
        """Find a model, and check that it knows the kind.

        Raises:
            RefusedError: There is no such model or kind.
        """
        served = next(iter(self.models.values())) if not name else self.models.get(name)
        if served is None:
            known = ", ".join(self.models)
            raise RefusedError(404, f"Expected model to be one of {known}, but found {name!r}.")
        if kind and kind not in served.kinds:
            known = f"one of {', '.join(served.kinds)}" if served.kinds else "empty, since this model tells none apart"
            raise RefusedError(404, f"Expected kind to be {known}, but found {kind!r}.")
        return served

    @property
    def waiting(self) -> int:
        """Images that have no result yet."""
        return sum(model.batcher.waiting for model in self.models.values())

    def close(self) -> None:
        """Judge what was handed in, and end."""
        for model in self.models.values():
            model.batcher.close()


def open_catalogue(runs: Any, bundles: Any, batch_size: int, waiting: int) -> Catalogue:
    """Open what ``run=`` and ``bundle=`` name: one, a list, or NAME: PATH.

    Raises:
        ConfigError: There is nothing to serve, or something cannot be opened.
    """
    models: list[Served] = []
    openers: Mapping[str, Callable[[str], Judge]] = {BUNDLE: open_bundle, RUN: open_run}
    for sort, asked in ((BUNDLE, bundles), (RUN, runs)):
        for own, word in _named(asked):
            sort_found = BUNDLE if (Path(word).expanduser() / SPEC).is_file() else sort
            judge = openers[sort_found](word)
            name = _free(own or _name_of(sort_found, word, judge), [model.name for model in models])
            batcher = Batcher(judge, batch_size, waiting)
            likeness = Likeness(good_of(sort_found, word), judge.white_level)
            models.append(Served(name, sort_found, judge, batcher, tuple(known_kinds(judge)), likeness))
    if not models:
        raise ConfigError("Expected run= or bundle=, but found neither; loupe runs lists the runs that there are.")
    return Catalogue(models)


def good_of(sort: str, word: str) -> list[Source]:
    """List the good images that can be shown beside others."""
    if sort == BUNDLE:
        return good_of_bundle(Path(word).expanduser())
    found = find_run(word).resolve()
    return good_of_run(found.parent.parent if found.is_file() else found)


def _named(asked: Any) -> list[tuple[str, str]]:
    """List the names that were given, if any, and the words that stand for models."""
    if asked is None:
        return []
    if isinstance(asked, dict):
        return [(str(name), str(word)) for name, word in asked.items()]
    return [("", str(word)) for word in (asked if isinstance(asked, list) else [asked])]


def open_bundle(word: str) -> Judge:
    """Open a bundle.

    Raises:
        ConfigError: It cannot be opened.
    """
    try:
        return Bundle(word)
    except BundleError as error:
        raise ConfigError(str(error)) from error


def open_run(word: str) -> Judge:
    """Open a run, by its folder or its name; this loads torch.

    Raises:
        ConfigError: It cannot be opened.
    """
    trained = find_trained("predict", [f"run={quoted(word)}"], changeable=())
    from tools.runs.predicting import judge_of  # noqa: PLC0415 - torch takes seconds, and bundles do without
    from tools.runs.reading import reading_of  # noqa: PLC0415

    try:
        return judge_of(trained, reading_of(trained.config.data))
    except BundleError as error:
        raise ConfigError(str(error)) from error


def _name_of(sort: str, word: str, judge: Judge) -> str:
    if sort == BUNDLE:
        return str(judge.about["bundle"])
    parts = find_run(word).resolve().parts
    return "/".join(part for part in parts[-PATH_PARTS:] if part)


def _free(name: str, taken: Sequence[str]) -> str:
    """Count on from a name until nobody has it."""
    count, free = 1, name
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return free
