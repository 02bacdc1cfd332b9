"""Servers that really run, on bundles and runs that were really trained; and a client of the standard library."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from tools.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.runner.network import Array

pytest.importorskip("fastapi")
pytest.importorskip("onnxruntime")

PITS = (3, 7, 8, 12)  # layers with a pit
TRAIN = (
    *("data=folder", "data.image_size=[64,64]", "data.num_workers=0", "trainer=cpu", "report=false"),
    *("callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0", "callbacks.epoch_pictures.every=0"),
)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A folder with a trained autoencoder in ``runs/ae/one``, and its bundle."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(40):
            path = Path(folder) / "seen" / ("pit" if seed >= 26 else "good") / f"{seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(layer(2 * seed + (seed >= 26))))
        model = ("model=conv_ae_small", "model.widths=[16,16]", "trainer.max_epochs=2")
        keys = (*model, f"data.root={folder}/seen", f"out={folder}/runs")
        assert main(["train", *TRAIN, *keys, "name=ae", "id=one"]) == 0
        assert main(["export", f"run={folder}/runs/ae/one", "pictures=4", "samples=1"]) == 0
        yield Path(folder)


@pytest.fixture(scope="session")
def bundle(made: Path) -> Path:
    """The bundle of an autoencoder for images of 64 x 64."""
    return made / "runs" / "ae" / "one" / "bundle"


def layer(seed: int) -> Array:
    """Draw an image that no other seed gives, of a size of its own; odd ones have a bright pit."""
    rng = np.random.default_rng(seed)
    values = rng.normal(110, 8, (60 + seed % 9, 70 + seed % 7)).clip(0, 255).astype(np.uint8)
    if seed % 2:
        cv2.circle(values, (int(rng.integers(10, 60)), int(rng.integers(10, 50))), int(rng.integers(2, 12)), 250, -1)
    return values


def png(values: Array) -> bytes:
    """Encode an image."""
    return cv2.imencode(".png", values)[1].tobytes()


@pytest.fixture(scope="session")
def layers(made: Path) -> list[Path]:
    """Forty images on disk."""
    folder = made / "layers"
    folder.mkdir()
    paths = [folder / f"layer_{seed:03}.png" for seed in range(40)]
    for seed, path in enumerate(paths):
        path.write_bytes(png(layer(seed)))
    return paths


@pytest.fixture(scope="session")
def printed(made: Path) -> Path:
    """A folder with a run on layers of two jobs in ``runs/print/one``, and twelve layers of a third in ``new``."""
    for number in range(48):
        defect = number % 8 == 7
        folder = made / "prints" / ("defective" if defect else "good") / "machine_1" / f"job_{number % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"layer_{number:03}.png").write_bytes(png(layer(2 * number + defect)))
    draw_job(made / "new" / "machine_2" / "job_9")
    keys = [
        "model=conv_ae_small",
        "model.widths=[16,16]",
        "trainer.max_epochs=2",
        "acceptance=no_large_defect",
        f"data.root={made / 'prints'}",
    ]
    words = [word for word in TRAIN if word != "data=folder"]
    assert main(["train", "data=print3d", *words, *keys, f"out={made / 'runs'}", "name=print", "id=one"]) == 0
    return made


@pytest.fixture(scope="session")
def bundled(printed: Path) -> Path:
    """The bundle of the run on layers, whose server is there in a seventh of the time of one of the run."""
    assert main(["export", f"run={printed / 'runs/print/one'}", "pictures=4", "samples=1"]) == 0
    return printed / "runs/print/one/bundle"


def draw_job(folder: Path) -> None:
    """Draw twelve layers, numbered from 1; four have a pit."""
    folder.mkdir(parents=True)
    for number in range(1, 13):
        values = layer(2 * number)
        if number in PITS:
            cv2.circle(values, (30, 25), 9, 255, -1)
        (folder / f"layer_{number:03}.png").write_bytes(png(values))


@dataclass
class Answered:
    """An answer of a server."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What it says."""
        return json.loads(self.body)


@dataclass
class Running:
    """A server, in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    log: Path
    temporary: Path
    token: str | None = None
    sent: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Of its page."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answered:
        """Send one request, and read the whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            found = connection.getresponse()
            return Answered(found.status, {key.lower(): value for key, value in found.getheaders()}, found.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answered:
        """Ask for something."""
        return self.ask("GET", path, headers=headers)

    def predict(self, files: Sequence[tuple[str, bytes]], query: str = "", **headers: str) -> Answered:
        """Send files, as a form does."""
        body, sort = form(files)
        return self.ask("POST", f"/predict{query}", body, {"Content-Type": sort, **headers})

    def logged(self) -> list[dict[str, Any]]:
        """Read the lines of requests."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def form(files: Sequence[tuple[str, bytes]]) -> tuple[bytes, str]:
    """Write a multipart form, and name its type."""
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


@contextmanager
def serving(folder: Path, *keys: str) -> Iterator[Running]:
    """Serve until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    log, temporary = folder / "log", folder / "temporary"
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "loupe", "serve", "port=0", *keys]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)}
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "Serving" in said, log.read_text()
        yield Running(process, int(said.split(" (")[0].rpartition(":")[2]), log, temporary)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def server(bundle: Path, made: Path) -> Iterator[Running]:
    """A server of one bundle."""
    with serving(made / "server", f"bundle={bundle}") as running:
        yield running
