from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from datamodules.unlabelled.crops import CropSource
from models.features.decorrelation import Decorrelation
from models.features.distillation import Distilled, Network, distill, vary_view
from models.features.distillation_recipe import Recipe, learning_rate_share
from models.features.loupe_net import LoupeNet
from models.features.students import restored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datamodules.unlabelled.procedural import RgbImage

SOURCE = CropSource({}, size=32, drawn_share=1)
RECIPE = Recipe(rounds=3, crops=8, passes=2, batch_size=4, seed=5)


class Teacher(nn.Module):
    """Three levels of random filters: something real to imitate."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 6, 2 * s, s, s // 2), nn.ReLU()) for c, s in [(3, 4), (6, 2), (6, 2)]
        )

    @torch.no_grad()
    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


class OneMap(nn.Module):
    """A network of one map."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.net(x)]


def first_level() -> Network:
    """Ask one teacher for its first map: it is built once, since lessons are made in a thread of their own."""
    teacher = Teacher()
    return lambda x: teacher(x)[:1]


def student() -> nn.Module:
    return LoupeNet((4,) * 13, (6, 6, 6), batch_norm=True)


def held_out() -> RgbImage:
    return SOURCE.draw(4, [99])


def run(recipe: Recipe = RECIPE, checkpoint: Path | None = None, writer: SummaryWriter | None = None) -> Distilled:
    return distill(Teacher(), student, SOURCE, held_out(), recipe, checkpoint=checkpoint, writer=writer)


def assert_same(one: Distilled, other: Distilled) -> None:
    ours, theirs = one.student.state_dict(), other.student.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert one.held_out == other.held_out


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    torch.manual_seed(0)
    first = run()
    torch.manual_seed(1)  # whatever the caller did before must not matter
    assert_same(first, run())
    other = run(Recipe(rounds=3, crops=8, passes=2, batch_size=4, seed=6))
    assert other.held_out != first.held_out


class FullDisk(SummaryWriter):
    """A writer whose disk is full in the second round."""

    def add_scalar(self, *args: Any, **options: Any) -> None:
        if args[0] == "held_out/loss" and args[2] == 2:
            raise OSError("no space left on device")
        super().add_scalar(*args, **options)


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = run(checkpoint=tmp_path / "whole.ckpt")
    with pytest.raises(OSError, match="no space"):
        run(checkpoint=tmp_path / "broken.ckpt", writer=FullDisk(str(tmp_path / "tb")))
    resumed = run(checkpoint=tmp_path / "broken.ckpt")
    assert_same(whole, resumed)
    assert_same(whole, run(checkpoint=tmp_path / "whole.ckpt"))  # nothing left to do
    assert not list(tmp_path.glob("*.part"))


def test_a_student_can_start_from_what_is_made_of_the_first_crops_and_the_basis() -> None:
    seen: list[tuple[int, ...]] = []
    torch.manual_seed(2)
    first = student()

    def start(crops_B3HW: Tensor, bases: Sequence[Decorrelation]) -> nn.Module:
        seen.extend([tuple(crops_B3HW.shape), *(tuple(basis.matrix.shape) for basis in bases)])
        return first

    recipe = Recipe(rounds=1, crops=8, passes=1, batch_size=4, learning_rate=1e-9, weight_decay=0.0, seed=6)
    result = distill(Teacher(), student, SOURCE, held_out(), recipe, start=start)
    assert seen == [(8, 3, 32, 32), (6, 6), (6, 6), (6, 6)]
    for (name, one), (_, other) in zip(first.named_parameters(), result.student.named_parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name)  # a step this small goes nowhere


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    run(checkpoint=tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"seed=5 \(now 7\)"):
        run(Recipe(rounds=3, crops=8, passes=2, batch_size=4, seed=7), checkpoint=tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="other pictures"):
        distill(Teacher(), student, SOURCE, SOURCE.draw(4, [98]), RECIPE, checkpoint=tmp_path / "a.ckpt")


def test_the_student_learns_and_the_log_says_so(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path))
    result = run(Recipe(rounds=12, crops=32, passes=2, batch_size=8, learning_rate=1e-2), writer=writer)
    writer.close()
    assert result.held_out[-1] < 0.7  # 1 is what the mean would give
    log = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in log.Scalars("held_out/loss")] == list(range(1, 13))
    assert log.Scalars("held_out/loss")[-1].value == pytest.approx(result.held_out[-1])
    assert log.Scalars("distill/learning_rate")[-1].value < 1e-3
    x = torch.from_numpy(held_out()).permute(0, 3, 1, 2).float() / 255
    wanted = [basis(some) for basis, some in zip(result.basis, Teacher()(x), strict=True)]
    with torch.inference_mode():
        given = result.student((x - 0.5) / 0.5)
    loss = torch.stack([(a - b).square().mean() for a, b in zip(given, wanted, strict=True)]).mean()
    assert float(loss) == pytest.approx(result.held_out[-1], rel=0.01)  # targets were held in half precision


def test_a_student_of_another_grid_is_taught_too() -> None:
    """One map at stride 2 of the teacher's 4: the networks of EfficientAD have a grid of their own."""

    def fine() -> nn.Module:
        return OneMap(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 6, 3, 1, 1)))

    recipe = Recipe(rounds=12, crops=16, passes=2, batch_size=4, learning_rate=1e-2)
    result = distill(first_level(), fine, SOURCE, held_out(), recipe)
    assert result.held_out[-1] < 0.8 * result.held_out[0]


@pytest.mark.parametrize("channels", [4, 9])
def test_a_student_of_other_channels_learns_the_principal_ones_or_all_spread(channels: int) -> None:
    def one_map() -> nn.Module:
        return OneMap(nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, channels, 1)))

    result = distill(first_level(), one_map, SOURCE, held_out(), Recipe(rounds=4, crops=16, batch_size=4))
    assert result.basis[0].matrix.shape == (6, channels)
    assert result.held_out[-1] < result.held_out[0]
    x = torch.from_numpy(held_out()).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        wanted, (given,) = result.basis[0](Teacher()(x)[0]), result.student((x - 0.5) / 0.5)
    assert float((given - wanted).square().mean()) == pytest.approx(result.held_out[-1], rel=0.01)


class Watched(OneMap):
    """A network that remembers what it was shown in training."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> list[Tensor]:
        if self.training:
            self.shown.extend(x.clone())
        return super().forward(x)


@pytest.mark.parametrize("mirrored", [False, True])
def test_batches_are_shown_in_mirrors_with_what_the_teacher_gave_mirrored_as_well(mirrored: bool) -> None:
    torch.manual_seed(0)
    colours = nn.AvgPool2d(4)  # alike in every mirror

    def pupil() -> nn.Module:
        return Watched(nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(3, 3, 1)))

    plain = Recipe(rounds=12, crops=16, passes=4, batch_size=4, learning_rate=1e-1, weight_decay=0.0)
    recipe = replace(plain, light=0.0, whitening=0.0, mirrored=mirrored)
    result = distill(lambda x: [colours(x)], pupil, SOURCE, held_out(), recipe)
    assert result.held_out[-1] < 1e-2  # never where one is mirrored and the other is not
    crops = torch.from_numpy(SOURCE.draw(16, [0, 0])).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert isinstance(result.student, Watched)
    first = torch.stack(result.student.shown[: 4 * len(crops)])  # a round
    mirrors = torch.cat([crops.flip(axes) for axes in ((-1,), (-2,), (-2, -1))])
    apart = (first[:, None] - mirrors).abs().flatten(2).amax(dim=2).amin(dim=1)  # of each from the nearest mirror image
    assert bool((apart < 1e-5).any()) == mirrored


class Rounded(OneMap):
    """A network that remembers in which precision it computed while it learnt."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        self.precisions: set[torch.dtype] = set()

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = super().forward(x)
        if self.training:
            self.precisions |= {one.dtype for one in maps}
        return maps


def test_bfloat16_learns_as_well_and_weighs_in_single_precision() -> None:
    def pupil() -> nn.Module:
        return Rounded(nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, 6, 1)))

    whole = Recipe(rounds=6, crops=16, batch_size=4, learning_rate=1e-2)
    plain, half = (
        distill(first_level(), pupil, SOURCE, held_out(), recipe)
        for recipe in (whole, replace(whole, precision="bf16-mixed"))
    )
    for result, precision in ((plain, torch.float32), (half, torch.bfloat16)):
        assert isinstance(result.student, Rounded)
        assert result.student.precisions == {precision}
    assert {value.dtype for value in half.student.state_dict().values()} == {torch.float32}
    assert half.held_out != plain.held_out
    assert half.held_out[-1] == pytest.approx(plain.held_out[-1], rel=0.1)


def test_a_student_of_another_number_of_maps_is_refused() -> None:
    with pytest.raises(ValueError, match="as many maps of the teacher as of the student, 3, but got 2"):
        distill(lambda x: Teacher()(x)[:2], student, SOURCE, held_out(), RECIPE)


def test_an_impossible_recipe_is_refused() -> None:
    with pytest.raises(ValueError, match="at least batch_size"):
        Recipe(crops=8, batch_size=16)
    with pytest.raises(ValueError, match="whitening"):
        Recipe(whitening=1.5)
    with pytest.raises(ValueError, match="32-true or bf16-mixed, but got 'half'"):
        Recipe(precision="half")  # type: ignore[arg-type]  # a config may say anything


def features(count: int = 4000) -> Tensor:
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    mixed = rng.standard_normal((count, 5)) * [5, 3, 1, 0.7, 0.5] @ turn + 3
    return torch.from_numpy(mixed).float()


def change_basis(x_NC: Tensor, whitening: float, out_channels: int | None = None) -> Tensor:
    basis = Decorrelation(x_NC.shape[1], out_channels)
    basis.fit(x_NC, whitening)
    y: Tensor = basis(x_NC.T[None, :, :, None])
    return y[0, :, :, 0].T


def test_full_whitening_is_that_of_scikit_learn() -> None:
    x = features()
    ours, theirs = change_basis(x, 1.0).numpy(), PCA(whiten=True).fit_transform(x.double().numpy())
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours * signs, theirs, atol=2e-3)


def test_no_whitening_keeps_distances_but_for_one_factor() -> None:
    x = features(60)
    ratio = torch.pdist(change_basis(x, 0.0)) / torch.pdist(x)
    assert float(ratio.std() / ratio.mean()) < 1e-4


@pytest.mark.parametrize(("out_channels", "tolerance"), [(5, 1e-4), (8, 1e-4), (3, 0.1)])
def test_restored_distances_are_those_of_the_features(out_channels: int, tolerance: float) -> None:
    x = features(60)
    basis = Decorrelation(5, out_channels)
    basis.fit(x, 0.5)
    y = basis(x.T[None, :, :, None])[0, :, :, 0].T
    found, wanted = torch.pdist(y @ basis.restoring()), torch.pdist(x)
    assert float((found - wanted).norm() / wanted.norm()) < tolerance  # three directions hold nearly all of five
    assert not torch.allclose(torch.pdist(y), wanted, rtol=0.2)


def test_a_restored_network_gives_restored_maps() -> None:
    torch.manual_seed(0)
    student = LoupeNet((4,) * 13, (4, 6, 5)).eval()
    bases = [Decorrelation(channels) for channels in (4, 6, 5)]
    for basis in bases:
        basis.fit(torch.randn(200, basis.matrix.shape[0]) * torch.linspace(0.5, 3, basis.matrix.shape[0]), 0.5)
    picture = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        maps, found = student(picture), restored(student, bases)(picture)
    for given, basis, result in zip(maps, bases, found, strict=True):
        wanted = torch.einsum("bchw,cd->bdhw", given, basis.restoring())
        torch.testing.assert_close(result, wanted, rtol=1e-4, atol=1e-5)


def test_half_whitening_takes_roots_of_variances() -> None:
    x = features()
    half, none = (change_basis(x, amount).var(dim=0) for amount in (0.5, 0.0))
    roots = none.sqrt()
    torch.testing.assert_close(half / half.sum(), roots / roots.sum(), rtol=1e-3, atol=1e-4)
    assert float(half.mean()) == pytest.approx(1, rel=1e-2)


def test_fewer_directions_are_the_principal_ones() -> None:
    x = features()
    ours, theirs = change_basis(x, 0.0, 2).numpy(), PCA(2).fit_transform(x.double().numpy())
    signs = np.sign((ours * theirs).sum(axis=0))
    theirs /= np.sqrt(np.square(theirs).mean())
    np.testing.assert_allclose(ours * signs, theirs, atol=2e-3)


def test_more_directions_keep_distances_and_share_the_variance() -> None:
    x = features(300)
    spread = change_basis(x, 0.5, 24)
    ratio = torch.pdist(spread) / torch.pdist(change_basis(x, 0.5))
    assert float(ratio.std() / ratio.mean()) < 1e-4
    assert float(spread.var(dim=0).max() / spread.var(dim=0).mean()) < 3


def test_the_learning_rate_warms_up_and_falls_to_nothing() -> None:
    share = [learning_rate_share(step, 1000) for step in range(1000)]
    assert share[0] == pytest.approx(0.05)
    assert max(share) == share[19] == 1.0
    assert all(a >= b for a, b in pairwise(share[19:]))
    assert share[-1] < 1e-5


def test_a_changed_view_is_the_same_scene_in_another_light() -> None:
    x = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3
    same = vary_view(x, 0.0, torch.Generator().manual_seed(0))
    varied = vary_view(x, 0.05, torch.Generator().manual_seed(0))
    assert torch.equal(same, x)
    for before, after in zip(x, varied, strict=True):
        assert np.corrcoef(before.flatten(), after.flatten())[0, 1] > 0.9999
    assert 0.01 < float((varied - x).mean(dim=(1, 2, 3)).std()) < 0.06


def test_networks_count_alike_however_loud_they_are() -> None:
    quiet, loud = features(), 100 * features().flip(0)
    basis = Decorrelation(10)
    basis.fit(torch.cat([quiet, loud], dim=1), 0.5, [5, 5])
    y = basis(torch.cat([quiet, loud], dim=1)[:60].T[None, :, :, None])[0, :, :, 0].T
    alike = torch.cat([one / one.var(dim=0, correction=0).sum().sqrt() for one in (quiet, loud)], dim=1)[:60]
    found, wanted = torch.pdist(y @ basis.restoring()), torch.pdist(alike)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_a_checkpoint_of_before_there_were_several_teachers_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "before.ckpt"
    whole = run(checkpoint=tmp_path / "whole.ckpt")
    with pytest.raises(OSError, match="no space"):
        run(checkpoint=path, writer=FullDisk(str(tmp_path / "tb")))
    state = torch.load(path, weights_only=True)
    for basis in state["basis"]:
        assert (basis.pop("gain") == 1).all()
    torch.save(state, path)
    assert_same(whole, run(checkpoint=path))
