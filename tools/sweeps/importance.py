"""How much each key matters: functional analysis of variance over a forest of trees (Hutter et al. 2014), by Optuna."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


FEWEST = 4  # trials; fewer say nothing about shares
_MOST_CHOICES = 9  # numbers beyond this are taken as a scale


def importances(
    settings: Sequence[Mapping[str, str]], values: Sequence[float], keys: Sequence[str]
) -> dict[str, float]:
    """Share of the values' spread that each key explains alone, among the trials that have the key.

    Args:
        settings: Of the trials.
        values: Their objectives.
        keys: To judge; those that do not vary among their trials are left out.

    Returns:
        Shares in [0, 1], largest first; empty where the values do not vary or there are too few.
    """
    found = {}
    for key in keys:
        rows = [(setting, value) for setting, value in zip(settings, values, strict=True) if key in setting]
        if (
            len(rows) < FEWEST
            or len({setting[key] for setting, _ in rows}) < 2
            or len({value for _, value in rows}) < 2
        ):
            continue
        common = [name for name in keys if all(name in setting for setting, _ in rows)]
        varied = [name for name in common if len({setting[name] for setting, _ in rows}) > 1]
        chosen, reached = [setting for setting, _ in rows], [value for _, value in rows]
        if varied == [key]:  # as a model is among models that share no key: a forest would credit it with everything
            found[key] = _between([setting[key] for setting in chosen], reached)
        else:
            found[key] = _shares(chosen, reached, varied)[key]
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))


def _between(texts: Sequence[str], values: Sequence[float]) -> float:
    """Share of the spread that lies between the means of equal texts (eta squared)."""
    mean = fmean(values)
    means = {text: fmean(value for value, own in zip(values, texts, strict=True) if own == text) for text in set(texts)}
    return sum((means[text] - mean) ** 2 for text in texts) / sum((value - mean) ** 2 for value in values)


def _shares(settings: Sequence[Mapping[str, str]], values: Sequence[float], keys: Sequence[str]) -> dict[str, float]:
    import optuna  # noqa: PLC0415 - half a second that most commands do without

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {key: _distribution(optuna, [setting[key] for setting in settings]) for key in keys}
    study = optuna.create_study(direction="maximize")
    for setting, value in zip(settings, values, strict=True):
        params: dict[str, Any] = {
            key: setting[key]
            if isinstance(distributions[key], optuna.distributions.CategoricalDistribution)
            else float(setting[key])
            for key in keys
        }
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
    # Asked directly, since get_param_importances would stretch the shares until they sum to one.
    return optuna.importance.FanovaImportanceEvaluator(seed=0).evaluate(study, params=list(keys))


def _distribution(optuna: Any, texts: Sequence[str]) -> Any:
    choices = list(dict.fromkeys(texts))
    try:
        numbers = [float(text) for text in choices]
    except ValueError:
        numbers = []
    if len(numbers) <= _MOST_CHOICES:
        return optuna.distributions.CategoricalDistribution(choices)
    return optuna.distributions.FloatDistribution(min(numbers), max(numbers))
