"""From a leaderboard to the content of the sweep's page."""

from __future__ import annotations

import shlex
from statistics import fmean
from typing import TYPE_CHECKING, Any

from callbacks.report.sweep_content import Span, SweepContent, SweptTrial
from callbacks.report.wording import plural
from tools.runs.run_files import REPORT

from .board import duration
from .data_names import DATA_KEYS, data_names, place_of
from .failures import causes
from .importance import importances

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .journal import Trial
    from .leaderboard import Leaderboard

SEED, FOLD = "seed", "data.fold"
_LONG = 7  # characters of a number that nobody typed


def page_content(board: Leaderboard, folder: Path, *, reason: str = "", refresh_s: int | None = None) -> SweepContent:
    """Gather what the page shows.

    Args:
        board: All trials, ranked.
        folder: Of the sweep.
        reason: Why nothing is left to try; empty where something may be.
        refresh_s: After how many seconds a browser should read the page again; None: the sweep has ended.
    """
    keys = [key for key in board.keys if key not in (*DATA_KEYS, SEED, FOLD)]
    names = data_names(board.trials)
    swept = [
        _swept(trial, keys, names[place_of(trial)], rank, board, folder)
        for trial, rank in zip(board.trials, board.ranks(), strict=True)
    ]
    axes = {"data": _ordered(one.data for one in swept)} | {
        key: _ordered(one.setting.get(key, "") for one in swept) for key in keys
    }
    axes |= {SEED: _ordered(one.seed for one in swept)}
    judged = [one for one in swept if one.ranked]
    silence = _silence(judged)
    weighed = {} if silence or refresh_s is not None else _importances(judged, keys)
    return SweepContent(
        title=folder.name,
        trials=swept,
        axes={key: values for key, values in axes.items() if values},
        importances=list(weighed.items()),
        about=_about(board.trials, folder),
        command=shlex.join(["loupe", "sweep", "resume", str(folder)]),
        warnings=_warnings(board.trials, judged),
        remarks=[*board.remarks(), *filter(None, [reason])],
        failures=[(cause.sentence, cause.trials, f"logs/{cause.first}.txt") for cause in causes(board.trials)],
        silence="" if weighed else silence,
        refresh_s=refresh_s,
    )


def _swept(trial: Trial, keys: Sequence[str], data: str, rank: int, board: Leaderboard, folder: Path) -> SweptTrial:
    found = trial.result
    where = folder / "trials" / trial.id / REPORT
    ranked = trial.state == "complete"  # the figure of one that was pruned is of an epoch that it did not stay at
    return SweptTrial(
        id=trial.id,
        state=trial.state,
        data=data,
        seed=_repetition(trial, board.keys),
        setting={key: _short(trial.setting[key]) for key in keys if key in trial.setting},
        calibration=_span(trial.objective, found.get("objective_low"), found.get("objective_high"), known=ranked),
        test=_test(found.get("metrics", {}).get("image_auroc", {})),
        milliseconds=found.get("milliseconds_per_picture"),
        size_mib=found.get("checkpoint_mib"),
        seconds=trial.seconds,
        page=where.relative_to(folder).as_posix() if where.is_file() else "",
        alone=trial.milliseconds_alone,
        rank=rank,
        number=board.order[trial.id],
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


def _test(entry: Mapping[str, Any]) -> Span | None:
    return _span(entry.get("value"), entry.get("low"), entry.get("high"))


def _span(value: float | None, low: float | None, high: float | None, *, known: bool = True) -> Span | None:
    if value is None:
        return None
    return (value, low, high) if known else (value, None, None)


def _ordered(texts: Any) -> list[str]:
    """Sort the values of a key: numbers by size, words by name; without the empty one."""
    known = {text for text in texts if text}
    try:
        return sorted(known, key=float)
    except ValueError:
        return sorted(known)


def _silence(judged: Sequence[SweptTrial]) -> str:
    """Say why nothing can be said about what mattered: on no data set do two intervals lie apart."""
    for name in {one.data for one in judged}:
        spans = [one.calibration for one in judged if one.data == name and one.calibration is not None]
        lows = [low for _, low, _ in spans if low is not None]
        highs = [high for _, _, high in spans if high is not None]
        if lows and highs and max(lows) > min(highs):
            return ""
    if len(judged) < 2:
        return ""
    return "The intervals of all trials overlap, so these figures cannot tell which key mattered."


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
    if failed := causes(trials):
        count = sum(cause.trials for cause in failed)
        found.append(f"{plural(count, 'trial')} failed, for {plural(len(failed), 'reason')}: {failed[0].sentence}")
    if blind := [trial for trial in trials if trial.state == "complete" and trial.objective is None]:
        found.append(
            f"{plural(len(blind), 'trial')} could not be ranked: their calibration pictures are all good, or all "
            "defective; data.calibration_from=test takes some of the test pictures."
        )
    return found
