"""Every command of the pages about domains and bundles as it is written, in its order, on small drawn data.

What a page calls ``root``, ``fiber`` or ``LAYERS`` is drawn in the layout that it shows. What is added makes a command
small; nothing is left out. Weights that one must own are a network's as nobody trained them, in a file of the same
names and shapes; ``pip install`` asks a network that tests do without, so that what it would install is looked for.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import pytest
import segmentation_models_pytorch as smp
import timm
from safetensors.torch import save_file
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

from tests import domain_folders
from tests.commands import ROOT, SERVED, SMALL, command_lines, commands, draw_folder, say, serve_and_end
from tools.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOUPE = [sys.executable, "-c", "import sys; from tools.cli import main; sys.exit(main())"]
QUICK = [key for key in SMALL["train"] if not key.startswith("data.image_size")]


class Page(NamedTuple):
    """A page of a domain, and what makes its commands small."""

    draw: Callable[[Path], None]
    size: str
    more: tuple[str, ...] = ()


PAGES = {
    "fiber": Page(domain_folders.draw_fiber, "data.image_size=96"),
    "oring": Page(domain_folders.draw_oring, "data.image_size=96"),
    "meta_atom": Page(domain_folders.draw_meta_atom, "data.image_size=64", ("data.grid=[8,7]",)),
    "metallography": Page(domain_folders.draw_metallography, "data.image_size=64", ("data.square=64",)),
    "print3d": Page(domain_folders.draw_print3d, "data.image_size=32"),
}


def weights_for(words: list[str], here: Path) -> Path:
    """Write weights of the network that a command names, as nobody trained them."""
    if "model=unet" in words:
        path, network = here / "resnet50.safetensors", smp.encoders.get_encoder("resnet50", weights=None)
    elif "model=patch_classifier" in words:
        path, network = here / "efficientnet_b4.safetensors", timm.create_model("efficientnet_b4", pretrained=False)
    else:
        path, network = here / "mask_rcnn.safetensors", maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    save_file(network.state_dict(), path)
    return path


class Reader:
    """Types the commands of a page one after another, and puts in what stands there in capitals."""

    def __init__(self, page: Page, here: Path) -> None:
        self.page = page
        self.here = here
        self.trained: list[tuple[list[str], Path]] = []

    def filled_in(self, words: list[str]) -> list[str]:
        """Return the words of a command as a reader types them, and what makes it small."""
        return [self._put_in(word, words) for word in words] + self._small(words)

    def _put_in(self, word: str, words: list[str]) -> str:
        key, _, value = word.partition("=")
        if value == "DIR":  # each call's own
            return f"{key}=out{len(list(self.here.glob('out*')))}"
        if value == "FILE":
            return f"{key}={weights_for(words, self.here)}"
        return re.sub(r"\bRUN\d?\b", str(self._run_for(key)), word) if "RUN" in word else word

    def _run_for(self, key: str) -> Path:
        """Return the run that the page trained for a place in a command."""
        wanted = {"inclusions": "_inclusions", "boundaries": "_grains", "shapes": "_shapes", "run": "model=mask_rcnn"}
        name = wanted[key.removeprefix("model.")]
        return next(run for words, run in self.trained if any(word.endswith(name) for word in words))

    def _small(self, words: list[str]) -> list[str]:
        if words[0] == "prepare" and "meta_atom" in words:
            return ["grid=[8,7]"]
        if words[0] != "train":
            return SMALL.get(words[0], [])
        more = self.page.more
        if any("shapes" in word or "square=" in word for word in words):
            more = ()  # crops of objects, or whole scans
        return [*QUICK, "trainer.max_epochs=1", self.page.size, *more]

    def type(self, words: list[str]) -> tuple[int, list[str]]:
        """Run a command; return its exit status, and what it should have left and did not."""
        before = set(self.here.glob("runs/*/*/config.yaml"))
        given = self.filled_in(words)
        if words[0] in SERVED and not any(word.startswith("export=") for word in words):
            environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(self.here)}
            return serve_and_end([*LOUPE, *given], self.here, environment, say), []
        status = main(given)
        due = [self.here / word.partition("=")[2] for word in given if word.startswith("out=")]
        due = [place / "index.html" if words[0] == "predict" else place for place in due]
        if words[0] == "train":
            (config,) = set(self.here.glob("runs/*/*/config.yaml")) - before
            run = config.parent
            self.trained.append((words, run))
            due += [run / name for name in ("metrics.json", "predictions.csv", "report/index.html")]
        return status, [str(place) for place in due if not place.exists() or not place.stat().st_size]


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_about_a_domain_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGES[name]
    page.draw(tmp_path)
    reader = Reader(page, tmp_path)
    written = commands(f"docs/{name}.md")
    assert len(written) >= 7
    ended = {shlex.join(words): reader.type(words) for words in written}
    assert {command: end for command, end in ended.items() if end[0] not in {0, 130} or end[1]} == {}


def test_what_the_page_of_bundles_shows_runs_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path)
    assert main(["train", "parts", *SMALL["train"], "report=false"]) == 0
    assert main(["export", "latest", "precisions=[fp32]", "pictures=8", "samples=2"]) == 0
    bundle = next(tmp_path.glob("runs/*/*/bundle"))
    (tmp_path / "parts").rename(bundle / "pictures")
    image = next((bundle / "pictures").rglob("*.png"))
    (bundle / "a.png").write_bytes(image.read_bytes())
    page = ROOT / "docs" / "bundle.md"
    install, *calls = [shlex.split(line, comments=True) for line in command_lines(page, r"\w*", ("pip ", "python "))]
    assert install == ["pip", "install", "-r", "requirements.txt"]
    required = (bundle / install[-1]).read_text(encoding="utf-8")
    assert [version(name) for name in re.findall(r"^[\w-]+", required, re.MULTILINE)]
    assert len(calls) == 2

    def run(*words: str) -> str:
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=bundle, env={}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for _, *words in calls:
        run(*words)
    assert (bundle / "predictions" / "predictions.csv").stat().st_size
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert re.match(r"[-\d.e]+ (good|defective) ", run("-c", f"camera = ['a.png', 'a.png']\n{code}"))
