"""Feature networks side by side: one contract, no network that rules, and nothing new where there is but one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from models.components.standardising import Spread, even_batches, spread_evenly, standardise
from models.dfm import DFM
from models.features.backbones import Backbone
from models.features.joined_backbone import JoinedBackbone, build_features, with_layers
from models.features.origins import networks_of
from models.padim import Padim
from models.patchcore import PatchCore
from models.reverse_distillation import ReverseDistillation
from models.sharing.shared_work import SharedWork
from models.sharing.steps import sharing
from models.stfpm import STFPM
from tests.models.drawn import LOUPE, batch, pictures

if TYPE_CHECKING:
    from pathlib import Path

RESNET: dict[str, Any] = {**LOUPE, "name": "resnet18", "weights": "none"}
PAIR: dict[str, Any] = {"networks": {"loupe": LOUPE, "resnet18": RESNET}}


def pair() -> JoinedBackbone:
    torch.manual_seed(0)
    built = build_features(PAIR)
    assert isinstance(built, JoinedBackbone)
    return built


def standardised() -> JoinedBackbone:
    joined = pair()
    standardise(joined, [(pictures(4, seed), None) for seed in range(2)])
    return joined


def parts(maps: list[Tensor], joined: JoinedBackbone) -> list[list[Tensor]]:
    """Part the levels of the whole into those of each network."""
    channels = [[level[0] for level in network.shapes()] for network in joined.networks.values()]
    counts = zip(*channels, strict=True)
    split = [torch.split(level, list(count), dim=1) for level, count in zip(maps, counts, strict=True)]
    return [list(levels) for levels in zip(*split, strict=True)]


def test_a_single_network_is_that_network() -> None:
    alone, only = build_features(LOUPE), build_features({"networks": {"loupe": LOUPE}})
    assert isinstance(only, Backbone)
    assert all(map(torch.equal, alone(pictures(2)), only(pictures(2))))
    assert only.origin == alone.origin
    runs = []
    for backbone in (LOUPE, {"networks": {"loupe": LOUPE}}):
        torch.manual_seed(0)
        module = PatchCore(backbone, 0.2).eval()
        module.collect(pictures(4))
        module.fit()
        runs.append(module.state_dict())
    assert runs[0].keys() == runs[1].keys()
    assert all(torch.equal(value, runs[1][key]) for key, value in runs[0].items() if isinstance(value, Tensor))


def test_levels_lie_one_upon_the_other() -> None:
    joined = pair()
    maps = joined(pictures(2, size=(96, 64)))
    assert joined.shapes(96, 64) == [tuple(level.shape[1:]) for level in maps]
    for network, own in zip(joined.networks.values(), parts(maps, joined), strict=True):
        assert all(map(torch.equal, own, network(pictures(2, size=(96, 64)))))  # before they are standardised


def test_each_network_has_the_same_share_of_what_varies() -> None:
    joined = standardised()
    assert joined.known
    maps = [joined(pictures(4, seed)) for seed in range(2)]
    whole = [torch.cat(levels) for levels in zip(*maps, strict=True)]
    varies = [
        sum(float(level.double().var(dim=(0, 2, 3), correction=0).sum()) for level in levels)
        for levels in parts(whole, joined)
    ]
    channels = sum(level.shape[1] for level in whole)
    assert varies == pytest.approx([channels / 2, channels / 2], rel=1e-4)


def test_no_network_rules_by_its_scale() -> None:
    quiet, loud = pair(), pair()
    compute = loud.networks["resnet18"].forward

    def louder(image_B3HW: Tensor) -> list[Tensor]:
        return [1000 * level for level in compute(image_B3HW)]

    loud.networks["resnet18"].forward = louder  # type: ignore[method-assign]  # drowns the other
    images = [(pictures(4), None)]
    assert not all(map(torch.allclose, quiet(pictures(2)), loud(pictures(2))))
    for joined in (quiet, loud):
        standardise(joined, images)
    for one, other in zip(quiet(pictures(2, 5)), loud(pictures(2, 5)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_padding_is_not_counted() -> None:
    value, inside = torch.randn(2, 3, 4, 5), torch.rand(2, 4, 5) > 0.4
    spread, changed = Spread(), Spread()
    spread.add(value, inside)
    changed.add(torch.where(inside.unsqueeze(1), value, torch.tensor(99.0)), inside)
    expected = value.permute(0, 2, 3, 1)[inside].double().var(dim=0, correction=0).sum()
    assert spread.variance == changed.variance == pytest.approx(float(expected))


@pytest.mark.parametrize(("total", "expected"), [(3, [0, 1, 2]), (4, [0, 1, 2, 3]), (9, [0, 2, 4, 6])])
def test_images_that_show_the_scale_lie_evenly_apart(total: int, expected: list[int]) -> None:
    assert spread_evenly(total, 4) == expected


class Loader:
    """What ``even_batches`` asks of a loader."""

    batch_size = 2

    @staticmethod
    def collate_fn(samples: list[Any]) -> list[Any]:
        """Make a batch."""
        return samples

    def __init__(self, labels: list[int]) -> None:
        self.dataset = [type("Sample", (), {"label_index": label, "place": i}) for i, label in enumerate(labels)]


@pytest.mark.parametrize(("labels", "places"), [([0, 1, -1, 1, 0], [0, 2, 4]), ([1, 1, 1], [0, 1, 2])])
def test_defective_images_show_no_scale_unless_there_are_no_others(labels: list[int], places: list[int]) -> None:
    read: Any = list(even_batches(Loader(labels)))
    assert [sample.place for samples in read for sample in samples] == places


def test_scales_travel_with_the_weights_and_say_where_they_are_from() -> None:
    first, second = standardised(), pair()
    second.load_state_dict(first.state_dict())
    assert second.known
    assert torch.equal(second.scale_N, first.scale_N)
    assert all(map(torch.equal, first(pictures(2)), second(pictures(2))))
    found = networks_of(second.origin)
    assert second.origin["name"] == "loupe_net + resnet18"
    assert found["resnet18"] == {"name": "resnet18", "weights": "none"}
    assert found["loupe"] == Backbone(**LOUPE).origin


def test_of_two_models_each_network_is_told() -> None:
    origin = {"name": "a", "weights": "none", "inspection_name": "b", "inspection_weights": "hub", "x_name": "c"}
    assert networks_of(origin) == {
        "": origin,
        "inspection": {"name": "b", "weights": "hub"},
    }


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        (
            {"networks": {"loupe": LOUPE, "resnet18": {**RESNET, "layers": [1, 2]}}},
            r"\[28, 14\] of loupe and of \[56, 28\] of resnet18, .* set backbone\.networks\.resnet18\.layers",
        ),
        ({"networks": {"loupe": LOUPE, "resnet18": {**RESNET, "layers": [2]}}}, r"\[28\] of resnet18"),
        ({"networks": {}}, "by name, but found none"),
        ({"networks": {"loupe": LOUPE}, "layers": [1]}, "but found layers beside them"),
        ({"networks": {"a.b": LOUPE, "c": LOUPE}}, "names without dots, but found 'a.b'"),
        (
            {"networks": {"loupe": LOUPE, "resnet18": {**RESNET, "weights": "/no/such.pth"}}},
            r"none; give a file with backbone\.networks\.resnet18\.weights=PATH",
        ),
    ],
)
def test_what_does_not_go_together_is_named(backbone: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        build_features(backbone)


def test_features_that_never_vary_are_refused() -> None:
    joined = pair()
    with pytest.raises(ValueError, match="vary from place to place, but those of loupe, resnet18 vary by 1, 0"):
        joined.take_scales([1.0, 0.0])


def test_a_model_that_takes_one_network_says_so() -> None:
    with pytest.raises(ValueError, match=r"one feature network for STFPM, .* but found loupe and resnet18; choose one"):
        STFPM(PAIR)
    assert STFPM({"networks": {"loupe": LOUPE}}).origin() == STFPM(LOUPE).origin()


def test_layers_can_be_set_for_all() -> None:
    assert {tuple(one["layers"]) for one in with_layers(PAIR, [1, 2, 3])["networks"].values()} == {(1, 2, 3)}
    assert with_layers(LOUPE, [1])["layers"] == [1]


@pytest.mark.parametrize("model", [PatchCore, Padim, DFM])
def test_models_of_one_pass_learn_from_both(model: Any) -> None:
    torch.manual_seed(0)
    module = model(PAIR).eval()
    standardise(module.model.backbone, [(pictures(6), None)])
    module.collect_batch(batch(pictures(6)))
    module.fit()
    coarse = pictures(6, 9)[:, :, ::8, ::8].repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    with torch.no_grad():
        known, other = module.model(pictures(6)).pred_score, module.model(coarse).pred_score
    assert float(known.max()) < float(other.min())


def test_reverse_distillation_rebuilds_both() -> None:
    module = ReverseDistillation(PAIR)
    found, rebuilt = module.model.features(pictures(2))
    assert [level.shape for level in found] == [level.shape for level in rebuilt]
    with pytest.raises(ValueError, match=r"neighbours, .* but \[1, 3\] of loupe and \[1, 3\] of resnet18 have sides"):
        ReverseDistillation(with_layers(PAIR, [1, 3]))


def test_features_of_each_network_are_shared_work(tmp_path: Path) -> None:
    """A trial with two networks leaves the features of both to trials with one of them."""
    work, joined = SharedWork(tmp_path, 1), standardised()
    image = pictures(3)
    with torch.no_grad():
        expected = joined(image)
        with sharing(joined, work):
            assert all(map(torch.equal, joined(image), expected))
            assert (work.hits, work.misses) == (0, 2)
            assert all(map(torch.equal, joined(image.clone()), expected))
            assert (work.hits, work.misses) == (2, 2)
        alone = Backbone(**LOUPE)
        with sharing(alone, work):
            alone(image)
        assert (work.hits, work.misses) == (3, 2)
