"""``loupe sweep``: try many settings, resume, extend, rank; ``show``, ``resume`` and ``best`` look at what is there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from configs import CONFIG_DIR

from .command import key_lines, run_verb
from .configuring.config import nearest
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ACTIONS = ("show", "resume", "best")
EPILOG = """several values make a sweep, in Hydra's grammar: A,B,C  'range(1,10,2)'  'choice(a,b)'  'glob(*)';
a search takes ranges, too: 'interval(0.01,0.2)'  'tag(log,interval(1e-5,1e-2))'  'int(interval(1,9))'.
A key that a chosen model does not know counts for the other models alone.

examples:
  loupe sweep data=oring data.root=PATH model=patchcore,padim model.coreset_ratio=0.01,0.1 seed=0,1,2
  loupe sweep data=folder data.root=PATH model.coreset_ratio='tag(log,interval(0.005,0.2))' sweep=search
  loupe sweep sweep=patchcore data=folder data.root=PATH sweep.minutes=60 name=rings
  loupe sweep ... sweep.address=auto        # the same trials on a Ray cluster
  loupe sweep show runs/rings               # the leaderboard
  loupe sweep resume runs/rings             # go on where it was killed
  loupe sweep best runs/rings metric=image_auroc
  loupe sweep best runs/lines data=fiber    # of several data sets, one

With sweep.pair=[data,data.root] the first data= goes with the first data.root=, and so on.
The same command again goes on; a longer list runs what is new. Nothing done is repeated."""


def main(args: Sequence[str]) -> int:
    """Sweep from overrides; return the exit status."""
    own = (CONFIG_DIR / "sweep" / "default.yaml").read_text(encoding="utf-8").splitlines()
    keys = "\n".join(["keys of the sweep itself:", *key_lines(own, "sweep.")])
    return run_verb("sweep", args, run, f"{keys}\n\n{EPILOG}")


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Plan and sweep, or look at a sweep that is there."""
    words = [arg for arg in overrides if "=" not in arg and not arg.startswith("~")]
    if words:
        _act(words, [arg for arg in overrides if "=" in arg], show=show)
        return
    _sweep(overrides, show=show)


def _sweep(overrides: Sequence[str], *, show: bool, origin: Path | None = None) -> None:
    """Plan and sweep; ``origin`` is the folder that the overrides come from, where nobody typed them."""
    from .runs.held_splits import name_held_runs  # noqa: PLC0415
    from .sweeps.plan import read_plan, show_plan  # noqa: PLC0415 - Hydra's grammar; help does without

    plan = read_plan(overrides if origin is not None else name_held_runs(overrides))
    if origin is not None:
        from .sweeps.stranger import check_plan  # noqa: PLC0415

        check_plan(plan, origin)
    if show:
        print(show_plan(plan))
        return
    from .sweeps.sweeping import sweep  # noqa: PLC0415

    sweep(plan)


def _act(words: Sequence[str], options: Sequence[str], *, show: bool) -> None:
    """Show, resume, or name the best of a sweep's folder.

    Raises:
        ConfigError: The words are not an action and a folder.
    """
    action, *folders = words
    if action not in ACTIONS or len(folders) != 1:
        near = nearest(action, ACTIONS)
        hint = f"did you mean 'loupe sweep {near} FOLDER'?" if near else f"write {', '.join(ACTIONS)}, and a folder."
        raise ConfigError(
            f"Expected KEY=VALUE, or one of {', '.join(ACTIONS)} and a folder, but found {' '.join(words)!r}; {hint}"
        )
    from .sweeps import leaderboard  # noqa: PLC0415 - as above

    if action == "resume":
        from .sweeps.journal import last_mark, last_plan  # noqa: PLC0415
        from .sweeps.own import is_own  # noqa: PLC0415

        folder = leaderboard.existing_sweep(folders[0])
        own, noted = [f"out={folder.parent}", f"name={folder.name}"], last_plan(folder)
        origin = None if is_own(noted, last_mark(folder)) else folder  # what somebody else typed may name code
        repeated = [arg for arg in noted if arg.partition("=")[0] not in {"out", "name"}]
        _sweep([*own, *repeated, *options], show=show, origin=origin)  # a folder that was moved goes on where it is
    elif action == "best":
        given = _options(options, {"metric": leaderboard.OBJECTIVE, "data": ""})
        best = leaderboard.best_run(folders[0], given["metric"], given["data"] or None)
        print(best)
        for remark in leaderboard.read(folders[0]).remarks(best.name):
            print(remark, file=sys.stderr)  # the path alone goes to whoever reads it
    else:
        _show(folders[0], _options(options, {"rows": "20"})["rows"])


def _show(folder: str, rows: str) -> None:
    """Print the leaderboard, and what one should know beside it."""
    from .sweeps import leaderboard  # noqa: PLC0415 - as above
    from .sweeps.failures import failure_lines  # noqa: PLC0415
    from .sweeps.journal import exhausted  # noqa: PLC0415

    if not rows.isdigit():
        raise ConfigError(f"Expected rows to be a whole number, but found {rows!r}.")
    board, where = leaderboard.read(folder), leaderboard.existing_sweep(folder)
    print(board.text(int(rows)))
    for line in [*board.remarks(), *failure_lines(board.trials, where), *filter(None, [exhausted(where)])]:
        print(line)


def _options(options: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Read the options of an action, over their defaults.

    Raises:
        ConfigError: There is another.
    """
    given = dict(option.split("=", 1) for option in options)
    for key in given:
        if key not in known:
            raise ConfigError(f"No key {key!r} here; there is {', '.join(f'{name}=' for name in known)}.")
    return {**known, **given}
