"""What a score says beside its verdict: the probability of a defect, and where it lies among good images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callbacks.policies.prevalence import assumed_prior
from callbacks.statistics.probability import fit_probability
from datamodules.table import DEFECTIVE, GOOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from callbacks.policies.base import Policy
    from callbacks.statistics.probability import Choice, Probability

    from .choosing import Seen


def fit_seen(choice: Choice, policy: Policy, seen_N: Sequence[Seen]) -> Probability | str:
    """Fit the probability of a defect, at the share of defects that the policy assumes; where it cannot be, say why."""
    label_N = [seen.label_index for seen in seen_N]
    n_good, n_defective = label_N.count(GOOD), label_N.count(DEFECTIVE)
    prior = None
    if hasattr(policy, "prior") and n_good and n_defective:
        assumed = assumed_prior(policy.prior, n_good, n_defective)
        prior = None if assumed == n_defective / (n_good + n_defective) else assumed
    return fit_probability(choice, [seen.score for seen in seen_N], label_N, prior)


def good_scores(seen_N: Iterable[Seen], kinds: Iterable[str]) -> dict[str, Any]:
    """List the scores of good calibration images, ascending, in plain values: ``all``, and ``kind`` by name.

    Args:
        seen_N: Calibration images.
        kinds: Those that have thresholds of their own.
    """
    good = sorted((seen.score, seen.kind) for seen in seen_N if seen.label_index == GOOD)
    of_kind = {kind: [score for score, other in good if other == kind] for kind in kinds}
    return {"all": [score for score, _ in good], "kind": {kind: found for kind, found in of_kind.items() if found}}
