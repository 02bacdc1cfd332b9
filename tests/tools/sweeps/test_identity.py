"""Identity: what changes no result changes no id, and everything else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tools.sweeps.identity import trial_id

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "seed": 0,
    "out": "runs",
    "name": None,
    "id": None,
    "report": True,
    "choices": {"model": "patchcore"},
    "data": {"root": "runs/drawn", "batch_size": 16, "num_workers": None, "cache": None, "image_size": [64, 64]},
    "model": {"_target_": "models.patchcore.PatchCore", "backbone": {"weights": "bundled"}, "coreset_ratio": 0.1},
}


def changed(key: str, value: object) -> dict[str, Any]:
    parent, _, leaf = key.rpartition(".")
    if not parent:
        return CONFIG | {leaf: value}
    return CONFIG | {parent: CONFIG[parent] | {leaf: value}}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("out", "/elsewhere"),
        ("name", "trials"),
        ("id", "x"),
        ("report", False),
        ("choices", {"model": "mine"}),
        ("data.root", "/moved/drawn"),
        ("data.num_workers", 4),
        ("data.cache", "/fast/cache"),
    ],
)
def test_names_places_and_ways_of_working_do_not_count(key: str, value: object) -> None:
    assert trial_id(changed(key, value), "d") == trial_id(CONFIG, "d")


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 1), ("data.batch_size", 8), ("data.image_size", [64, 96]), ("model.coreset_ratio", 0.2), ("new", None)],
)
def test_all_else_counts(key: str, value: object) -> None:
    assert trial_id(changed(key, value), "d") != trial_id(CONFIG, "d")


def test_the_data_count_by_their_content() -> None:
    assert trial_id(CONFIG, "d") != trial_id(CONFIG, "e")


def test_the_order_of_keys_does_not_count() -> None:
    assert trial_id(dict(reversed(CONFIG.items())), "d") == trial_id(CONFIG, "d")


def test_weights_count_by_their_content(tmp_path: Path) -> None:
    def named(path: Path) -> str:
        return trial_id(changed("model", CONFIG["model"] | {"backbone": {"weights": str(path)}}), "d")

    first, copy, other = (tmp_path / name for name in ("a.pt", "b.pt", "c.pt"))
    first.write_bytes(b"weights")
    copy.write_bytes(b"weights")
    other.write_bytes(b"others")
    assert named(first) == named(copy)
    assert len({named(first), named(other), trial_id(CONFIG, "d"), named(tmp_path / "missing")}) == 4
