"""What a run ran on: versions, machine, command, code, weights; enough to run it again."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from datetime import datetime
from functools import lru_cache
from typing import Any

import torch

from configs import CONFIG_DIR

PACKAGES = ("anomalib", "lightning", "torch", "torchvision", "timm", "numpy", "opencv-python-headless", "pandas")


def describe_environment(weights: dict[str, str], data_hash: str) -> dict[str, Any]:
    """Collect plain values for environment.json.

    Args:
        weights: Where pre-trained weights came from (``InspectionModel.origin``).
        data_hash: Of the images, labels and splits.
    """
    return {
        **describe_command(),
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),  # on a CPU, another number may change the last bits
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "weights": weights,
        "data_hash": data_hash,
    }


def describe_command() -> dict[str, str]:
    """Say what was typed, and when."""
    return {
        "command": shlex.join(["loupe", *sys.argv[1:]]),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


@lru_cache(maxsize=1)
def _commit() -> str | None:
    """Name the commit of the checkout that runs, with ``+`` where files differ from it; None outside of one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],  # noqa: S607 - git is found as a person's shell does
            cwd=CONFIG_DIR,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
