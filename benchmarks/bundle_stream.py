"""Ten thousand files through a bundle's runner, one in a hundred of them no image: memory, rows, a kill, a resume.

python -m benchmarks.bundle_stream BUNDLE [--pictures 10000]
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np


def main() -> None:
    """Print rows, errors, memory along the way, and what a kill in the middle cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--pictures", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        source, out = Path(work) / "in", Path(work) / "out"
        write_pictures(source, options.pictures)
        command = [
            sys.executable,
            str(options.bundle / "predict.py"),
            str(source),
            "--out",
            str(out),
            "--overlay",
            "none",
        ]
        before = watch(command, out, options.pictures, kill_at=0.4)
        after = watch(command, out, options.pictures)
        rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    failed = sum("error" in row for row in rows)
    distinct = len({row["image_path"] for row in rows})
    print(f"{len(rows)} rows of {distinct} pictures: {len(rows) - failed} verdicts, {failed} errors")
    for title, memory in (("killed at 40 %", before), ("resumed", after)):
        steps = ", ".join(f"{share:.0%} {mib:.0f}" for share, mib in memory)
        print(f"{title}: resident memory in MiB at each tenth: {steps}")


def write_pictures(folder: Path, count: int) -> None:
    """Draw small images; every hundredth is damaged, in one of four ways."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        _, encoded = cv2.imencode(".png", cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_LINEAR))
        content = encoded.tobytes()
        if index % 100 == 99:
            content = (b"", content[:100], b"no picture", content[: len(content) // 2])[index // 100 % 4]
        (folder / f"{index:06}.png").write_bytes(content)


def watch(command: list[str], out: Path, pictures: int, kill_at: float | None = None) -> list[tuple[float, float]]:
    """Run the runner; return its resident memory at each tenth of the rows, and kill it at a share of them if asked."""
    record = out / "predictions.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - the command is our own
    memory: list[tuple[float, float]] = []
    tenths = int(_share(record, pictures) * 10)  # that an earlier call wrote
    while process.poll() is None:
        done = _share(record, pictures)
        if int(done * 10) > tenths:
            tenths = int(done * 10)
            memory.append((done, resident(process.pid)))
        if kill_at is not None and done >= kill_at:
            process.send_signal(signal.SIGKILL)
            process.wait()
        time.sleep(0.1)
    return memory


def _share(record: Path, pictures: int) -> float:
    """Return the share of the images that have a row."""
    return record.read_bytes().count(b"\n") / pictures if record.is_file() else 0.0


def resident(pid: int) -> float:
    """Return the resident memory of a process, in MiB (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), float("nan"))


if __name__ == "__main__":
    main()
