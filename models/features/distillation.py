"""Distillation: a small network learns to give the features that a large one gives, on images without labels.

The student regresses the teacher's maps in a basis, fixed before training, in which channels are uncorrelated and their
variances drawn together; ``decorrelation`` says why.

Crops are made and shown to the teacher in rounds, and each round's targets are used for several passes, because on a
CPU the teacher costs more than the student. The student sees each crop under a slightly changed light while the
targets stay: what it learns holds when a lamp ages.

Shape letters: B batch, H and W height and width, C channels of one map, N number of feature vectors.
"""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.files.whole_files import write_whole
from datamodules.progress import track

from .decorrelation import Decorrelation
from .distillation_recipe import Recipe, learning_rate_share
from .mirrors import MIRRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch.utils.tensorboard import SummaryWriter

    from datamodules.unlabelled.crops import CropSource
    from datamodules.unlabelled.procedural import RgbImage

Maps: TypeAlias = list[Tensor]  # one (B, C, H, W) per level
Network: TypeAlias = "Callable[[Tensor], Sequence[Tensor]]"
Start: TypeAlias = "Callable[[Tensor, Sequence[Decorrelation]], nn.Module]"

_BASIS_CROPS = 512  # enough for the covariance of some hundred channels: each crop gives hundreds of vectors
_TEACHER_BATCH = 16


@dataclass(frozen=True)
class Distilled:
    """What ``distill`` returns.

    Attributes:
        student: The trained network, in evaluation mode.
        basis: The change of basis of each teacher map: what the student imitates is ``basis[i](teacher(x)[i])``.
        held_out: Loss on the held-out crops after every round: the mean squared error over levels, where 1 is what
            predicting the mean would give.
    """

    student: nn.Module
    basis: list[Decorrelation]
    held_out: list[float]


def distill(
    teacher: Network,
    build_student: Callable[[], nn.Module],
    source: CropSource,
    held_out: RgbImage,
    recipe: Recipe,
    *,
    start: Start | None = None,
    networks: Sequence[Sequence[int]] = (),
    checkpoint: str | Path | None = None,
    writer: SummaryWriter | None = None,
    device: str | torch.device = "cpu",
) -> Distilled:
    """Train a student to give the decorrelated features of ``teacher``.

    On a CPU the same arguments and number of threads give the same weights, bit for bit, with or without a break.

    Args:
        teacher: Maps RGB in [0, 1] (B, 3, H, W) to maps (B, C, h, w), in evaluation mode: a
            ``models.features.backbones.Backbone``, for one.
        build_student: Makes the student, after the seed is set. It maps (x - 0.5) / 0.5 to as many maps as the teacher.
            Where grids differ, the teacher's map is resampled to the student's; where channels differ, the student
            learns the teacher's principal ones, or all of them spread over more.
        source: Where crops come from.
        held_out: Crops (B, S, S, 3) uint8 of images that ``source`` does not have.
        recipe: How to train.
        start: Makes a network with the student's first weights, from the first crops (B, 3, S, S) in [0, 1] and the
            basis of every map; None: they are random.
        networks: Of every map of the teacher, how many of its channels each network gave, where it is several networks.
        checkpoint: A file to write after every round, and to go on from where it exists.
        writer: Gets ``distill/loss``, ``distill/learning_rate`` by step and ``held_out/loss`` and
            ``held_out/explained_{level}`` (share of variance) by round.
        device: Where to compute.

    Raises:
        ValueError: The checkpoint was made with another recipe or other images, or student and teacher do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        student = build_student().to(device).to(memory_format=torch.channels_last)
    run = _Run(teacher, student, source, held_out, recipe, torch.device(device))
    done = run.resume(Path(checkpoint)) if checkpoint is not None and Path(checkpoint).exists() else 0
    if not done:
        run.prepare(start, networks)
    lessons = run.lessons(done)
    for round_, crops, targets in track(lessons, "distilling", total=recipe.rounds - done, note=run.note):
        run.train_round(round_, crops, targets, writer)
        run.watch(round_, writer)
        if checkpoint is not None:
            run.save(Path(checkpoint), round_ + 1)
    return Distilled(student.eval(), run.basis, run.history)


class _Run:
    """The state of one distillation: what has to be saved to go on."""

    def __init__(
        self,
        teacher: Network,
        student: nn.Module,
        source: CropSource,
        held_out: RgbImage,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self.teacher, self.student, self.source, self.recipe, self.device = teacher, student, source, recipe, device
        self.optimizer = torch.optim.AdamW(
            student.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.held_out = held_out
        self.fingerprint = _fingerprint(held_out, source.draw(1, [recipe.seed]))
        with torch.inference_mode():
            probe = _as_input(held_out[:1], device)
            taught, given = teacher(probe), student.eval()(_normalise(probe))
        if len(taught) != len(given):
            raise ValueError(
                f"Expected as many maps of the teacher as of the student, {len(given)}, but got {len(taught)}; "
                f"choose {len(given)} layers."
            )
        self.sizes = [m.shape[-2:] for m in given]
        self.basis = [Decorrelation(t.shape[1], g.shape[1]).to(device) for t, g in zip(taught, given, strict=True)]
        self.history: list[float] = []

    def prepare(self, start: Start | None, networks: Sequence[Sequence[int]] = ()) -> None:
        """Fit the change of basis on the first crops, and begin with what ``start`` makes of them."""
        crops = self.source.draw(min(_BASIS_CROPS, self.recipe.crops), [self.recipe.seed, 0])
        several = networks or [()] * len(self.basis)
        for basis, maps, parts in zip(self.basis, self._teach(crops), several, strict=True):
            basis.fit(maps.float().permute(0, 2, 3, 1).flatten(0, 2), self.recipe.whitening, parts)
        if start is not None:
            self.student.load_state_dict(start(_as_input(crops, self.device), self.basis).state_dict())

    def lessons(self, first: int) -> Iterator[tuple[int, RgbImage, Maps]]:
        """Yield round, crops and targets from round ``first`` on, each made while the one before is learnt."""
        with ThreadPoolExecutor(max_workers=1) as ahead:
            coming = [ahead.submit(self._lesson, round_) for round_ in range(first, self.recipe.rounds)[:1]]
            for round_ in range(first, self.recipe.rounds):
                crops, targets = coming.pop().result()
                coming += [ahead.submit(self._lesson, later) for later in range(round_ + 1, self.recipe.rounds)[:1]]
                yield round_, crops, targets

    def _lesson(self, round_: int) -> tuple[RgbImage, Maps]:
        """Make the crops of a round and ask the teacher about them."""
        crops = self.source.draw(self.recipe.crops, [self.recipe.seed, round_])
        return crops, self._targets(crops)

    def train_round(self, round_: int, crops: RgbImage, targets: Maps, writer: SummaryWriter | None) -> None:
        """Train on the crops of a round for some passes."""
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + round_)
        self.student.train()
        total = recipe.rounds * recipe.steps_per_round
        step = round_ * recipe.steps_per_round
        for _ in range(recipe.passes):
            order = torch.randperm(recipe.crops, generator=generator)
            for index in _batches(order, recipe.batch_size):
                rate = recipe.learning_rate * learning_rate_share(step, total)
                x = _normalise(vary_view(_as_input(crops[index.numpy()], self.device), recipe.light, generator))
                wanted = [t[index].to(self.device).float() for t in targets]
                if recipe.mirrored:
                    axes = MIRRORS[int(torch.randint(len(MIRRORS), (), generator=generator))]
                    x, wanted = x.flip(axes), [t.flip(axes) for t in wanted]
                loss = self._step(x, wanted, rate)
                step += 1
                if writer is not None and step % 10 == 0:
                    writer.add_scalar("distill/loss", loss, step)
                    writer.add_scalar("distill/learning_rate", rate, step)

    def _step(self, x_BCHW: Tensor, targets: Maps, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        half = self.recipe.precision == "bf16-mixed"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            maps = self.student(x_BCHW)
        loss = torch.stack(level_losses([one.float() for one in maps], targets)).mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    @torch.inference_mode()
    def watch(self, round_: int, writer: SummaryWriter | None) -> None:
        """Measure the loss on the held-out crops."""
        self.student.eval()
        losses = torch.zeros(len(self.sizes))
        for start in range(0, len(self.held_out), self.recipe.batch_size):
            crops = self.held_out[start : start + self.recipe.batch_size]
            targets = [t.to(self.device).float() for t in self._targets(crops)]
            maps = self.student(_normalise(_as_input(crops, self.device)))
            losses += torch.stack(level_losses(maps, targets)).cpu() * len(crops) / len(self.held_out)
        self.history.append(float(losses.mean()))
        if writer is not None:
            writer.add_scalar("held_out/loss", self.history[-1], round_ + 1)
            for level, loss in enumerate(losses.tolist()):
                writer.add_scalar(f"held_out/explained_{level}", 1 - loss, round_ + 1)

    def note(self) -> str:
        """Report the last loss on held-out crops."""
        return f"held-out loss {self.history[-1]:.3f}"

    def save(self, path: Path, rounds_done: int) -> None:
        """Write the state, whole or not at all."""
        state = {
            "rounds_done": rounds_done,
            "recipe": asdict(self.recipe),
            "fingerprint": self.fingerprint,
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "basis": [basis.state_dict() for basis in self.basis],
            "held_out": self.history,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)  # not to the file: torch ends the process where the disk is full
        write_whole(path, buffer.getbuffer(), durable=True)

    def resume(self, path: Path) -> int:
        """Take the state from ``path``; return how many rounds are done."""
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        ours, theirs = asdict(self.recipe), state["recipe"]
        changed = [f"{key}={theirs.get(key)} (now {ours[key]})" for key in ours if theirs.get(key) != ours[key]]
        if state["fingerprint"] != self.fingerprint:
            changed.append("other pictures")
        if changed:
            raise ValueError(
                f"Expected {path} to be of this distillation, but it was made with {', '.join(changed)}; "
                "repeat those arguments to go on, or name another checkpoint to start anew."
            )
        self._take(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = list(state["held_out"])
        return int(state["rounds_done"])

    def _take(self, state: dict[str, Any]) -> None:
        self.student.load_state_dict(state["student"])
        for basis, saved in zip(self.basis, state["basis"], strict=True):
            basis.load_state_dict({"gain": basis.gain, **saved})  # which those begun by older versions lack

    @torch.inference_mode()
    def _teach(self, crops: RgbImage) -> Maps:
        """Ask the teacher, in batches; half precision on the CPU, because a round has to fit in memory."""
        batches = [
            [
                m.to("cpu", torch.float16)
                for m in self.teacher(_as_input(crops[start : start + _TEACHER_BATCH], self.device))
            ]
            for start in range(0, len(crops), _TEACHER_BATCH)
        ]
        return [torch.cat(level) for level in zip(*batches, strict=True)]

    @torch.inference_mode()
    def _targets(self, crops: RgbImage) -> Maps:
        """Ask the teacher and change the basis."""
        targets = []
        for basis, size, level in zip(self.basis, self.sizes, self._teach(crops), strict=True):
            parts = [basis(part.to(self.device).float()) for part in torch.split(level, 64)]
            parts = [p if p.shape[-2:] == size else F.interpolate(p, size, mode="bilinear") for p in parts]
            targets.append(torch.cat([part.to("cpu", torch.float16) for part in parts]))
        return targets


def level_losses(maps: Sequence[Tensor], targets: Sequence[Tensor]) -> list[Tensor]:
    """Mean squared error of every level."""
    return [F.mse_loss(given, wanted) for given, wanted in zip(maps, targets, strict=True)]


def vary_view(x_BCHW: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Change gain and offset of every image in [0, 1] a little, as lamps and exposure do."""
    if strength == 0:
        return x_BCHW
    gain, offset = torch.randn(2, len(x_BCHW), 1, 1, 1, generator=generator).to(x_BCHW.device)
    varied: Tensor = (x_BCHW * (strength * gain).exp() + 0.5 * strength * offset).clamp(0, 1)
    return varied


def _as_input(crops: RgbImage, device: torch.device) -> Tensor:
    """Turn crops (B, S, S, 3) uint8 to (B, 3, S, S) in [0, 1], stored channels last."""
    return torch.from_numpy(np.ascontiguousarray(crops)).to(device).permute(0, 3, 1, 2).float() / 255


def _normalise(x_BCHW: Tensor) -> Tensor:
    return (x_BCHW - 0.5) / 0.5


def _batches(order_N: Tensor, size: int) -> Sequence[Tensor]:
    """Cut into whole batches; what does not fill one is left out."""
    return torch.split(order_N[: len(order_N) // size * size], size)


def _fingerprint(*crops: RgbImage) -> str:
    """Tell sets of images apart by some crops of them."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(some).tobytes() for some in crops)).hexdigest()
