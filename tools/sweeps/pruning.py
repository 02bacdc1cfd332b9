"""Ending trials early that fall behind others on the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .journal import Trial

PRUNERS = ("none", "median", "halving")


class Pruning:
    """Optuna's pruners, with one comparison per data set: objectives of different data cannot be compared.

    Args:
        kind: ``median`` ends a trial whose best objective so far is below the median of the others' at that step;
            ``halving`` lets the better half go on, again and again.
    """

    def __init__(self, kind: str) -> None:
        import optuna  # noqa: PLC0415 - half a second that most sweeps can do without

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._kind = optuna, kind
        self._studies: dict[str, Any] = {}
        self._running: dict[str, tuple[Any, Any]] = {}

    def learn(self, trials: Iterable[Trial]) -> None:
        """Take what earlier commands found."""
        states = self._optuna.trial.TrialState
        for trial in trials:
            if trial.objective is not None and trial.state != "failed":
                state = states.PRUNED if trial.state == "pruned" else states.COMPLETE
                frozen = self._optuna.trial.create_trial(
                    state=state, value=trial.objective, intermediate_values=dict(trial.values)
                )
                self._study(trial.data).add_trial(frozen)

    def start(self, trial_id: str, data: str) -> None:
        """Watch a trial on some data."""
        study = self._study(data)
        self._running[trial_id] = (study, study.ask())

    def judge(self, trial_id: str, step: int, value: float) -> bool:
        """Tell whether a trial should end."""
        _, handle = self._running[trial_id]
        handle.report(value, step)
        return bool(handle.should_prune())

    def end(self, trial: Trial) -> None:
        """Note what became of a trial."""
        study, handle = self._running.pop(trial.id)
        states = self._optuna.trial.TrialState
        if trial.state == "complete" and trial.objective is not None:
            study.tell(handle, trial.objective)
        else:
            study.tell(handle, state=states.PRUNED if trial.state == "pruned" else states.FAIL)

    def _study(self, data: str) -> Any:
        if data not in self._studies:
            pruners = self._optuna.pruners
            pruner = pruners.MedianPruner() if self._kind == "median" else pruners.SuccessiveHalvingPruner()
            self._studies[data] = self._optuna.create_study(direction="maximize", pruner=pruner)
        return self._studies[data]
