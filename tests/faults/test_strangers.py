"""A stranger's run executes nothing: every verb that opens runs, every place of a config, every way to name code."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from omegaconf import OmegaConf

from tests.faults.endings import Loupe, assert_refused
from tools.configuring.trust import check_trust, check_values, is_known, own_targets, trusting
from tools.errors import ConfigError
from tools.runs.checkpoint import KEY
from tools.sweeps.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = [
    *("os.system", "builtins.open", "builtins.eval", "builtins.exec", "subprocess.run", "pathlib.Path.unlink"),
    *("shutil.rmtree", "importlib.import_module", "torch.load", "torch.hub.load", "pickle.loads", "runpy.run_path"),
    *("hydra.utils.instantiate", "hydra.utils.get_class", "hydra.utils.call", "functools.partial", "evil_module.Evil"),
    *("lightning.pytorch.cli.LightningCLI", "lightning.pytorch.callbacks.LambdaCallback", "lightning.Trainer.fit"),
    *(
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.callbacks.OnExceptionCheckpoint",
        "lightning.os.system",
    ),
    *("torchvision.transforms.v2.Lambda", "torchvision.transforms.v2.functional.to_image", "torchvision.io.write_file"),
    *("torchvision.transforms.os.system", "torchvision.transforms.v2.Compose.__init__", "torchvision.datasets.MNIST"),
    *("tools.runs.run_folder.RunFolder", "tools.mishaps.explain", "datamodules.files.whole_files.write_whole"),
    *(
        "datamodules.files.images.read_image",
        "datamodules.synthetic.write.write_dataset",
        "callbacks.training.history.History",
    ),
    *("callbacks.training.best.BestCheckpoint", "models.features.weight_files.write_weights", "models.base.torch.load"),
    *("datamodules.prepare.oring_tiles.OringTiles", "datamodules.base.Path", "anomalib.engine.Engine", "", ".", "x"),
]
PLACES: dict[str, Callable[[Any], Any]] = {
    "top": lambda node: {"model": node},
    "nested": lambda node: {"model": {"_target_": "models.patchcore.PatchCore", "backbone": node}},
    "list": lambda node: {"data": {"augment": [node]}},
    "deep": lambda node: {"data": {"augment": [{"a": [[{"b": {"c": [node]}}]]}]}},
    "unused": lambda node: {"nobody_reads_this": {"x": node}},
    "beside": lambda node: {"trainer": {"_target_": "lightning.Trainer", "callbacks": [node]}},
}
TEXTS = [
    *("${oc.env:HOME}", "a/${oc.env:SECRET,none}/b", "${oc.decode:${oc.env:X}}", "${oc.create:{a: 1}}"),
    *("${hydra:runtime.cwd}", "${now:%Y}", r"\${oc.env:HOME}", "${a.${oc.env:HOME}}", "${oc.select:a}", "${x:y}"),
]
SWITCHES = [{"_partial_": True}, {"_args_": ["a"]}, {"_recursive_": False}, {"_convert_": "none"}, {"_call_": False}]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", NAMES)
def test_no_place_of_a_config_may_name_code(name: str, place: str) -> None:
    with pytest.raises(ConfigError, match="trust=true"):
        check_values(PLACES[place]({"_target_": name, "file": "x"}), "run")


@pytest.mark.parametrize("target", [None, 1, ["os.system"], {"_target_": "os.system"}, True, "${data.evil}", "???"])
def test_a_target_is_a_name(target: Any) -> None:
    with pytest.raises(ConfigError, match="trust=true"):
        check_values({"data": {"evil": "os.system"}, "model": {"_target_": target}}, "run")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("place", ["top", "list", "deep"])
def test_nothing_is_resolved_but_keys(text: str, place: str) -> None:
    with pytest.raises(ConfigError, match="not resolved"):
        check_values(PLACES[place](text), "run")


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: next(iter(switch)))
def test_switches_of_hydra_are_none_of_ours(switch: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="switches"):
        check_values({"model": {"_target_": "models.patchcore.PatchCore", **switch}}, "run")


def test_lightning_writes_where_loupe_says() -> None:
    entry = {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "monitor": "x"}
    check_values({"callbacks": {"more": entry}}, "run")
    with pytest.raises(ConfigError, match="dirpath"):
        check_values({"callbacks": {"more": entry | {"dirpath": "/home/somebody"}}}, "run")


def test_what_runs_of_ours_hold_may_pass(finished_run: Path) -> None:
    assert len(own_targets()) > 30
    check_trust(OmegaConf.load(finished_run / "config.yaml"), finished_run)  # type: ignore[arg-type]  # it has keys
    assert is_known("torchvision.transforms.v2.RandomHorizontalFlip")
    assert is_known("lightning.pytorch.callbacks.EarlyStopping")
    check_values({"a": "${b.c}", "d": ["${b.e[0]}", "x ${b.c} y"], "b": {"c": 1, "e": [1]}}, "run")


def test_every_class_that_may_pass_is_there() -> None:
    """A name that is none would let a config through that cannot be built."""
    from hydra.utils import get_class  # noqa: PLC0415 - only here

    for name in own_targets():
        assert isinstance(get_class(name), type)


def test_depth_and_size_end() -> None:
    deep: Any = "x"
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(ConfigError, match="levels"):
        check_values({"a": deep}, "run")
    with pytest.raises(ConfigError, match="more than"):
        check_values({"a": list(range(200_000))}, "run")


def test_trust_lasts_for_one_command() -> None:
    evil = OmegaConf.create({"model": {"_target_": "os.system"}})
    with trusting(trust=True):
        check_trust(evil, "run")
    with pytest.raises(ConfigError):
        check_trust(evil, "run")


def poison(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the config of a run, and that of its checkpoints."""
    path = run / "config.yaml"
    config: Any = OmegaConf.to_container(OmegaConf.load(path))
    change(config)
    path.write_text(OmegaConf.to_yaml(config))
    for checkpoint in (run / "checkpoints").glob("*.ckpt"):
        content = torch.load(checkpoint, weights_only=True)
        change(content[KEY])
        torch.save(content, checkpoint)


def commands(run: Path, tmp_path: Path) -> dict[str, list[str]]:
    return {
        "predict": ["predict", f"run={run}", f"source={tmp_path}"],
        "predict-checkpoint": ["predict", f"run={tmp_path / 'moved' / 'best.ckpt'}", f"source={tmp_path}"],
        "test": ["test", f"run={run}"],
        "export": ["export", f"run={run}", f"out={tmp_path / 'bundle'}"],
        "compare": ["compare", str(run), str(run), f"out={tmp_path / 'pages'}"],
        "resume": ["train", f"resume={run}"],
    }


VERBS = ["predict", "predict-checkpoint", "test", "export", "compare", "resume"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("where", ["model", "data", "list", "callbacks", "unused"])
def test_no_verb_runs_it(verb: str, where: str, run_copy: Path, tmp_path: Path, loupe: Loupe) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    evil = {"_target_": "builtins.open", "file": str(victim), "mode": "w"}

    def change(config: dict[str, Any]) -> None:
        if where == "list":
            config["data"]["augment"] = [evil]
        elif where == "callbacks":
            config["callbacks"]["more"] = dict(evil)
        elif where == "unused":
            config["more"] = {"x": [evil]}
        else:
            config[where]["_target_"], config[where]["file"] = evil["_target_"], str(victim)

    poison(run_copy, change)
    (tmp_path / "moved").mkdir()
    (run_copy / "checkpoints" / "best.ckpt").rename(tmp_path / "moved" / "best.ckpt")
    before = sorted(run_copy.rglob("*"))
    assert_refused(loupe(commands(run_copy, tmp_path)[verb]), "builtins.open", "trust=true")
    assert victim.read_text() == "precious"
    assert sorted(run_copy.rglob("*")) == before


def test_a_name_is_refused_before_its_module_is_imported(run_copy: Path, tmp_path: Path, loupe: Loupe) -> None:
    (tmp_path / "loupe_evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    sys.path.insert(0, str(tmp_path))
    try:
        poison(run_copy, lambda config: config["model"].update(_target_="loupe_evil_module.Evil"))
        assert_refused(loupe(["test", f"run={run_copy}"]), "loupe_evil_module")
    finally:
        sys.path.remove(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_secrets_of_the_environment_stay_there(
    run_copy: Path, tmp_path: Path, loupe: Loupe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOUPE_SECRET", "hunter2")
    poison(run_copy, lambda config: config["data"].update(root="${oc.env:LOUPE_SECRET}"))
    assert_refused(loupe(["predict", f"run={run_copy}", f"source={tmp_path}"]), "LOUPE_SECRET")
    assert not [path for path in run_copy.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]


class Bomb:
    """What a pickle of a stranger's does when it is read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self.path, "w")


@pytest.mark.parametrize("where", ["config", "state", "beside", "whole"])
@pytest.mark.parametrize("verb", ["predict", "test", "export", "predict-checkpoint"])
def test_pickles_are_not_opened(where: str, verb: str, run_copy: Path, tmp_path: Path, loupe: Loupe) -> None:
    ran, path = tmp_path / "ran", run_copy / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    bomb = Bomb(str(ran))
    if where == "config":
        content[KEY]["model"]["extra"] = bomb
    elif where == "state":
        content["state_dict"]["bomb"] = bomb
    else:
        content = bomb if where == "whole" else content | {"bomb": bomb}
    torch.save(content, path)
    (tmp_path / "moved").mkdir()
    os.link(path, tmp_path / "moved" / "best.ckpt")
    assert_refused(loupe(commands(run_copy, tmp_path)[verb]), "best.ckpt")
    assert not ran.exists()


@pytest.mark.parametrize(
    "options", [{"checkpoint_path": "evil.pth"}, {"pretrained": True}, {"pretrained_cfg_overlay": {"file": "evil.pth"}}]
)
def test_a_backbone_loads_no_file_by_itself(
    options: dict[str, Any], run_copy: Path, tmp_path: Path, loupe: Loupe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """timm opens such files as pickles."""
    ran = tmp_path / "ran"
    torch.save(Bomb(str(ran)), tmp_path / "evil.pth")
    monkeypatch.chdir(tmp_path)
    poison(
        run_copy, lambda config: config["model"]["backbone"].update(name="resnet18", weights="none", options=options)
    )
    assert_refused(loupe(["predict", f"run={run_copy}", f"source={tmp_path}"]))
    assert not ran.exists()


ARGS = [
    "sweep.trial=loupe_evil_module",
    "sweep.address=ray://10.0.0.1:10001",
    "data._target_=os.system",
    "+callbacks.more={_target_: builtins.open, file: x, mode: w}",
    "data.augment=[{_target_: os.system}]",
    "+data.secret='${oc.env:HOME}'",
]


@pytest.mark.parametrize("arg", ARGS)
def test_a_journal_names_no_code(arg: str, tmp_path: Path, loupe: Loupe) -> None:
    folder = tmp_path / "sweeps" / "s"
    with Journal(folder) as journal:
        journal.note_plan(["data=synthetic", "seed=0,1", arg], "0")
    assert_refused(loupe(["sweep", "resume", str(folder)]), "trust=true")
    assert not (folder / "trials").exists()


def test_the_command_line_is_the_users_own(tmp_path: Path, loupe: Loupe) -> None:
    """Code that is typed is meant: it is refused for what it is, not for being named."""
    status, said = loupe(["train", "data=synthetic", "data._target_=os.system", f"out={tmp_path}"])
    assert status == 2
    assert "trust=true" not in said
    assert list(tmp_path.iterdir()) == []


def test_trusted_runs_go_on(run_copy: Path, loupe: Loupe, tmp_path: Path) -> None:
    poison(run_copy, lambda config: config["callbacks"].update(more={"_target_": "builtins.dict"}))
    drawn = json.loads(json.dumps(OmegaConf.to_container(OmegaConf.load(run_copy / "config.yaml"))))["data"]["root"]
    given = ["predict", f"run={run_copy}", f"source={drawn}", f"out={tmp_path / 'out'}", "overlay=none"]
    assert_refused(loupe(given), "builtins.dict")
    status, said = loupe([*given, "trust=true"])
    assert status == 0, said
