"""What to try next: every combination, or what a search by Optuna suggests."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import optuna

    from .journal import Trial
    from .settings import Composer, Setting
    from .space import Axis

SEARCHES = ("grid", "random", "tpe", "gp", "qmc")
NOT_SEARCHED = ("data", "data.root", "data.domain", "data.kind", "data.fold", "seed", "data.seed")


class Suggestion(NamedTuple):
    """A setting to try; ``handle`` is the search's own."""

    setting: Setting
    handle: Any = None


class Search(Protocol):
    """Suggests settings and learns from their objectives."""

    def learn(self, trials: Iterable[Trial]) -> int:
        """Take what earlier commands found; return how many of the trials lie in this space."""

    def ask(self) -> Suggestion | None:
        """Suggest a setting; None where there is no other."""

    def tell(self, suggestion: Suggestion, trial: Trial | None) -> None:
        """Learn what became of a suggestion; None: it was not needed."""


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


class Grid:
    """Every combination once, the last key fastest.

    Raises:
        ConfigError: A key has an interval, whose values cannot be counted.
    """

    def __init__(self, composer: Composer) -> None:
        for axis in composer.axes:
            if axis.interval is not None:
                raise ConfigError(
                    f"Expected a list for {axis.key}, since a grid tries every value, but found an interval; write "
                    f"{axis.key}=A,B,C or {axis.key}='range(A,B,STEP)', or search with sweep.search=tpe."
                )
        self._settings = self._all(composer)

    def learn(self, trials: Iterable[Trial]) -> int:
        """Nothing: every combination is visited, and those that are done cost nothing."""
        del trials
        return 0

    def ask(self) -> Suggestion | None:
        """Suggest the next combination."""
        return next(self._settings, None)

    def tell(self, suggestion: Suggestion, trial: Trial | None) -> None:
        """Learn nothing."""

    @staticmethod
    def _all(composer: Composer) -> Iterator[Suggestion]:
        seen = set()
        for texts in itertools.product(*(axis.choices for axis in composer.axes)):
            full = {axis.key: text for axis, text in zip(composer.axes, texts, strict=True)}
            setting = composer.effective(full)
            line = tuple(setting.items())
            if line not in seen:  # combinations that differ only in keys that this model lacks
                seen.add(line)
                yield Suggestion(setting)


class OptunaSearch:
    """Optuna's samplers, through ask and tell, in memory: what is known comes from the journal.

    The n-th suggestion depends on the seed, on n, and on what was told before: so a search that was killed goes on as
    if it had not been, where trials run one after another.

    Raises:
        ConfigError: The space has a key that must not be searched, or nothing to search.
    """

    def __init__(self, kind: str, composer: Composer, seed: int) -> None:
        import optuna  # noqa: PLC0415 - half a second that help and grids can do without

        varied = [axis for axis in composer.axes if not axis.fixed]
        for axis in varied:
            if axis.key in NOT_SEARCHED:
                why = "luck" if "seed" in axis.key else "the easiest data"
                raise ConfigError(
                    f"Expected one value for {axis.key}, since a search over it would find {why}; use a grid."
                )
        if not varied:
            raise ConfigError(
                f"Expected something to search, such as model.coreset_ratio='interval(0.01,0.2)' for {kind}."
            )
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings(
            "ignore", category=optuna.exceptions.ExperimentalWarning
        )  # options of TPE, chosen on purpose
        self._optuna, self._kind, self._seed = optuna, kind, seed
        self._composer, self._varied = composer, varied
        self._fixed = {axis.key: axis.choices[0] for axis in composer.axes if axis.fixed}
        self._study = optuna.create_study(direction="maximize")

    def learn(self, trials: Iterable[Trial]) -> int:
        """Take the finished trials of this space."""
        told = [trial for trial in map(self._frozen, trials) if trial is not None]
        self._study.add_trials(told)
        return len(told)

    def ask(self) -> Suggestion:
        """Suggest a setting; keys that the chosen groups do not know are not asked for."""
        self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
        handle = self._study.ask()
        setting = dict(self._fixed)
        for axis in self._varied:
            if axis.is_group or axis.prefix or self._composer.knows(setting, axis.key):
                setting[axis.key] = _suggest(handle, axis)
        return Suggestion(self._composer.effective(setting), handle)

    def tell(self, suggestion: Suggestion, trial: Trial | None) -> None:
        """Tell the objective; a failed trial, or one without, teaches nothing."""
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

    def _sampler(self, number: int) -> Any:
        """A sampler for one suggestion, seeded by its number."""
        samplers, seed = self._optuna.samplers, (self._seed * 100_003 + number) % 2**32
        if self._kind == "random":
            return samplers.RandomSampler(seed)
        if self._kind == "qmc":  # one sequence, whose points Optuna counts
            return samplers.QMCSampler(scramble=True, seed=self._seed, warn_independent_sampling=False)
        if self._kind == "gp":
            return samplers.GPSampler(seed=seed)
        # As many as run at a time are assumed to be bad, so that they do not all try the same.
        return samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def _frozen(self, trial: Trial) -> optuna.trial.FrozenTrial | None:
        """Put a trial of the journal into Optuna's terms; None where it taught nothing, or lies outside this space."""
        if trial.objective is None or trial.state == "failed":
            return None
        params: dict[str, Any] = {}
        for axis in self._varied:
            if axis.key in trial.setting:
                params[axis.key] = _value(axis, trial.setting[axis.key])
        if None in params.values():
            return None
        states = self._optuna.trial.TrialState
        return self._optuna.trial.create_trial(
            state=states.PRUNED if trial.state == "pruned" else states.COMPLETE,
            value=trial.objective,
            params=params,
            distributions={axis.key: self._distribution(axis) for axis in self._varied if axis.key in params},
            intermediate_values=dict(trial.values),
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


def _value(axis: Axis, text: str) -> str | int | float | None:
    """Read a recorded value; None where it is not on the axis."""
    span = axis.interval
    if span is None:
        return text if text in axis.choices else None
    try:
        number = int(text) if span.whole else float(text)
    except ValueError:
        return None
    return number if span.low <= number <= span.high else None
