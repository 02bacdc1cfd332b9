"""What every domain owes: the same images every time, exact masks, and no shortcut to the label."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from datamodules.synthetic import DOMAINS, Drawing, DrawingError, Identity, defective_image, find_domain, good_image
from datamodules.synthetic.defects import grown

CASES = [(name, defect) for name, domain in DOMAINS.items() for defect in domain.defects]
CHANNELS = {"fiber": 1, "oring": 3, "meta_atom": 3, "metallography": 3, "print3d": 1}


def draw(name: str, number: int, size: int = 96, defect: str | None = None, severity: float = 0.0) -> Drawing:
    return DOMAINS[name].draw(Identity(seed=3, domain=name, group=number, slot=1), size, defect, severity)


def difference(first: Drawing, second: Drawing) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Largest absolute difference of any channel, (H, W)."""
    apart = np.abs(first.image.astype(np.int64) - second.image.astype(np.int64))
    return apart if apart.ndim == 2 else apart.max(axis=2)


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("size", [32, 64, 101, 512])
def test_contract(name: str, size: int) -> None:
    domain = DOMAINS[name]
    for defect in (None, *domain.defects):
        drawing = draw(name, 0, size, defect, 0.5 if defect else 0.0)
        shape = (size, size) if CHANNELS[name] == 1 else (size, size, 3)
        assert drawing.image.shape == shape
        assert drawing.image.dtype == np.uint8
        assert drawing.mask.shape == (size, size)
        assert drawing.mask.dtype == np.bool_
        assert drawing.mask.any() == (defect is not None)
        assert drawing.mask.mean() < 0.5
        assert drawing.defect == defect
        assert drawing.severity == (0.5 if defect else 0.0)
        assert drawing.kind
        assert drawing.group
        assert 15 < drawing.image.mean() < 235


@pytest.mark.parametrize(("name", "defect"), CASES)
@pytest.mark.parametrize("size", [32, 128])
def test_even_the_faintest_defect_has_a_mask(name: str, defect: str, size: int) -> None:
    for number in range(4):
        assert draw(name, number, size, defect, 0.0).mask.any()


@pytest.mark.parametrize(("name", "defect"), CASES)
def test_equal_identities_draw_equal_pictures(name: str, defect: str) -> None:
    first, second = (draw(name, 2, 64, defect, 0.6) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert (draw(name, 3, 64, defect, 0.6).image != first.image).any()


@pytest.mark.parametrize(("name", "defect"), CASES)
def test_masks_are_exact(name: str, defect: str) -> None:
    for number in range(2):
        good = draw(name, number, 128)
        for severity in (0.0, 0.4, 1.0):
            bad = draw(name, number, 128, defect, severity)
            apart = difference(good, bad)
            assert not apart[~grown(bad.mask)].any()
            if severity > 0.0:
                assert (apart[bad.mask] > 0).mean() > 0.6
                assert apart[bad.mask].max() > 8


@pytest.mark.parametrize(("name", "defect"), CASES)
def test_severity_is_how_much_changes(name: str, defect: str) -> None:
    def change(severity: float) -> float:
        return float(
            np.mean([difference(draw(name, n, 64), draw(name, n, 64, defect, severity)).sum() for n in range(3)])
        )

    assert change(0.0) < change(0.5) < change(1.0)


@pytest.mark.parametrize("name", DOMAINS)
def test_label_cannot_be_read_from_brightness_or_file_size(name: str) -> None:
    """A hundred images of each label, from many groups; `test_no_shortcut_at_full_size` draws more and larger."""
    assert_no_shortcut(name, size=64, numbers=range(0, 400, 4))


@pytest.mark.slow
@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_shortcut_at_full_size(name: str, seed: int) -> None:
    assert_no_shortcut(name, size=256, numbers=range(200), seed=seed)


def assert_no_shortcut(name: str, size: int, numbers: range, seed: int = 0) -> None:
    brightness, file_size, labels = [], [], []
    for number in numbers:
        for label, order in enumerate((good_image(name, seed, number), defective_image(name, seed, number))):
            image = DOMAINS[name].draw(order.identity, size, order.defect, order.severity).image
            brightness.append(image.mean())
            file_size.append(len(cv2.imencode(".png", image)[1]))
            labels.append(label)
    assert 0.35 <= roc_auc_score(labels, brightness) <= 0.65
    assert 0.35 <= roc_auc_score(labels, file_size) <= 0.65


@pytest.mark.parametrize("name", DOMAINS)
def test_groups_share_their_look(name: str) -> None:
    """Mean brightness varies less within groups than between them."""
    means = np.array(
        [[DOMAINS[name].draw(Identity(0, name, g, s), 48, None, 0.0).image.mean() for s in range(3)] for g in range(12)]
    )
    assert means.std(axis=1).mean() < 0.8 * means.mean(axis=1).std()
    kinds = {draw(name, group, 48).kind for group in range(4)}
    assert len(kinds) >= 2
    assert len({draw(name, group, 48).group for group in range(4)}) == 4


@pytest.mark.parametrize("name", DOMAINS)
def test_orders_never_share_an_identity_and_balance_defects(name: str) -> None:
    good = [good_image(name, 5, number) for number in range(60)]
    bad = [defective_image(name, 5, number) for number in range(60)]
    assert len({order.identity for order in good + bad}) == 120
    counts = {defect: sum(order.defect == defect for order in bad) for defect in DOMAINS[name].defects}
    assert set(counts.values()) == {60 // len(counts)}
    for defect in DOMAINS[name].defects:
        severities = np.sort([order.severity for order in bad if order.defect == defect])
        assert severities[0] < 0.15
        assert severities[-1] > 0.85
        assert np.diff(severities).max() < 0.2


@pytest.mark.parametrize("name", DOMAINS)
def test_place_in_group_says_nothing_about_the_label(name: str) -> None:
    domain = DOMAINS[name]
    good = [good_image(name, 0, number).identity.slot for number in range(40 * domain.good_per_group)]
    bad = [defective_image(name, 0, number).identity.slot for number in range(40 * domain.defective_per_group)]
    labels = [0] * len(good) + [1] * len(bad)
    assert 0.4 < roc_auc_score(labels, good + bad) < 0.6


@pytest.mark.parametrize(("wrong", "meant"), [("o-ring", "oring"), ("Fibre", "fiber"), ("metaatom", "meta_atom")])
def test_unknown_domain_names_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(DrawingError, match=f"did you mean '{meant}'"):
        find_domain(wrong)


@pytest.mark.parametrize("name", DOMAINS)
def test_requests_that_cannot_be_drawn_say_why(name: str) -> None:
    with pytest.raises(DrawingError, match="size to be at least 32 pixels, got 31"):
        draw(name, 0, size=31)
    with pytest.raises(DrawingError, match=r"severity to lie in \[0, 1\].*got 1.5"):
        draw(name, 0, defect=DOMAINS[name].defects[0], severity=1.5)
    with pytest.raises(DrawingError, match=f"did you mean '{DOMAINS[name].defects[0]}'"):
        draw(name, 0, defect=DOMAINS[name].defects[0] + "s")


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(DrawingError, match="seed, group and slot to be zero or more"):
        Identity(seed=-1, domain="fiber", group=0, slot=0)
