"""What a server adds to ``loupe predict``, and how its answers come beside anomalib's own inferencer.

python -m benchmarks.serving RUN FOLDER [--rounds 3] [--callers 16]

RUN is a run of PatchCore on a network of timm, with a bundle, such as that of

    loupe train data=synthetic data.domain=fiber data.size=256 backbone=mobilenetv2 backbone.weights=none
    loupe export run=RUN

FOLDER holds images. Throughput: all of them by the runner as ``loupe predict`` goes through them (batches of 8, two
readers, no overlays), and by callers of the server who send one image per request; then both again with ``table=``,
each with an SQLite database of its own. Latency: one image after the other, from a file to a verdict, by the server
over HTTP, by the bundle in this process, and by anomalib's own ``OpenVINOInferencer`` on its own export of the same
bank. They take turns, so that a busy moment of the machine hits all of them.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
import torch
from anomalib.deploy import OpenVINOInferencer
from anomalib.models import Patchcore

from benchmarks.bundle_latency import STATIC, processor
from models.patchcore import PatchCore
from tools.runner import Bundle
from tools.runner.predicting import Options, predict
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.run_folder import RunFolder
from tools.runs.tables import VerdictTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from timm.models import FeatureListNet

    from models.components.patchcore_model import PatchCoreModel


def main() -> None:
    """Print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callers", type=int, default=16)
    options = parser.parse_args()
    run = RunFolder.open(options.run)
    module = restore(read_checkpoint(run.best_checkpoint)).eval()
    if not isinstance(module, PatchCore):
        parser.error(f"expected a run of patchcore, but found one of {type(module).__name__}")
    height, width = run.load_config().data.image_size
    paths = sorted(path for path in options.folder.iterdir() if path.suffix == ".png")
    bundle = Bundle(run.path / "bundle")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work = Path(folder)
        plain = stack.enter_context(serving(bundle.folder.resolve()))
        keeping = stack.enter_context(serving(bundle.folder.resolve(), f"table={database(work / 'serve.db')}"))
        table = stack.enter_context(VerdictTable(database(work / "predict.db"), "bundle", "", work))
        peer = anomalibs(module.model, (height, width), work)
        forms = [form(path) for path in paths]
        judges: dict[str, Callable[[int], object]] = {
            "loupe serve, over HTTP": Caller(plain, forms),
            "the bundle, in this process": lambda index: bundle(paths[index]),
            "anomalib, OpenVINOInferencer": lambda index: peer.predict(str(paths[index])),
        }
        took: dict[str, list[float]] = {name: [] for name in judges}
        rates: dict[str, list[float]] = {}
        for port in (plain, keeping):  # a server that has answered before
            of_server(port, forms, options.callers)
        for index in range(options.rounds):
            for name, port, sink in (("", plain, None), (" table=", keeping, table)):
                out = work / f"{index}{name}"
                rates.setdefault(f"loupe predict{name}", []).append(of_predict(bundle, options.folder, out, sink))
                rates.setdefault(f"loupe serve{name}", []).append(of_server(port, forms, options.callers))
            judges["loupe serve, over HTTP"] = Caller(plain, forms)  # anew, since a server closes what is idle
            for name, judge in judges.items():
                took[name] += [timed(judge, entry) for entry in range(len(paths))]
    load = os.getloadavg()[0]
    print(f"{len(paths)} images of {height} x {width}, {options.rounds} rounds, {processor()}, load {load:.1f}\n")
    print("| | images/s, best round | of predict alike, round by round |\n|---|---|---|")
    for name, found in rates.items():
        without = rates[name.replace("serve", "predict")]
        ratios = ", ".join(f"{one / other:.2f}" for one, other in zip(found, without, strict=True))
        print(f"| {name} | {max(found):.1f} | {ratios} |")
    print("\n| one image at a time | p50, ms | p99, ms |\n|---|---|---|")
    for name, seconds in took.items():
        middle, late = 1000 * np.percentile(seconds, [50, 99])
        print(f"| {name} | {middle:.1f} | {late:.1f} |")


@contextmanager
def serving(bundle: Path, *keys: str) -> Iterator[int]:
    """Serve a bundle in a process of its own; give its port."""
    command = [sys.executable, "-m", "loupe", "serve", f"bundle={bundle}", "port=0", *keys]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - our own command
    try:
        yield int(cast("IO[str]", process.stdout).readline().split(" (")[0].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait()


def database(path: Path) -> str:
    """Return the address of an SQLite database."""
    return f"sqlite:///{path}"


def form(path: Path) -> tuple[bytes, str]:
    """Write the form of a request with one image, and name its type."""
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    return head.encode() + path.read_bytes() + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


class Caller:
    """Sends one image after the other over one connection."""

    def __init__(self, port: int, forms: Sequence[tuple[bytes, str]]) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.forms = forms

    def __call__(self, index: int) -> bytes:
        """Send one image; return the answer."""
        body, sort = self.forms[index]
        self.connection.request("POST", "/predict", body, {"Content-Type": sort})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"Expected an answer, but found {answer.status}: {data[:200]!r}")
        return data


def of_predict(bundle: Bundle, folder: Path, out: Path, table: VerdictTable | None) -> float:
    """Judge a folder as ``loupe predict`` does; return images per second."""
    summary = predict(bundle, [str(folder)], out, Options(overlays="none"), table)
    return summary.images / summary.seconds


def of_server(port: int, forms: Sequence[tuple[bytes, str]], callers: int) -> float:
    """Let several callers send all images; return images per second."""
    started = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(lambda own: [own[0](index) for index in own[1]], shares(port, forms, callers)))
    return len(forms) / (time.perf_counter() - started)


def shares(port: int, forms: Sequence[tuple[bytes, str]], callers: int) -> list[tuple[Caller, range]]:
    """Give every caller a connection, and its part of the images."""
    return [(Caller(port, forms), range(first, len(forms), callers)) for first in range(callers)]


def timed(judge: Callable[[int], object], index: int) -> float:
    """Return the seconds that one image takes."""
    started = time.perf_counter()
    judge(index)
    return time.perf_counter() - started


def anomalibs(model: PatchCoreModel, size: tuple[int, int], work: Path) -> OpenVINOInferencer:
    """Give anomalib the same network and bank, and let it export and judge by itself."""
    network = cast("FeatureListNet", model.backbone.network)
    peer = Patchcore(
        backbone=model.backbone.origin["name"],
        layers=network.feature_info.module_name(),
        pre_trained=False,
        num_neighbors=model.num_neighbors,
        pre_processor=Patchcore.configure_pre_processor(size),
    ).eval()
    peer.model.feature_extractor.feature_extractor.load_state_dict(network.state_dict())
    peer.model.memory_bank = model.bank_MD
    with torch.inference_mode(), chdir(work):  # the inferencer leaves a cache in the current folder
        return OpenVINOInferencer(peer.to_openvino(work, input_size=size, onnx_kwargs=STATIC), device="CPU")


if __name__ == "__main__":
    main()
