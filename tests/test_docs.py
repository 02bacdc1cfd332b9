"""What the documentation tells people to type: every command is understood, and those of the first pages run.

Those of all other pages run in ``test_commands``, ``test_task_commands`` and ``test_domain_commands``, which are slow.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
from omegaconf import OmegaConf

from configs import CONFIG_DIR
from tests.commands import command_lines
from tests.conftest import draw_plate
from tools.cli import VERBS, main
from tools.configuring.config import compose_config, groups, parse_override
from tools.configuring.places import FLAG
from tools.configuring.trust import take_trust
from tools.sweeps.plan import read_plan

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FIRST = ("index", "train", "report", "folder")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ACTIONS = {"show", "resume", "best"}
SMALL = {
    "train": ["data.image_size=32", "data.num_workers=0", "trainer=cpu", "callbacks.evaluation.resamples=20"],
    "demo": ["data.image_size=[32,32]", "data.size=32", "data.num_workers=0", "data.good=30", "data.defective=14"],
}


def overrides_of(command: str) -> tuple[str, list[str], list[str]]:
    """Split a command to its verb, its keys, and what has none."""
    verb, *words = shlex.split(command, comments=True)[1:]
    words = [word for word in words if not word.startswith("--") and word != "..."]
    keys, _ = take_trust([word for word in words if re.match(r"[+~]?[\w./]+=", word)])
    return verb, keys, [word for word in words if "=" not in word]


EVERY = [(page.name, command) for page in PAGES for command in command_lines(page)]


def test_there_are_commands_to_test() -> None:
    assert len(EVERY) > 60
    assert {command.split()[1] for _, command in EVERY} >= set(VERBS) - {"calibrate"}


@pytest.mark.parametrize(("page", "command"), EVERY, ids=[f"{page}-{index}" for index, (page, _) in enumerate(EVERY)])
def test_every_command_is_understood(page: str, command: str) -> None:
    del page
    verb, keys, words = overrides_of(command)
    assert verb in {*VERBS, "--help", "--version"}
    if FLAG in command or verb.startswith("--"):
        return  # names a folder of the page's own, which the page's own test makes
    resumed = any(key.startswith("resume=") for key in keys)
    if verb == "sweep" and not ACTIONS & set(words):
        read_plan([*keys, *([] if any(key.startswith("data") for key in keys) else ["data=synthetic"])])
    elif verb in {"train", "doctor", "demo"} and not resumed:
        compose_config(verb, [key for key in keys if "_target_" not in key])
    else:
        known = {str(key) for path in CONFIG_DIR.glob(f"{verb}*.yaml") for key in OmegaConf.load(path)}
        known |= {*groups(), "resume", "metric", "rows"}
        lines = [OmegaConf.load(path) for path in (CONFIG_DIR / "line").glob("*.yaml")] if verb == "predict" else []
        known |= {str(key) for line in lines for key in line}
        for key in keys:
            assert parse_override(key).key_or_group.split(".")[0] in known, key


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with ``parts``, sorted, and ``new``, not sorted."""
    here = tmp_path_factory.mktemp("pages")
    for index in range(48):
        image, _ = draw_plate(index, pit=index >= 34)
        path = here / "parts" / ("scratch" if index >= 34 else "good") / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), image)
    (here / "new").mkdir()
    for name in ("good/003.png", "scratch/040.png"):
        shutil.copy(here / "parts" / name, here / "new")
    return here


@pytest.mark.parametrize("page", FIRST)
def test_the_commands_of_the_first_pages_run(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    if page != FIRST[0] and not (folder / "runs").exists():  # each page stands alone, too
        assert main(["train", "parts", "report=false", *SMALL["train"]]) == 0
    for command in command_lines(ROOT / "docs" / f"{page}.md", "sh"):
        words = shlex.split(command)[1:]
        assert main([*words, *([] if "--help" in words else SMALL.get(words[0], []))]) == 0, command


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra docs")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    from mkdocs.commands.build import build  # noqa: PLC0415 - an extra
    from mkdocs.config import load_config  # noqa: PLC0415 - likewise

    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True)
    build(config)
    for page in PAGES[1:]:
        assert (tmp_path / "site" / f"{page.stem}.html").is_file(), page.name
    interface = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    for name in ("tools.verbs.train", "datamodules.base.InspectionDataModule", "models.base.InspectionModel"):
        assert f'id="{name}"' in interface
    for html in (tmp_path / "site").rglob("*.html"):
        text = html.read_text(encoding="utf-8")
        assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"?https?://(?!loupe)", text), html.name
    if CHROMIUM is not None:  # search works for a page that is opened as a file
        address = f"{(tmp_path / 'site' / 'index.html').as_uri()}?q=threshold"
        flags = ["--headless", "--no-sandbox", "--virtual-time-budget=20000", "--dump-dom"]
        shown = subprocess.run(
            [CHROMIUM, *flags, address], capture_output=True, text=True, check=True, timeout=180
        ).stdout
        assert re.search(r"\d+ matching documents", shown)
