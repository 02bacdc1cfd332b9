"""Where pre-trained weights came from, as ``InspectionModel.origin`` says it: one network after the other.

What several networks say lies in one dictionary: each fact of a further network begins with that one's name, as in
``efficientnet_lite0_sha256`` or ``inspection_weights``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME, WEIGHTS = "name", "weights"


def networks_of(origin: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Tell the facts of each network by its prefix, without it; that of a model's only or first network is empty."""
    prefixes = [fact.removesuffix(NAME) for fact in origin if fact == NAME or fact.endswith(f"_{NAME}")]
    found = {prefix.removesuffix("_"): _of_one(origin, prefix) for prefix in prefixes}
    return {prefix: facts for prefix, facts in found.items() if WEIGHTS in facts}


def _of_one(origin: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {fact.removeprefix(prefix): value for fact, value in origin.items() if fact.startswith(prefix)}
