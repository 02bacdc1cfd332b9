"""Which steps of which networks a sweep shares: wrapped from outside, so that no method knows of it.

A step is pure: its result depends on the inputs that stand beside it here, and on nothing else that is not part of its
name or of a module's fingerprint. Where gradients are wanted, and while the work is paused, steps run as they are.

Letters as in ``models.components.patchcore_model``.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch

from models.components.patchcore_model import Matches, PatchCoreModel
from models.features.backbones import Backbone
from models.features.last_seen import version
from models.hybrid import Hybrid
from models.patchcore import PatchCore

from .shared_work import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from .shared_work import SharedWork


@contextmanager
def sharing(network: nn.Module, work: SharedWork) -> Iterator[None]:
    """Let the costly steps of a network read from shared work and write to it; afterwards it is as it was."""
    with ExitStack() as wrapped:
        for part in [*network.modules(), *(network.stages if isinstance(network, Hybrid) else ())]:
            for name, step in _steps(part, work).items():
                setattr(part, name, step)
                wrapped.callback(delattr, part, name)  # and the method shows again
        yield


def _steps(part: nn.Module, work: SharedWork) -> dict[str, Callable[..., Any]]:
    """Wrap the methods of a module that are worth sharing."""
    if isinstance(part, Backbone):
        return {"forward": _features(part, work)}
    if isinstance(part, PatchCoreModel):
        return {"match": _matches(part, work), "link": _links(part, work)}
    if isinstance(part, PatchCore):
        return {"describe": _patches(part, work), "choose": _choice(part, work)}
    return {}


def _features(backbone: Backbone, work: SharedWork) -> Callable[[Tensor], list[Tensor]]:
    compute, name = backbone.forward, Fingerprint(backbone)

    def forward(image_B3HW: Tensor) -> list[Tensor]:
        trained = image_B3HW.requires_grad or any(weight.requires_grad for weight in backbone.parameters())
        if work.paused or trained:
            return compute(image_B3HW)
        return work.remember("features", [image_B3HW, name()], lambda: compute(image_B3HW))

    return forward


def _matches(model: PatchCoreModel, work: SharedWork) -> Callable[[Tensor], Matches]:
    compute, name = model.match, Fingerprint(model.backbone)

    def match(image_B3HW: Tensor) -> Matches:
        if work.paused or image_B3HW.requires_grad:
            return compute(image_B3HW)
        return Matches(
            *work.remember(
                "matches, measured",
                [image_B3HW, name(), repr((model.scales, model.top)), model.bank_MD],
                lambda: compute(image_B3HW),
            )
        )

    return match


def _links(model: PatchCoreModel, work: SharedWork) -> Callable[[int], Tensor]:
    compute = model.link

    def link(count: int) -> Tensor:
        if work.paused:
            return compute(count)
        return work.remember("links", [model.bank_MD, count], lambda: [compute(count)])[0]

    return link


def _patches(module: PatchCore, work: SharedWork) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    compute, name = module.describe, Fingerprint(module.model.backbone)

    def describe(image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        if work.paused:
            return compute(image_B3HW)
        placing = module.model.placing
        sizes = repr((module.model.scales, placing.weight, float(placing.unit)))
        found = work.remember("patches and images", [image_B3HW, name(), sizes], lambda: compute(image_B3HW))
        return found[0], found[1]

    return describe


def _choice(module: PatchCore, work: SharedWork) -> Callable[[Tensor, int, int, Tensor | None], list[int]]:
    compute = module.choose

    def choose(patch_ND: Tensor, count: int, start: int, matrix_Dd: Tensor | None) -> list[int]:
        if work.paused:
            return compute(patch_ND, count, start, matrix_Dd)
        drawn = [] if matrix_Dd is None else [matrix_Dd]
        where = torch.empty(0, device=module.device)  # the device that decides comes first
        inputs: list[Tensor | int] = [where, *drawn, patch_ND, start]
        return work.remember_order("coreset", inputs, count, lambda: compute(patch_ND, count, start, matrix_Dd))

    return choose


class Fingerprint:
    """The fingerprint of a module, computed again only where its tensors were written to since."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._known: tuple[tuple[int, ...], str] | None = None

    def __call__(self) -> str:
        """Name structure and weights."""
        versions = tuple(map(version, (*self._module.parameters(), *self._module.buffers())))
        if self._known is None or self._known[0] != versions:
            self._known = versions, fingerprint(self._module)
        return self._known[1]
