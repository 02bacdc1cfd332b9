"""From a leaderboard to the content of the sweep's page."""

from __future__ import annotations

import shlex
from statistics import fmean
from typing import TYPE_CHECKING, Any

from callbacks.report.sweep_page import SweepContent, SweptTrial
from callbacks.report.wording import plural

from .board import duration
from .importance import importances
from .leaderboard import DATA_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .journal import Trial
    from .leaderboard import Leaderboard

SEED, FOLD = "seed", "data.fold"
PAGE = "report/index.html"
_LONG = 7  # characters of a number that nobody typed


def page_content(board: Leaderboard, folder: Path) -> SweepContent:
    """Gather what the page shows.

    Args:
        board: All trials, ranked.
        folder: Of the sweep.
    """
    keys = [key for key in board.keys if key not in (*DATA_KEYS, SEED, FOLD)]
    sets = [key for key in board.keys if key in DATA_KEYS]
    swept = [_swept(trial, keys, sets, board.keys, folder) for trial in board.trials]
    axes = {"data": _ordered(one.data for one in swept)} | {
        key: _ordered(one.setting.get(key, "") for one in swept) for key in keys
    }
    axes |= {SEED: _ordered(one.seed for one in swept)}
    judged = [one for one in swept if one.state == "complete" and one.calibration is not None]
    return SweepContent(
        title=folder.name,
        trials=swept,
        axes={key: values for key, values in axes.items() if values},
        importances=list(_importances(judged, keys).items()),
        about=_about(board.trials, folder),
        command=shlex.join(["loupe", "sweep", "resume", str(folder)]),
        warnings=_warnings(board.trials, judged),
    )


def _swept(trial: Trial, keys: Sequence[str], sets: Sequence[str], varied: Sequence[str], folder: Path) -> SweptTrial:
    found = trial.result
    where = folder / "trials" / trial.id / PAGE
    return SweptTrial(
        id=trial.id,
        state=trial.state,
        data=" ".join(trial.setting[key].rstrip("/").rpartition("/")[2] for key in sets if key in trial.setting),
        seed=_repetition(trial, varied),
        setting={key: _short(trial.setting[key]) for key in keys if key in trial.setting},
        calibration=_span(trial.objective, found.get("objective_low"), found.get("objective_high")),
        test=_test(found.get("metrics", {}).get("image_auroc", {})),
        milliseconds=found.get("milliseconds_per_picture"),
        size_mib=found.get("checkpoint_mib"),
        seconds=trial.seconds,
        page=where.relative_to(folder).as_posix() if where.is_file() else "",
    )


def _repetition(trial: Trial, varied: Sequence[str]) -> str:
    """Say which of several seeds and folds a trial had."""
    seed = trial.setting.get(SEED, "") if SEED in varied else ""
    fold = f"fold {trial.setting[FOLD]}" if FOLD in varied and FOLD in trial.setting else ""
    return ", ".join(filter(None, (seed, fold)))


def _short(text: str) -> str:
    """Round the numbers of a search to what a reader can use; leaderboard.csv has them whole."""
    try:
        return f"{float(text):.3g}" if len(text) > _LONG else text
    except ValueError:
        return text


def _test(entry: Mapping[str, Any]) -> tuple[float, float, float] | None:
    return _span(entry.get("value"), entry.get("low"), entry.get("high"))


def _span(value: float | None, low: float | None, high: float | None) -> tuple[float, float, float] | None:
    if value is None:
        return None
    return value, value if low is None else low, value if high is None else high


def _ordered(texts: Any) -> list[str]:
    """Sort the values of a key: numbers by size, words by name; without the empty one."""
    known = {text for text in texts if text}
    try:
        return sorted(known, key=float)
    except ValueError:
        return sorted(known)


def _importances(judged: Sequence[SweptTrial], keys: Sequence[str]) -> dict[str, float]:
    """Judge keys by objectives less the mean of their data set, which would explain the most and teach the least."""
    means = {
        name: fmean(one.calibration[0] for one in judged if one.data == name and one.calibration)
        for name in {one.data for one in judged}
    }
    settings = [{**one.setting, **({SEED: one.seed} if one.seed else {})} for one in judged]
    values = [one.calibration[0] - means[one.data] for one in judged if one.calibration]
    return importances(settings, values, [*keys, SEED])


def _about(trials: Sequence[Trial], folder: Path) -> list[tuple[str, str]]:
    shared = sum(trial.result.get("shared", 0) for trial in trials)
    halved = sum(trial.batch_size is not None for trial in trials)
    return [
        ("trials", f"{len(trials):,}"),
        ("work", f"{duration(sum(trial.seconds for trial in trials))} of trials, one after the other"),
        ("shared", f"{plural(shared, 'step')} read from other trials instead of computed"),
        *([("memory", f"{plural(halved, 'trial')} ran out of memory and had half the batch")] if halved else []),
        ("folder", str(folder)),
    ]


def _warnings(trials: Sequence[Trial], judged: Sequence[SweptTrial]) -> list[str]:
    """Say what nobody who chooses by this page should miss."""
    advice = (
        "Choose by the calibration figures. A trial that is picked by its test figures is flattered by them: the test "
        "pictures then choose instead of judging, and the chosen one will do worse on new parts."
    )
    found = [advice]
    if len(judged) > 1:
        found.append(
            f"The best of {len(judged)} is partly the luckiest of them: its calibration figure is optimistic, too. Its "
            "test figure, looked at once, is not."
        )
    if failed := [trial for trial in trials if trial.state == "failed"]:
        said = failed[0].error.strip().splitlines()
        found.append(
            f"{plural(len(failed), 'trial')} failed; for example: {said[-1] if said else 'no reason is known'}"
        )
    if blind := [trial for trial in trials if trial.state == "complete" and trial.objective is None]:
        found.append(
            f"{plural(len(blind), 'trial')} could not be ranked: their calibration pictures are all good, or all "
            "defective; data.calibration_from=test takes some of the test pictures."
        )
    return found
