"""Thresholds by scope: one for all samples, and where wanted one for each kind of image and each zone of its pixels.

Letters: N images of a batch, H and W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from callbacks.policies.base import Policy, Threshold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

Scope = Literal["kind", "zone"]
SCOPES: tuple[Scope, ...] = ("kind", "zone")


@dataclass(frozen=True)
class Scoped:
    """Thresholds of one level, images or pixels.

    Attributes:
        all: Where no other applies.
        kind: By the name of the sub-population.
        zone: By the zone's id as text, as JSON knows no other keys; it goes before the kind's. For pixels only.
    """

    all: Threshold
    kind: Mapping[str, Threshold] = field(default_factory=dict)
    zone: Mapping[str, Threshold] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Tell whether one threshold holds everywhere."""
        return not self.kind and not self.zone

    def of_kind(self, kind: str) -> float:
        """Return the threshold for images of one kind, or for pixels outside of all zones in them."""
        return self.kind.get(kind, self.all).value

    def of_kinds(self, kind_N: Sequence[str], device: torch.device) -> Tensor:
        """Return the same for a batch, (N,) float32."""
        import torch  # noqa: PLC0415 - thresholds are read without it, such as those of a run that is labelled

        return torch.tensor([self.of_kind(kind) for kind in kind_N], dtype=torch.float32, device=device)

    def of_pixels(self, kind_N: Sequence[str], zones_NHW: Tensor | None, device: torch.device) -> Tensor:
        """Return the threshold of each pixel, (N, 1, 1), or (N, H, W) where zones have their own; float32."""
        threshold_NHW = self.of_kinds(kind_N, device)[:, None, None]
        if not self.zone or zones_NHW is None:
            return threshold_NHW
        threshold_NHW = threshold_NHW.repeat(1, *zones_NHW.shape[1:])
        for zone, threshold in self.zone.items():
            threshold_NHW[zones_NHW == int(zone)] = threshold.value
        return threshold_NHW

    def values(self) -> dict[str, float]:
        """Return every threshold by its scope, such as ``all`` and ``kind small``."""
        named = {f"{scope} {key}": t.value for scope in SCOPES for key, t in getattr(self, scope).items()}
        return {"all": self.all.value} | named

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and JSON."""
        scopes = {name: {key: t.to_dict() for key, t in getattr(self, name).items()} for name in SCOPES}
        return {"all": self.all.to_dict()} | {name: values for name, values in scopes.items() if values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scoped:
        """Return thresholds from what ``to_dict`` gave."""
        scopes = {name: {key: Threshold(**t) for key, t in values.get(name, {}).items()} for name in SCOPES}
        return cls(Threshold(**values["all"]), **scopes)


def is_finite(value: object) -> bool:
    """Tell whether a value that came from a file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def require_finite(levels: Mapping[str, Scoped | None], map_range: tuple[float, float]) -> None:
    """Refuse thresholds of a checkpoint by which everything, or nothing, would be defective.

    Args:
        levels: Thresholds of ``image`` and ``pixel``; None where there are none yet.
        map_range: Of the display.

    Raises:
        ValueError: Names the first that is not finite.
    """
    named: dict[str, float] = {"map_range.0": map_range[0], "map_range.1": map_range[1]}
    for level, scoped in levels.items():
        if scoped is not None:
            named |= {f"{level} threshold of {name}": value for name, value in scoped.values().items()}
    for name, value in named.items():
        if not is_finite(value):
            raise ValueError(
                f"Expected the thresholds of a checkpoint to be finite, but found {value!r} for the {name}; train "
                "again, or restore the file."
            )


def check_scopes(scopes: Sequence[str]) -> tuple[Scope, ...]:
    """Refuse names of scopes that there are not.

    Raises:
        ValueError: Names those that there are.
    """
    if wrong := sorted(set(scopes) - set(SCOPES)):
        raise ValueError(f"Expected threshold.scopes to name some of {', '.join(SCOPES)}, but found {wrong[0]!r}.")
    return cast("tuple[Scope, ...]", tuple(scopes))


def too_few(
    policy: Policy, name: str, good: int, defective: int, min_images: int, unit: str = "pictures"
) -> str | None:
    """Say why a scope gets no threshold of its own; None where it does.

    Args:
        policy: What would choose it.
        name: Of the scope, such as ``kind 'small'``.
        good: Calibration images of the scope without defects.
        defective: And with.
        min_images: How many the policy should see of each class that it needs.
        unit: What is counted.
    """
    missing = [
        f"{count} {label}"
        for needed, count, label in ((policy.needs_good, good, "good"), (policy.needs_defects, defective, "defective"))
        if needed and count < min_images
    ]
    if not missing:
        return None
    return (
        f"{name[0].upper()}{name[1:]} has only {' and '.join(missing)} calibration {unit}, where at least {min_images} "
        "are asked for (threshold.min_images): the threshold of all stands in. "
    )


def stand_in(threshold: Threshold, why: str, good: int, defective: int) -> Threshold:
    """Let the threshold of all stand in for that of a scope with too few samples."""
    promise = why + threshold.promise
    return replace(
        threshold, promise=promise, n_good=good, n_defective=defective, fallback=True, shared=True, table=None
    )
