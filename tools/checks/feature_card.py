"""The doctor's advice on features in words: a card for its page, the command to type, and plain values for programs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pandas as pd

from callbacks.report.doctor import Finding
from callbacks.report.wording import plural, share, span
from tools.configuring.config import parse_override

from .trials import PATCHES, PLANTED, show_planted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .feature_advice import Advice, Compared

CARD = "feature_advice"


def card(advice: Advice, overrides: Sequence[str]) -> Finding:
    """Say what to use.

    Args:
        advice: What came of the comparison.
        overrides: Of the doctor; those of data belong to the command that is advised.
    """
    first, chosen = advice.compared[0], advice.chosen
    others = len(advice.compared) - 1
    known, held = len(advice.material.known), len(advice.material.held)
    stays = chosen is first
    if stays:
        title = "No other features see planted defects better, beyond chance"
        advised = f"Stay with the default: {command(chosen, overrides)}."
    else:
        title = f"{chosen.trial.candidate.name} sees planted defects better than the default"
        advised = f"Train with {command(chosen, overrides)}. {cost(chosen, first)}"
    return Finding(
        CARD,
        "note",
        title,
        f"{plural(PLANTED * held, 'defect')} (pasted patches, stains, scratches) were planted into {held} good "
        f"pictures that a bank of {PATCHES:,} patches of {known} others had not seen. {standing(chosen, first, others)}"
        f"{untried(advice)}",
        f"Uses {first.trial.candidate.name} unless told otherwise.",
        f"{advised} Planted defects are not yours: where you have labelled ones, train both, and let loupe compare "
        "decide.",
        PLANTED * held,
        sheet=show_planted(advice.material),
        table=table(advice.compared),
    )


def command(one: Compared, overrides: Sequence[str]) -> str:
    """Write the training that takes a candidate, to be typed."""
    return shlex.join(["loupe", "train", *data_overrides(overrides), *one.trial.candidate.overrides])


def data_overrides(overrides: Sequence[str]) -> list[str]:
    """Return those overrides that say which data there are."""
    keys = [(parse_override(one).key_or_group, one) for one in overrides]
    return [one for key, one in keys if key in {"data", "seed"} or key.startswith("data.")]


def standing(chosen: Compared, first: Compared, others: int) -> str:
    """Say how the chosen features stand to the usual ones."""
    usual = f"the default {share(first.auroc.value)} ({span(first.auroc.low, first.auroc.high)})"
    if chosen is first:
        return f"AUROC of {usual}; none of {plural(others, 'other way')} leads it beyond chance."
    lead = chosen.lead
    return (
        f"AUROC {share(chosen.auroc.value)} ({span(chosen.auroc.low, chosen.auroc.high)}), {usual}: a lead of "
        f"{lead.value:.3f} ({lead.low:.3f} to {lead.high:.3f}, for {plural(others, 'comparison')})."
    )


def cost(chosen: Compared, first: Compared) -> str:
    """Say what the chosen features cost beside the usual ones."""
    slow, usual = chosen.trial, first.trial
    return (
        f"It takes {slow.milliseconds:.0f} ms a picture here, the default {usual.milliseconds:.0f} ms, and its bank "
        f"{slow.megabytes:.0f} MB instead of {usual.megabytes:.0f} MB."
    )


def untried(advice: Advice) -> str:
    """Say what was not tried, and why."""
    if not advice.untried:
        return ""
    return " Not tried: " + "; ".join(f"{name} ({why.rstrip('.')})" for name, why in advice.untried.items()) + "."


def table(compared: Sequence[Compared]) -> pd.DataFrame:
    """Tabulate what was tried, the best first."""
    ranked = sorted(compared, key=lambda one: -one.auroc.value)
    rows = {
        one.trial.candidate.name: {
            "AUROC": share(one.auroc.value),
            "interval": span(one.auroc.low, one.auroc.high),
            "lead": f"{one.lead.value:+.3f}" if one.trial.candidate.overrides else "",
            "its interval": f"{one.lead.low:+.3f} to {one.lead.high:+.3f}" if one.trial.candidate.overrides else "",
            "ms": f"{one.trial.milliseconds:.0f}",
            "bank, MB": f"{one.trial.megabytes:.1f}",
            "tried in, s": f"{one.trial.seconds:.0f}",
        }
        for one in ranked
    }
    return pd.DataFrame(rows).T


def as_plain(advice: Advice, overrides: Sequence[str]) -> dict[str, Any]:
    """Put the comparison into plain values for other programs."""
    return {
        "overrides": list(advice.chosen.trial.candidate.overrides),
        "command": command(advice.chosen, overrides),
        "beyond_chance": advice.chosen is not advice.compared[0],
        "bank_images": len(advice.material.known),
        "held_images": len(advice.material.held),
        "planted": PLANTED * len(advice.material.held),
        "compared": [
            {
                "overrides": list(one.trial.candidate.overrides),
                "auroc": one.auroc.to_dict(),
                "lead": one.lead.to_dict(),
                "milliseconds": one.trial.milliseconds,
                "bank_megabytes": one.trial.megabytes,
                "seconds": one.trial.seconds,
            }
            for one in advice.compared
        ],
        "untried": advice.untried,
    }
