from __future__ import annotations

import torch
from torch.optim.lr_scheduler import StepLR

from models.components.joint_optimizer import JointOptimizer


def weights() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.full((3,), value)) for value in (1.0, 2.0)]


def pair(both: list[torch.nn.Parameter]) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD(both[:1], lr=0.1, momentum=0.9), torch.optim.Adam(both[1:], lr=0.01)]


def descend(both: list[torch.nn.Parameter], optimizers: list[torch.optim.Optimizer], steps: int) -> None:
    for _ in range(steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = both[0].square().sum() + both[1].pow(4).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch says nothing of it
        for optimizer in optimizers:
            optimizer.step()


def test_each_steps_as_it_does_alone_and_goes_on_from_its_state() -> None:
    alone, joined = weights(), weights()
    separate = pair(alone)
    joint = JointOptimizer(pair(joined))
    descend(alone, separate, 3)
    descend(joined, [joint], 3)
    again = JointOptimizer(pair(joined))
    again.load_state_dict(joint.state_dict())
    descend(alone, separate, 2)
    descend(joined, [again], 2)
    for one, other in zip(alone, joined, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_scheduler_moves_the_rates_of_all_also_after_a_state_was_taken() -> None:
    both = weights()
    joint = JointOptimizer(pair(both))
    joint.load_state_dict(joint.state_dict())
    scheduler = StepLR(joint, 1, 0.1)
    descend(both, [joint], 1)
    scheduler.step()
    assert [group["lr"] for one in joint.joined for group in one.param_groups] == [0.1 * 0.1, 0.01 * 0.1]


def test_a_closure_is_asked_once_for_all() -> None:
    both, asked = weights(), []
    joint = JointOptimizer(pair(both))

    def closure() -> torch.Tensor:
        asked.append(1)
        joint.zero_grad()
        loss = both[0].sum() + both[1].sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch says nothing of it
        return loss

    assert float(joint.step(closure)) == 9.0
    assert asked == [1]
    torch.testing.assert_close(both[0], torch.full((3,), 0.9))
    torch.testing.assert_close(both[1], torch.full((3,), 1.99))
