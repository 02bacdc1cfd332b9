"""Work that trials share: what is read is, bit for bit, what would have been computed."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from datamodules.samples.batch import Sample, collate
from models import patchcore
from models.features.backbones import Backbone
from models.patchcore import PatchCore
from models.sharing.shared_work import SharedWork, fingerprint
from models.sharing.steps import sharing

if TYPE_CHECKING:
    from anomalib.data import InferenceBatch

NETWORK = {"name": "resnet18", "layers": [1, 2], "mean": [0.5] * 3, "std": [0.2] * 3, "weights": "none"}


def backbone(seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    return Backbone(**NETWORK)  # type: ignore[arg-type]  # as a config gives them


def pictures(seed: int, count: int = 4) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def trained(
    ratio: float, neighbors: int, work: SharedWork | None = None, seed: int = 0
) -> tuple[InferenceBatch, Tensor]:
    """Train on two batches; return predictions of a third, and the bank."""
    torch.manual_seed(seed)
    module = PatchCore(NETWORK, ratio, neighbors).eval()
    torch.manual_seed(1)
    with nullcontext() if work is None else sharing(module, work):
        for index in range(2):
            samples = [Sample(image, str(i), str(i), 0) for i, image in enumerate(pictures(index))]
            module.training_step(collate(samples), index)
        module.fit()
        with torch.no_grad():
            return module.model(pictures(7)), module.model.bank_MD


def same(one: tuple[InferenceBatch, Tensor], other: tuple[InferenceBatch, Tensor]) -> bool:
    pairs = [(one[0].pred_score, other[0].pred_score), (one[0].anomaly_map, other[0].anomaly_map), (one[1], other[1])]
    return all(torch.equal(first, second) for first, second in pairs if first is not None and second is not None)


def test_results_are_the_same_bit_for_bit_with_and_without(tmp_path: Path) -> None:
    settings = [(0.2, 3), (0.05, 3), (0.2, 1), (0.5, 9)]
    alone = [trained(*setting) for setting in settings]
    work = SharedWork(tmp_path, 1)
    first = [trained(*setting, work) for setting in settings]
    computed = work.misses
    again = [trained(*setting, work) for setting in settings]
    assert all(map(same, alone, first))
    assert all(map(same, alone, again))
    # Features of three batches, patches of two, two orders of a coreset; links and matches in three banks.
    assert work.misses == computed == 3 + 2 + 2 + 3 + 3
    assert work.hits > 10


def test_features_are_computed_once_for_all_settings(tmp_path: Path) -> None:
    work = SharedWork(tmp_path, 1)
    trained(0.5, 3, work)
    before = work.misses
    trained(0.1, 3, work)
    assert work.misses == before + 2  # links and matches in another bank; batches and the coreset are known


def test_a_trial_with_other_neighbours_reads_everything(tmp_path: Path) -> None:
    work = SharedWork(tmp_path, 1)
    trained(0.5, 1, work)
    before = work.misses
    found = [trained(0.5, neighbors, work) for neighbors in (3, 9, 16)]
    assert work.misses == before
    assert all(map(same, found, [trained(0.5, neighbors) for neighbors in (3, 9, 16)]))


def test_other_settings_of_patches_are_other_work(tmp_path: Path) -> None:
    work = SharedWork(tmp_path, 1)
    for settings in ({}, {"position": 1.0}, {"position": 2.0}, {"score": "top_mean"}, {"copies": "turns"}):
        found = []
        for shared in (None, work):
            torch.manual_seed(0)
            module = PatchCore(NETWORK, 0.2, **settings).eval()
            with nullcontext() if shared is None else sharing(module, shared), torch.no_grad():
                module.collect(pictures(0))
                module.fit()
                found.append((module.model(pictures(7)), module.model.bank_MD))
        assert same(*found), settings


def test_other_pictures_weights_or_precision_are_other_work(tmp_path: Path) -> None:
    work = SharedWork(tmp_path, 1)
    one, other = backbone(0), backbone(1)
    with sharing(one, work), sharing(other, work), torch.no_grad():
        known = one(pictures(0))
        assert torch.equal(one(pictures(0))[0], known[0])
        assert (work.hits, work.misses) == (1, 1)
        one(pictures(1))
        other(pictures(0))
        one(pictures(0)[:2])
        with torch.autocast("cpu", torch.bfloat16):
            one(pictures(0))
        assert (work.hits, work.misses) == (1, 5)
        one.load_state_dict(other.state_dict())  # its fingerprint changes with it
        assert torch.equal(one(pictures(0))[0], other(pictures(0))[0])
        assert (work.hits, work.misses) == (3, 5)


def test_other_levels_of_one_network_are_other_work(tmp_path: Path) -> None:
    """LoupeNet holds all of its levels, whichever it returns."""
    about = {"name": "loupe_net", "mean": [0.5] * 3, "std": [0.5] * 3, "weights": "bundled"}
    upper, lower = (Backbone(**about, layers=levels) for levels in ([1, 2], [2, 3]))  # type: ignore[arg-type]  # as above
    work = SharedWork(tmp_path, 1)
    with sharing(upper, work), sharing(lower, work), torch.no_grad():
        shapes = [[feature.shape for feature in one(pictures(0))] for one in (upper, lower)]
    assert shapes[0][1] == shapes[1][0]
    assert shapes[0][0] != shapes[1][1]
    assert fingerprint(upper) != fingerprint(lower)


def test_a_known_batch_is_that_content_until_it_changes(tmp_path: Path) -> None:
    work = SharedWork(tmp_path, 1)
    network, image = backbone(), pictures(0)
    with sharing(network, work), torch.no_grad():
        work.know(image, "picture 1")
        network(image)
        other, copy = pictures(1), pictures(0)
        work.know(other, "picture 1")  # a mistake: a sample of the bits tells them apart
        work.know(copy, "picture 1")
        network(other)
        assert (work.hits, work.misses) == (0, 2)
        network(copy)
        assert (work.hits, work.misses) == (1, 2)
        assert not torch.equal(network(image[:2])[0], network(image[2:])[0])  # parts have no part in the name
        image[0, 0, 0, 1] += 0.5  # where no sample is taken
        written = network(image)[0]
        assert (work.hits, work.misses) == (1, 5)
    assert torch.equal(written, network(image)[0])


def test_layouts_in_memory_come_back(tmp_path: Path) -> None:
    made = [torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last), torch.rand(2, 3), torch.rand(3, 4).half()]
    work = SharedWork(tmp_path, 1)
    work.remember("made", [made[1], "x", 3], lambda: made)
    kept = work.remember("made", [made[1], "x", 3], list)
    for tensor, copy in zip(made, kept, strict=True):
        assert torch.equal(tensor, copy)
        assert tensor.stride() == copy.stride()
        assert tensor.dtype == copy.dtype


def test_a_longer_order_serves_a_shorter_one(tmp_path: Path) -> None:
    asked = []

    def order(count: int) -> list[int]:
        asked.append(count)
        return list(range(count))

    work = SharedWork(tmp_path, 1)
    found = [work.remember_order("o", [torch.ones(2)], n, lambda n=n: order(n)) for n in (5, 3, 5, 8, 6)]  # type: ignore[misc]
    assert found == [list(range(n)) for n in (5, 3, 5, 8, 6)]
    assert asked == [5, 8]


def test_the_folder_stays_within_its_limit_and_keeps_what_is_used(tmp_path: Path) -> None:
    megabyte = torch.zeros(2**18)
    work = SharedWork(tmp_path, 8 / 1024)  # eight of them
    for index in range(20):
        work.remember("fill", [megabyte, index], lambda: [megabyte])
        for path in tmp_path.glob("*/*.safetensors"):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))  # time passes
        work.remember("fill", [megabyte, 0], lambda: [megabyte])  # used all the time
    hits = work.hits
    work.remember("fill", [megabyte, 0], lambda: [megabyte])
    assert work.hits == hits + 1
    work.remember("fill", [megabyte, 1], lambda: [megabyte])
    assert work.hits == hits + 1  # long gone
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 8.6 * 2**20


def test_what_a_kill_tore_is_computed_again(tmp_path: Path) -> None:
    made = torch.rand(100)
    work = SharedWork(tmp_path, 1)
    work.remember("made", [made], lambda: [made])
    (path,) = tmp_path.glob("*/*.safetensors")
    path.write_bytes(path.read_bytes()[:50])
    assert torch.equal(work.remember("made", [made], lambda: [made])[0], made)
    assert torch.equal(work.remember("made", [made], list)[0], made)


def test_nothing_is_kept_where_gradients_are_wanted_or_nobody_asked(tmp_path: Path) -> None:
    work = SharedWork(tmp_path, 1)
    network = backbone()
    network(pictures(0))
    with sharing(network, work):
        image = pictures(0).requires_grad_()
        assert network(image)[0].requires_grad
        work.paused = True
        network(pictures(0))
    assert not list(tmp_path.iterdir())


def test_a_network_is_afterwards_as_it_was(tmp_path: Path) -> None:
    module = PatchCore(NETWORK, 0.5, 3)
    before = {name: set(vars(part)) for name, part in module.named_modules()}
    with sharing(module, SharedWork(tmp_path, 1)):
        assert {"describe", "choose"} <= set(vars(module))
    assert {name: set(vars(part)) for name, part in module.named_modules()} == before


def test_no_method_knows_of_it() -> None:
    models = Path(patchcore.__file__).parent
    for path in [*models.glob("*.py"), *(models / "features").glob("*.py"), *(models / "components").glob("*.py")]:
        assert "sharing" not in path.read_text(encoding="utf-8"), path


def test_fingerprints_tell_networks_apart() -> None:
    assert fingerprint(backbone(0)) == fingerprint(backbone(0))
    assert fingerprint(backbone(0)) != fingerprint(backbone(1))


def test_a_limit_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="above 0 GiB"):
        SharedWork(tmp_path, 0)
