"""Judges images with a Loupe bundle; needs NumPy, OpenCV, Pillow and one of ONNX Runtime and OpenVINO, nothing else.

from loupe_runner import Bundle

result = Bundle("bundle")("a.png")
print(result.score, result.verdict)
"""

from __future__ import annotations

from pathlib import Path

from .rooms import keep_rooms_below

keep_rooms_below(__name__, Path(__file__).parent)  # before anything below is imported

from .bundle import Bundle  # noqa: E402
from .result import Result  # noqa: E402
from .specification import BundleError  # noqa: E402

__all__ = ["Bundle", "BundleError", "Result"]
