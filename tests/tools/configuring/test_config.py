"""Configs: composition, and errors that name the nearest right key."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from tools.configuring.config import compose_config, describe, groups, recompose, require_values
from tools.errors import ConfigError


def test_overrides_reach_what_refers_to_them() -> None:
    config = compose_config("train", ["data=fiber", "data.root=x", "backbone=mobilenetv2", "seed=3", "out=elsewhere"])
    assert config.data.seed == 3
    assert config.model.backbone.name == "mobilenetv2_100"
    assert config.choices.data == "fiber"


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("data=fibre", ["No data named 'fibre'", "did you mean 'fiber'?", "folder"]),
        ("modle=patchcore", ["No key 'modle'", "did you mean 'model'?"]),
        ("model.coreset_ration=0.3", ["No key 'model.coreset_ration'", "did you mean 'model.coreset_ratio'?"]),
        ("dat.limit=3", ["No key 'dat.limit'", "did you mean 'data.limit'?"]),
        ("threshold.policy.quantle=0.9", ["No key 'threshold.policy.quantle'"]),
        ("seed=abc", ["Expected seed to be a whole number", "'abc'"]),
        ("seed=1.5", ["Expected seed to be a whole number", "1.5"]),
        ("model.coreset_ratio=high", ["Expected model.coreset_ratio to be a number", "'high'"]),
        ("data.defects_in_train=1", ["Expected data.defects_in_train to be true or false"]),
        ("data.batch_size=true", ["Expected data.batch_size to be a whole number", "True"]),
        ("data.image_size=x", ["Expected data.image_size to be a list", "x"]),
        ("model=7", ["No model named '7'"]),
        ("threshold.policy=3", ["Expected threshold.policy to be a group of keys"]),
        ("data.root=", ["Expected data.root to be a folder, but found nothing; data.root=. is this one."]),
        ("out=''", ["Expected out to be a folder, but found nothing"]),
        ("source=", ["Expected source to be a folder, but found nothing"]),
        ("source=[lot,'']", ["Expected source to be a folder, but found nothing"]),
        ("seed=1,2", ["Expected one value", "seed=1,2", "loupe sweep"]),
        ("data.nosuch=1", ["No key", "+data.nosuch=..."]),
        ("fiber", ["Expected key=value", "'fiber'"]),
        ("backbone=[]", ["Expected backbone to be one choice, or a list of different ones, but found none"]),
        ("backbone=[loupe,loupe]", ["but found loupe twice"]),
        ("backbone=[loupe,mobilenet2]", ["No backbone named 'mobilenet2'", "did you mean 'mobilenetv2'?"]),
        ("model=[padim,dfm]", ["No model named"]),
        ("experiment=quik", ["No experiment named 'quik'", "did you mean 'quick'?"]),
    ],
)
def test_mistakes_are_named(override: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose_config("train", [override])
    for part in parts:
        assert part in str(caught.value)


def test_a_value_still_to_be_given_is_named() -> None:
    config = compose_config("train", ["data=fiber"])
    with pytest.raises(ConfigError, match=r"data\.root.*set data\.root=VALUE"):
        require_values(config)
    require_values(compose_config("train", ["data=fiber", "data.root=here"]))


@pytest.mark.parametrize("path", ["/a/Powder (1)/x", "C:\\data\\screws", "a b/c d", "it's here"])
def test_paths_beyond_the_grammar_are_taken_as_they_stand(path: str) -> None:
    assert compose_config("train", ["data=folder", f"data.root={path}"]).data.root == path


def test_keys_can_be_added_and_deleted_on_purpose() -> None:
    config = compose_config("train", ["+backbone.options.drop_rate=0.1", "~name"])
    assert config.backbone.options.drop_rate == 0.1
    assert "name" not in config


def test_backbones_stand_side_by_side() -> None:
    options = ["backbone=[mobilenetv2,loupe]", "backbone.networks.mobilenetv2.weights=FILE", "model=hybrid"]
    config = compose_config("train", options)
    networks = config.model.screening.backbone.networks
    assert list(networks) == ["mobilenetv2", "loupe"]
    assert networks.loupe == compose_config("train", ["backbone=loupe"]).backbone
    assert networks.mobilenetv2.weights == "FILE"
    assert config.choices.backbone == "[mobilenetv2,loupe]"
    assert compose_config("train", ["backbone=[loupe]"]) == compose_config("train", ["backbone=loupe"])


def test_experiments_choose_for_other_groups() -> None:
    config = compose_config("train", ["experiment=patchcore_paper"])
    assert config.choices.backbone == "wide_resnet50_2"
    assert list(config.data.image_size) == [224, 224]
    config = compose_config("train", ["experiment=patchcore_mirrors"])
    assert config.backbone.mirrored
    assert config.model.backbone == config.backbone
    assert list(config.model.scales) == [2]


def test_every_choice_says_what_it_is() -> None:
    for group, choices in groups().items():
        for choice in choices:
            assert len(describe(group, choice)) > 5, f"{group}/{choice}.yaml wants a first comment"


def test_a_run_keeps_its_model_but_may_change_its_data() -> None:
    run = compose_config("train", ["data=fiber", "data.root=a", "seed=5"])
    own = OmegaConf.create({"run": "???", "out": None})
    changed = recompose(run, ["run=r", "data=folder", "data.root=b"], own, ["data"])
    assert changed.data._target_.endswith("FolderDataModule")
    assert (changed.data.root, changed.data.seed, changed.run) == ("b", 5, "r")
    with pytest.raises(ConfigError, match="Expected model to stay as the run has it"):
        recompose(run, ["model.coreset_ratio=0.5"], own, ["data"])
    with pytest.raises(ConfigError, match=r"did you mean 'data\.root'"):
        recompose(run, ["data.rot=b"], own, ["data"])


def test_one_number_is_the_side_of_a_square() -> None:
    assert list(compose_config("train", ["data.image_size=96"]).data.image_size) == [96, 96]
