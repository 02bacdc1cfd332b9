"""Building from configs: every shipped config fits its constructor, and wrong values are named before anything runs."""

from __future__ import annotations

import inspect

import pytest
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from models.features.backbones import Backbone
from tools.configuring.build import build, check_arguments
from tools.configuring.config import compose_config, groups
from tools.errors import ConfigError

TARGETS = [(group, choice) for group in ("data", "model", "threshold", "trainer") for choice in groups()[group]]
NEEDED = {
    ("threshold", "fixed"): ["threshold.policy.value=1"],
    ("threshold", "grid"): ["threshold.policy.start=0", "threshold.policy.stop=1", "threshold.policy.step=0.1"],
}


FILLED_IN = {("model", "metallography")}  # its models are those of runs, which a test of the chain names


@pytest.mark.parametrize(("group", "choice"), [target for target in TARGETS if target not in FILLED_IN])
def test_shipped_configs_fit_their_constructors(group: str, choice: str) -> None:
    overrides = [f"{group}={choice}", *(["data.root=x"] if group == "data" else NEEDED.get((group, choice), []))]
    check_arguments(compose_config("train", overrides)[group], group)


@pytest.mark.parametrize(("group", "choice"), [target for target in TARGETS if target[0] != "trainer"])
def test_shipped_configs_name_every_argument(group: str, choice: str) -> None:
    config = compose_config("train", [f"{group}={choice}"])[group]
    parameters = set(inspect.signature(get_class(config._target_)).parameters)
    assert parameters == set(map(str, config)) - {"_target_"}


@pytest.mark.parametrize("choice", groups()["backbone"])
def test_shipped_backbones_fit(choice: str) -> None:
    assert set(inspect.signature(Backbone).parameters) == set(compose_config("train", [f"backbone={choice}"]).backbone)


def patchcore(**changes: object) -> DictConfig:
    config = compose_config("train", ["backbone.weights=none"])
    resolved = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    model: DictConfig = resolved.model
    model.update(changes)
    return model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coreset_ratoi": 0.1}, r"No key 'model\.coreset_ratoi'; did you mean 'model\.coreset_ratio'"),
        ({"coreset_ratio": "much"}, r"Expected model\.coreset_ratio to be a number, but found 'much'"),
        ({"num_neighbors": 2.5}, r"Expected model\.num_neighbors to be a whole number, but found 2\.5"),
        ({"coreset_ratio": 1.5}, r"Expected model\.coreset_ratio to be above 0 and at most 1, but found 1\.5"),
    ],
)
def test_wrong_arguments_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(patchcore(**changes), "model")


def test_missing_arguments_are_named() -> None:
    config = OmegaConf.create({"_target_": "datamodules.fiber.FiberDataModule"})
    with pytest.raises(ConfigError, match=r"Expected a value for data\.root"):
        build(config, "data")


def test_nested_configs_are_checked_too() -> None:
    config = compose_config("train", []).threshold
    config.policy.beta = "large"
    with pytest.raises(ConfigError, match=r"Expected threshold\.policy\.beta to be a number"):
        build(config, "threshold")


def test_the_evaluation_is_built_from_its_config() -> None:
    config = compose_config("train", ["callbacks.evaluation.resamples=50", "seed=3"]).callbacks
    assert {name: entry._target_ for name, entry in config.items()} == {
        "evaluation": "callbacks.measures.evaluation.Evaluation",
        "epoch_pictures": "callbacks.training.epoch_pictures.EpochPictures",
    }
    evaluation = build(config.evaluation, "callbacks.evaluation")
    assert (evaluation.resampling.resamples, evaluation.resampling.seed) == (50, 3)


def test_what_is_to_be_built_may_lie_in_a_list() -> None:
    flips = [
        {"_target_": f"torchvision.transforms.v2.{name}"} for name in ("RandomHorizontalFlip", "RandomVerticalFlip")
    ]
    choice = {"_target_": "torchvision.transforms.v2.RandomChoice", "transforms": flips}
    built = build(OmegaConf.create(choice), "data.augment.0")
    assert [type(one).__name__ for one in built.transforms] == ["RandomHorizontalFlip", "RandomVerticalFlip"]
    flips[1]["q"] = "0.5"
    with pytest.raises(ConfigError, match=r"No key 'data\.augment\.0\.transforms\.1\.q'"):
        build(OmegaConf.create(choice), "data.augment.0")
