"""Everything that decides a distillation, beside teacher, student and images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Precision: TypeAlias = Literal["32-true", "bf16-mixed"]  # as trainers call them


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result, beside teacher, student and images.

    Attributes:
        rounds: How often new crops are made.
        crops: Crops in a round.
        passes: How often each crop is used in its round.
        batch_size: Crops in a step.
        learning_rate: Of AdamW at its highest; it warms up over the first 2 % of steps and then falls as a cosine to 0.
        weight_decay: Of AdamW.
        whitening: 0 keeps the teacher's variances, 1 makes them equal, 0.5 takes their square roots.
        light: Standard deviation of the log of gain, and half that of the offset, by which the student's view of a
            crop departs from the teacher's; 0 for none.
        seed: Of everything random: weights, crops, order, light.
        mirrored: Every batch is shown in a mirror drawn anew, with what the teacher gave mirrored as well: right where
            a teacher answers mirror images alike, as ``Teachers`` does that is asked to.
        precision: ``bf16-mixed`` lets the student compute in bfloat16 while it learns: other weights, and half the time
            for patch description networks where the processor has such instructions. LoupeNet takes no notice.
    """

    rounds: int = 100
    crops: int = 512
    passes: int = 3
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    whitening: float = 0.5
    light: float = 0.1
    seed: int = 0
    mirrored: bool = False
    precision: Precision = "32-true"

    def __post_init__(self) -> None:
        """Refuse what could not be trained."""
        if min(self.rounds, self.passes, self.batch_size) < 1 or self.crops < self.batch_size:
            raise ValueError(
                "Expected rounds, passes and batch_size of at least 1 and crops of at least batch_size, but got "
                f"rounds={self.rounds}, passes={self.passes}, batch_size={self.batch_size}, crops={self.crops}."
            )
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"Expected precision to be {' or '.join(get_args(Precision))}, but got {self.precision!r}."
            )
        if not 0 <= self.whitening <= 1:
            raise ValueError(f"Expected whitening to be between 0 and 1, but got {self.whitening}.")

    @property
    def steps_per_round(self) -> int:
        """Optimiser steps in a round; crops that do not fill a batch are left out of a pass."""
        return self.passes * (self.crops // self.batch_size)


def learning_rate_share(step: int, total: int) -> float:
    """Share of the highest learning rate at ``step`` of ``total``: linear up over the first 2 %, then a cosine to 0."""
    warm = max(1, total // 50)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
