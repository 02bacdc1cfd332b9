"""What to try next: every combination, or what a search by Optuna suggests.

A search runs its budget: what its sampler suggests again is told again, not run again.
"""

from __future__ import annotations

import random
import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tools.errors import ConfigError

from .grid import Grid
from .sequence import sobol_point
from .suggesting import Suggestion
from .territory import Territory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import optuna

    from .journal import Trial
    from .settings import Composer
    from .space import Axis
    from .suggesting import Search

SEARCHES = ("grid", "random", "tpe", "gp", "qmc")
NOT_SEARCHED = ("data", "data.root", "data.domain", "data.kind", "data.fold", "seed", "data.seed")
_PATIENCE = 5  # known settings in a row, before one that was not tried is drawn at random


def make_search(kind: str, composer: Composer, seed: int) -> Search:
    """Build a search.

    Args:
        kind: One of ``SEARCHES``.
        composer: Knows the axes.
        seed: Of the search.

    Raises:
        ConfigError: There is no such search, or the space does not suit it.
    """
    if kind not in SEARCHES:
        raise ConfigError(f"Expected sweep.search to be one of {', '.join(SEARCHES)}, but found {kind!r}.")
    return Grid(composer) if kind == "grid" else OptunaSearch(kind, composer, seed)


class OptunaSearch:
    """Optuna's samplers, through ask and tell, in memory: what is known comes from the journal.

    The n-th suggestion depends on the seed, on n, and on what was told before: so a search that was killed goes on as
    if it had not been, where trials run one after another. A sampler that suggests what is known again and again, as
    where the best branch of a space is a single point, gives way to chance; it ends when every setting was tried.

    Raises:
        ConfigError: The space has a key that must not be searched, or none that can be.
    """

    def __init__(self, kind: str, composer: Composer, seed: int) -> None:
        self._kind, self._seed = kind, seed
        self._composer = composer
        rest = [axis for axis in composer.axes if axis not in composer.deciding and axis.key not in composer.followers]
        self._varied = [axis for axis in (*composer.deciding, *rest) if not axis.fixed]
        for axis in self._varied:
            if axis.key in NOT_SEARCHED:
                why = "luck" if "seed" in axis.key else "the easiest data"
                raise ConfigError(
                    f"Expected one value for {axis.key}, since a search over it would find {why}; use a grid."
                )
        if all(axis.key in NOT_SEARCHED for axis in composer.axes):
            raise ConfigError(
                f"Expected something to search, such as model.coreset_ratio='interval(0.01,0.2)' for {kind}."
            )
        self._fixed = {axis.key: axis.choices[0] for axis in composer.axes if axis.fixed}
        self._countable = all(axis.size is not None for axis in self._varied)
        self._learned: list[Trial] = []
        self._suggested: list[Mapping[str, str]] = []
        self._known_in_a_row = 0

    @cached_property
    def _optuna(self) -> Any:
        import optuna  # noqa: PLC0415 - half a second that a search with nothing left to do spares

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Options of TPE, chosen on purpose.
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        return optuna

    @cached_property
    def _study(self) -> Any:
        study = self._optuna.create_study(direction="maximize")
        study.add_trials([self._frozen(trial) for trial in self._learned])
        return study

    @cached_property
    def _territory(self) -> Territory:
        """Composed only when it is asked for: it takes a config for every choice of groups."""
        return Territory(self._composer)

    def learn(self, trials: Iterable[Trial]) -> int:
        """Take the finished trials of this space."""
        names = set()
        for trial in trials:
            failed = trial.state == "failed"
            if (trial.objective is None and not failed) or self._params(trial) is None:
                continue
            self._learned.append(trial)
            self._known_in_a_row = self._known_in_a_row + 1 if trial.id in names else 0
            names.add(trial.id)
            if not failed:  # one that failed is tried again
                self._suggested.append(trial.setting)
        return sum(trial.state != "failed" for trial in self._learned)

    def ask(self) -> Suggestion | None:
        """Suggest a setting; keys that the chosen groups do not know are not asked for."""
        if (self._countable or self._known_in_a_row) and self._is_exhausted():
            return None
        number = len(self._study.get_trials(deepcopy=False))
        if self._known_in_a_row >= _PATIENCE:
            self._turn_to_what_is_left(number)
        elif self._kind == "qmc" and self._varied:
            self._study.enqueue_trial(sobol_point(self._varied, self._seed, number))
        self._study.sampler = self._sampler(number)
        handle = self._study.ask()
        setting = dict(self._fixed)
        for axis in self._varied:
            if axis in self._composer.deciding or self._composer.has(setting, axis):
                setting[axis.key] = _suggest(handle, axis)
        found = Suggestion(self._composer.effective(setting), handle)
        self._suggested.append(found.setting)
        return found

    def tell(self, suggestion: Suggestion, trial: Trial | None, *, again: bool = False) -> None:
        """Tell the objective, also of what is known; a failed trial, or one that still runs, teaches nothing."""
        self._known_in_a_row = self._known_in_a_row + 1 if again else 0
        states = self._optuna.trial.TrialState
        handle: optuna.Trial = suggestion.handle
        if trial is not None and trial.state == "complete" and trial.objective is None:
            raise ConfigError(
                "Expected good and defective calibration pictures, since a search is judged by them, but found one "
                "class alone; set data.calibration_from=test or add defective pictures, or use sweep.search=grid."
            )
        if trial is None or trial.objective is None or trial.state == "failed":
            self._study.tell(handle, state=states.FAIL)
            return
        for step, value in dict(trial.values).items():
            handle.report(value, step)
        pruned = trial.state == "pruned"
        self._study.tell(handle, None if pruned else trial.objective, state=states.PRUNED if pruned else None)

    def _is_exhausted(self) -> bool:
        for setting in self._suggested:
            self._territory.add(setting)
        self._suggested.clear()
        return self._territory.exhausted

    def _turn_to_what_is_left(self, number: int) -> None:
        """Draw what was not tried, since the sampler finds nothing new."""
        fresh = self._territory.untried(random.Random(f"{self._seed} {number}"))  # noqa: S311 - no secret
        if fresh is not None:
            self._study.enqueue_trial(
                {axis.key: axis.value(fresh[axis.key]) for axis in self._varied if axis.key in fresh}
            )

    def _sampler(self, number: int) -> Any:
        """Return a sampler for one suggestion, seeded by its number."""
        samplers, seed = self._optuna.samplers, (self._seed * 100_003 + number) % 2**32
        if self._kind in {"random", "qmc"}:  # a point of the sequence leaves nothing to a sampler
            return samplers.RandomSampler(seed)
        if self._kind == "gp":
            return samplers.GPSampler(seed=seed, independent_sampler=samplers.RandomSampler(seed))
        # As many as run at a time are assumed to be bad, so that they do not all try the same.
        return samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def _params(self, trial: Trial) -> dict[str, Any] | None:
        """Read what a trial's setting is in Optuna's terms; None where it lies outside this space."""
        known = [axis for axis in self._varied if axis.key in trial.setting]
        params = {axis.key: axis.value(trial.setting[axis.key]) for axis in known}
        return None if None in params.values() else params

    def _frozen(self, trial: Trial) -> Any:
        failed, params = trial.state == "failed", self._params(trial) or {}
        states = self._optuna.trial.TrialState
        state = states.FAIL if failed else states.PRUNED if trial.state == "pruned" else states.COMPLETE
        return self._optuna.trial.create_trial(
            state=state,
            value=None if failed else trial.objective,
            params=params,
            distributions={axis.key: self._distribution(axis) for axis in self._varied if axis.key in params},
            intermediate_values={} if failed else dict(trial.values),
        )

    def _distribution(self, axis: Axis) -> Any:
        kinds, span = self._optuna.distributions, axis.interval
        if span is None:
            return kinds.CategoricalDistribution(axis.choices)
        if span.whole:
            return kinds.IntDistribution(int(span.low), int(span.high), log=span.log)
        return kinds.FloatDistribution(span.low, span.high, log=span.log)


def _suggest(handle: optuna.Trial, axis: Axis) -> str:
    span = axis.interval
    if span is None:
        return str(handle.suggest_categorical(axis.key, axis.choices))
    if span.whole:
        return str(handle.suggest_int(axis.key, int(span.low), int(span.high), log=span.log))
    return repr(handle.suggest_float(axis.key, span.low, span.high, log=span.log))
