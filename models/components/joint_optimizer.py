"""Several optimizers that step as one: a trainer of models that learn together by different rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class JointOptimizer(Optimizer):
    """Steps each of its optimizers once per step; a scheduler moves the rates of all.

    Args:
        optimizers: Of different parameters.
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self.joined = list(optimizers)
        super().__init__(self._groups(), {})
        self.param_groups = self._groups()

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.joined for group in optimizer.param_groups]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Let ``closure`` compute the gradients, then step all."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.joined:
            optimizer.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all, in their order."""
        return {"joined": [optimizer.state_dict() for optimizer in self.joined]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the states of all."""
        for optimizer, state in zip(self.joined, state_dict["joined"], strict=True):
            optimizer.load_state_dict(state)
        self.param_groups = self._groups()  # theirs are new
