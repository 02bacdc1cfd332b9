"""From a config to a task that can run anywhere: where it writes, what it shares, how one would run it alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .task import Task

if TYPE_CHECKING:
    from .plan import Plan
    from .settings import Setting

TRIALS, LOGS, SHARED = "trials", "logs", "shared"


def log_of(plan: Plan, name: str) -> str:
    """Name the file for all that a trial prints."""
    return str(plan.folder / LOGS / f"{name}.txt")


def trial_task(plan: Plan, config: dict[str, Any], name: str, setting: Setting, threads: int) -> Task:
    """Prepare a trial: its run lies in the sweep's folder, under its id, and its paths hold anywhere."""
    axes = [axis for axis in plan.axes if axis.key in setting]
    data = dict(config["data"])
    if data.get("num_workers", 0) is None:
        data["num_workers"] = threads - 1 if threads > 1 else 0
    for key in ("root", "cache"):
        if data.get(key) is not None:
            data[key] = str(Path(data[key]).expanduser().resolve())
    place = {"out": str(plan.folder), "name": TRIALS, "id": name, "report": plan.config.report == "all"}
    return Task(
        id=name,
        trial=plan.config.trial,
        config={**config, "data": data, **place},
        command=("loupe", "train", *(axis.override(setting[axis.key]) for axis in axes)),
        log=log_of(plan, name),
        threads=threads,
        **_sharing(plan),
    )


def later_task(plan: Plan, name: str, threads: int, kind: str) -> Task:
    """Prepare what comes after a trial, such as its page; its run says all else."""
    place = {"out": str(plan.folder), "name": TRIALS, "id": name}
    log = log_of(plan, f"{name}-{kind}")
    return Task(name, plan.config.trial, place, log=log, threads=threads, **_sharing(plan))


def _sharing(plan: Plan) -> dict[str, Any]:
    share = plan.config.share_gib
    return {"share": str(plan.folder / SHARED) if share else "", "share_gib": share}
