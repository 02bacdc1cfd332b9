"""From what calibration saw to thresholds for every scope.

Shape letters: N images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from callbacks.policies.choice import choose_threshold
from datamodules.table import DEFECTIVE, GOOD

from .scopes import Scoped, stand_in, too_few

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from callbacks.policies.base import Policy, Threshold

    from .evidence import PixelEvidence
    from .scopes import Scope


class Seen(NamedTuple):
    """What calibration keeps of one image."""

    score: float
    label_index: int
    map_max: float
    kind: str = ""


def choose_image_thresholds(
    policy: Policy,
    fallback: Policy,
    seen_N: Sequence[Seen],
    min_images: int,
    *,
    by_kind: bool,
    nothing: float | None = None,
) -> Scoped:
    """Choose a threshold for all images, and for every kind that has enough of its own.

    Args:
        policy: The rule asked for.
        fallback: Takes over where the rule needs defects and there are none.
        seen_N: Calibration images.
        min_images: Images of each class that the policy needs, below which a kind shares the threshold of all.
        by_kind: Whether kinds get thresholds of their own.
        nothing: The score of images on which nothing was found, which no threshold reaches; None: there is none.

    Raises:
        ValueError: No image is labelled, or scores are not finite.
    """
    score_N = np.array([seen.score for seen in seen_N])
    label_N = np.array([seen.label_index for seen in seen_N])
    kind_N = np.array([seen.kind for seen in seen_N])
    everywhere = choose_threshold(policy, score_N, label_N, fallback, nothing)
    kinds: dict[str, Threshold] = {}
    for kind in sorted(set(kind_N.tolist()) - {""}) if by_kind else ():
        score, label = score_N[kind_N == kind], label_N[kind_N == kind]
        good, defective = int((label == GOOD).sum()), int((label == DEFECTIVE).sum())
        if why := too_few(policy, f"kind {kind!r}", good, defective, min_images):
            kinds[kind] = stand_in(everywhere, why, good, defective)
        else:
            kinds[kind] = choose_threshold(policy, score, label, fallback, nothing)
    return Scoped(everywhere, kind=kinds)


def choose_pixel_thresholds(
    policy: Policy,
    fallback: Policy,
    everything: PixelEvidence,
    parts: Mapping[tuple[Scope, str], PixelEvidence],
    min_images: int,
    nothing: float | None = None,
) -> Scoped:
    """Choose a threshold for all pixels, and for every kind and zone that has enough images of its own.

    Args:
        policy: The rule asked for.
        fallback: Takes over where the rule needs defects and none is marked.
        everything: All that was seen.
        parts: The same, for each kind and zone.
        min_images: As in `choose_image_thresholds`; images in which the part is marked count as defective.
        nothing: As there, of pixels.

    Raises:
        ValueError: No image is labelled, or maps are not finite.
    """
    everywhere = everything.choose(policy, fallback, nothing)
    chosen: dict[Scope, dict[str, Threshold]] = {"kind": {}, "zone": {}}
    for (scope, name), part in sorted(parts.items()):
        if why := too_few(policy, f"{scope} {name!r}", part.good, part.marked, min_images):
            chosen[scope][name] = stand_in(everywhere, why, part.good, part.marked)
        else:
            chosen[scope][name] = part.choose(policy, fallback, nothing)
    return Scoped(everywhere, **chosen)
