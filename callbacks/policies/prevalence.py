"""The share of defective samples that a policy assumes, and on how few good ones a threshold may rest unsaid."""

from __future__ import annotations

from .tolerance import check_share

EVEN = 0.5
FEWEST_GOOD = 10
"""Good calibration images below which a threshold says how few it rests on."""


def check_prior(prior: float | None) -> None:
    """Refuse what is not a share.

    Raises:
        ValueError: Says so.
    """
    if prior is not None:
        check_share("prior", prior)


def assumed_prior(prior: float | None, n_good: int, n_defective: int) -> float:
    """Return the share of defective samples to weigh by: the one given, else that of the calibration set, up to a half.

    Who collects defects has more of them than any production; taken at its word, a set with nine defective images to a
    good one would have half of the good ones rejected rather than miss a few defects.
    """
    return min(n_defective / (n_good + n_defective), EVEN) if prior is None else prior


def weights_of(prior: float | None, n_good: int, n_defective: int) -> tuple[float, float]:
    """Return how much a good and a defective sample weigh, up to a common factor; 1 and 1 at the set's own share.

    Whole numbers where no share is given, so that thresholds which are equally good stay so to the last bit.
    """
    if not n_good or not n_defective or (prior is None and n_defective <= n_good):
        return 1.0, 1.0
    share = assumed_prior(prior, n_good, n_defective)
    return (1 - share) / EVEN * n_defective, share / EVEN * n_good


def describe_prior(prior: float | None, n_good: int, n_defective: int, unit: str) -> str:
    """Say which share is assumed, and where it comes from."""
    share = assumed_prior(prior, n_good, n_defective)
    found = n_defective / (n_good + n_defective)
    if prior is not None:
        origin = "as threshold.prior says"
    elif found > EVEN:
        origin = f"and not {found:.3g} as in the calibration set, where defective ones were collected"
    else:
        origin = "as in the calibration set"
    return f"It assumes that a share of {share:.3g} of all {unit} is defective, {origin}."


def describe_few(n_good: int) -> str:
    """Say that a threshold rests on fewer than ten good images; empty where it rests on more, or on none."""
    if not 0 < n_good < FEWEST_GOOD:
        return ""
    images = "1 good picture" if n_good == 1 else f"{n_good} good pictures"
    return f" It rests on only {images}: expect it to move with the next ones, and calibrate on at least {FEWEST_GOOD}."
