"""``loupe distill``: weights from images, the same from the same seed, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.components.efficient_ad_model import IMAGENET_MEAN, IMAGENET_STD
from models.efficient_ad import EfficientAd
from models.features.backbones import Backbone
from models.features.loupe_net import WEIGHTS, shape_of
from models.features.weight_files import read_facts
from tools.cli import main
from tools.configuring.config import compose_config
from tools.errors import ConfigError
from tools.runs.distillation_settings import beginning, build_student, build_teachers
from tools.runs.distilling import distill_images

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["rounds=3", "crops=8", "batch_size=4", "passes=1", "crop_size=48", "held_out_crops=4"]
NARROW = [f"hidden={[4] * 12}".replace(" ", "")]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same number of threads everywhere, in processes started here too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(threads)


def command(out: Path, *changes: str) -> list[str]:
    drawn = [] if any(change.startswith("data=") for change in changes) else ["data=[]"]
    return ["distill", "teacher=loupe", *drawn, f"out={out}", *SMALL, *NARROW, *changes]


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = load_file(one / "loupe_net.safetensors"), load_file(other / "loupe_net.safetensors")
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_same_command_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert main(command(tmp_path / name, f"seed={seed}")) == 0
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "c")


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    long = [*command(tmp_path / "killed"), "rounds=12"]
    checkpoint = tmp_path / "killed" / "checkpoint.ckpt"
    with subprocess.Popen([sys.executable, "-m", "tools", *long], cwd=ROOT) as process:
        until = time.monotonic() + 120
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = torch.load(checkpoint, weights_only=True)["rounds_done"]
    assert 0 < done < 12
    assert not (tmp_path / "killed" / "loupe_net.safetensors").exists()
    assert main(long) == 0
    assert main([*command(tmp_path / "whole"), "rounds=12"]) == 0
    assert same_weights(tmp_path / "killed", tmp_path / "whole")


def test_weights_card_and_log_fit_together(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    folders = f"data=[{picture_folder / 'good'},{picture_folder / 'pit'}]"
    assert main([*command(out, folders), "limit=10"]) == 0
    assert "Learning from 12 pictures of 2 folders; 2 more measure the loss" in capsys.readouterr().out
    weights = out / "loupe_net.safetensors"
    card = (out / "card.md").read_text(encoding="utf-8")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in card
    assert f"| `{picture_folder / 'good'}` | 9 | 1 |" in card
    assert f"| `{picture_folder / 'pit'}` | 3 | 1 |" in card
    assert "rounds=3 crops=8 passes=1" in card
    assert "limit=10" in card
    assert "backbone.options" not in card  # the file says what is inside
    losses = EventAccumulator(str(out / "tensorboard")).Reload().Scalars("held_out/loss")
    assert [event.step for event in losses] == [1, 2, 3]
    assert f"| Held-out loss | {losses[-1].value:.4f} at the end" in card
    network = Backbone("loupe_net", [1, 2], [0.5] * 3, [0.5] * 3, weights=str(weights))
    assert [one.shape[1:] for one in network(torch.rand(1, 3, 64, 64))] == [(24, 16, 16), (32, 8, 8)]


def test_a_teacher_of_efficient_ad_is_made_and_used(tmp_path: Path) -> None:
    out = tmp_path / "teacher"
    changes = ["student=pdn_s", "teacher.layers=[1,2]", "rounds=1", "crops=2", "batch_size=2", "held_out_crops=1"]
    assert main([*command(out), *changes]) == 0
    weights = out / "pdn_s.safetensors"
    assert weights.stat().st_size < 6e6
    assert "model=efficient_ad_s model.teacher.weights=" in (out / "card.md").read_text(encoding="utf-8")
    teacher = {"name": "pdn_s", "layers": [1], "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "weights": str(weights)}
    module = EfficientAd(teacher, student="pdn_s").eval()
    assert module.model(torch.rand(1, 3, 64, 64)).anomaly_map.shape == (1, 64, 64)
    assert module.origin()["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_a_teacher_of_efficient_ad_learns_what_is_seen_in_larger_pictures_but_for_the_border() -> None:
    changes = ["teacher=loupe", "teacher.layers=[2,3]", "student=pdn_s", "enlarged=only", "mirrored=false"]
    config = compose_config("distill", ["data=[]", "out=out", *changes])
    student, teacher = build_student(config), build_teachers(config)
    image = torch.rand(2, 3, 96, 80)
    (taught,), (given,) = student.lessons(teacher)(image), student.build().eval()(image)
    assert taught.shape == (2, 32 + 96, 16, 12)  # cells of four pixels, less four at every side
    assert given.shape == (2, 384, 16, 12)
    larger = torch.nn.functional.interpolate(image, scale_factor=2, mode="bilinear")
    fine, _ = Backbone(**dict(config.teacher))(larger)
    torch.testing.assert_close(taught[:, :32], fine[..., 4:-4, 4:-4], atol=1e-4, rtol=1e-4)
    assert student.networks(teacher) == []


def test_a_begun_distillation_keeps_its_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main([*command(out), "teacher.layers=[1,2]"]) == 2  # a mistake before the first round binds nobody
    assert "choose 3 layers" in capsys.readouterr().err
    assert main([*command(out), "rounds=1"]) == 0
    assert main([*command(out), "rounds=1", "light=0.2", "teacher.layers=[3,2,1]"]) == 2
    error = capsys.readouterr().err
    assert "light=0.1 (now 0.2)" in error
    assert "'layers': [1, 2, 3]" in error
    assert "set out= to another folder" in error
    assert main([*command(out), "rounds=1", "device=cpu"]) == 0  # where it computes is not a setting


def test_several_teachers_teach_one_that_grows(tmp_path: Path) -> None:
    shape = shape_of(load_file(WEIGHTS))
    wider = shape | {"hidden": [*shape["hidden"][:-1], 440], "out_channels": [24, 40, 110]}
    settings = [f"{key}={value}".replace(" ", "") for key, value in wider.items()]
    few = ["crops=4", "rounds=1", "held_out_crops=2", "start=grown"]
    config = compose_config("distill", command(tmp_path / "out", *settings, *few)[1:])
    config.teacher = {"networks": {"one": config.teacher, "other": config.teacher}}
    weights = distill_images(config)
    network = Backbone("loupe_net", [1, 2, 3], [0.5] * 3, [0.5] * 3, weights=str(weights), options=wider)
    assert [shape[0] for shape in network.shapes()] == [24, 40, 110]
    facts = read_facts(weights)
    assert facts["teacher"] == "loupe_net + loupe_net"
    assert json.loads(facts["network"]) == wider
    card = (tmp_path / "out" / "card.md").read_text(encoding="utf-8")
    assert "their licences hold for what is learnt" in card
    assert "backbone.options={out_channels: [24, 40, 110]}" in card
    config.teacher.networks.other.layers = [2, 2, 3]
    with pytest.raises(ConfigError, match="whose maps are equally fine"):
        distill_images(config)


def test_a_student_grows_or_shrinks_from_a_file_and_learns_from_views(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a teacher in mirrors, and of what it sees in larger pictures."""
    few = ["crops=8", "rounds=1", "held_out_crops=4", "crop_size=64"]
    assert main(command(tmp_path / "first", *few)) == 0
    weights = tmp_path / "first" / "loupe_net.safetensors"
    wider = ["hidden=[5,4,4,4,4,4,4,4,4,4,4,6]", f"start={weights}", "mirrored=true", "enlarged=true"]
    assert main(command(tmp_path / "second", *few, *wider)) == 0
    card = (tmp_path / "second" / "card.md").read_text(encoding="utf-8")
    assert card.count("mirrored=True enlarged=True") == card.count("mirrored=") == 1
    grown = load_file(tmp_path / "second" / "loupe_net.safetensors")
    assert shape_of(grown)["hidden"] == [5, *[4] * 10, 6]
    old = load_file(weights)["stages.0.1.body.1.0.weight"]
    drift = (grown["stages.0.1.body.1.0.weight"] - old).abs().max() / old.abs().max()
    assert float(drift) < 0.2  # it began there
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(1)}, other)
    narrow = ["hidden=[4,2,4,4,3,4,4,4,4,4,4]", "channels=[24,24,32,32,32,64,64,96,96,96]", f"start={weights}"]
    assert main(command(tmp_path / "third", *few, *narrow)) == 0
    shrunk = shape_of(load_file(tmp_path / "third" / "loupe_net.safetensors"))
    assert shrunk["hidden"] == [4, 2, 4, 4, 3, 4, 4, 4, 4, 4, 4]
    assert main(command(tmp_path / "fourth", *few, "hidden=[3,4,4,4,4,4,4,4,4,4,4,4]", f"start={weights}")) == 2
    assert "can be cut out of" in capsys.readouterr().err
    assert main(command(tmp_path / "fifth", *few, f"start={other}")) == 2
    assert "to hold the weights of a LoupeNet, but found" in capsys.readouterr().err
    used = compose_config("train", ["backbone=loupe", f"backbone.weights={weights}"]).backbone
    assert [len(level[0]) for level in Backbone(**dict(used))(torch.rand(1, 3, 32, 32))] == [32, 96]


LIKE_MOBILENET = [
    "channels=[24,24,32,32,32,64,64,64,64,96,96,96]",
    "hidden=[16,32,72,72,128,128,128,192,288,288,288,432,432]",
]


@pytest.mark.parametrize(
    ("changes", "begun"),
    [
        ([], "grown"),
        (["teacher=loupe"], "grown"),
        (["hidden=[16,16,48,64,128,128,128,192,288,288,432,640]"], "grown"),
        (["hidden=[16,16,48,64,128,128,128,192,288,288,432,431]"], "random"),
        (LIKE_MOBILENET, "thinned"),
        ([*LIKE_MOBILENET, "teacher=loupe"], "random"),
        ([*LIKE_MOBILENET, "start=thinned"], "thinned"),
        (["halving=[1,7]"], "random"),
        (["halving=[1,7]", "start=grown"], "grown"),
    ],
)
def test_a_student_begins_with_the_most_that_it_can_take(changes: list[str], begun: str) -> None:
    config = compose_config("distill", ["data=[]", "out=out", *changes])
    assert beginning(config) == (begun, WEIGHTS)


@pytest.mark.parametrize(
    ("changes", "begun"),
    [
        ([], "grown"),
        (["hidden=[16,16,48,64,128,128,128,192,288,288,432,431]"], "shrunk"),
        (["hidden=[16,16,48,64,128,128,128,192,288,432,432]", "channels=[24,24,32,32,32,64,64,96,96,96]"], "shrunk"),
        (["hidden=[17,16,48,64,128,128,128,192,288,288,432,432]"], "grown"),
        (["halving=[1,7]"], "grown"),
    ],
)
def test_a_student_begins_as_a_file_or_as_a_part_of_it(changes: list[str], begun: str) -> None:
    config = compose_config("distill", ["data=[]", "out=out", f"start={WEIGHTS}", *changes])
    assert beginning(config) == (begun, WEIGHTS)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        (["data=/no/such/folder"], 1, "/no/such/folder to be a folder with pictures, found none"),
        (["drawn_share=0"], 1, "set data=PATH"),
        (["teacher.weights=/no/file.pth"], 1, "give a file with teacher.weights=PATH"),
        (["teacher.weights=none"], 2, "a teacher that has learnt something"),
        (["teacher.name=resnet81", "teacher.weights=FILE"], 1, "teacher.name to be a network of timm"),
        (["student=pdn_l"], 2, "student to be one of loupe_net, pdn_s, pdn_m"),
        (["hidden=[8,8]"], 2, "but got 2 and 11: (8, 8)"),
        (["start=warm"], 2, "start to be auto, thinned, grown, random or a .safetensors file"),
        (["start=/no/net.safetensors"], 2, "a file of weights, but found no /no/net.safetensors"),
        (["start=grown"], 2, "nowhere narrower than the one that it grows from"),
        (["channels=[8]"], 2, "but got 12 and 1: "),
        (["start=thinned"], 2, "set start=grown, or teacher=mobilenetv2"),
        (["enlarged=twice"], 2, "enlarged to be true, only or null, but found 'twice'"),
        (["precision=16"], 2, "precision to be 32-true or bf16-mixed"),
        (["crops=2"], 2, "crops of at least batch_size"),
        (["device=gpu7"], 2, "Expected device to be auto, cpu or a GPU"),
        (["teacher=[loupe,mobilnet]"], 2, "did you mean 'mobilenetv2'?"),
        (["teacher=[loupe,mobilenetv2]", "teacher.networks.mobilenetv2.weights=none"], 2, "has learnt something"),
        (["teacher=[loupe,loupe]"], 2, "Expected teacher to be one choice, or a list of different ones"),
        (["teacher=mobilnet"], 2, "did you mean 'mobilenetv2'?"),
    ],
)
def test_mistakes_say_what_to_do(
    changes: list[str], status: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path / "out", *changes)) == status
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_config_is_shown_without_waiting_for_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from tools.cli import main; status = main(sys.argv[1:]); "
        "sys.exit(status or ','.join(name for name in ('torch', 'cv2', 'pandas') if name in sys.modules) or 0)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, *command(tmp_path), "--print"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "name: loupe_net" in shown.stdout
