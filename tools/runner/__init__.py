"""Judges pictures with a Loupe bundle; needs NumPy, OpenCV, Pillow and one of ONNX Runtime and OpenVINO, nothing else.

from loupe_runner import Bundle

result = Bundle("bundle")("a.png")
print(result.score, result.verdict)
"""

from __future__ import annotations

from .bundle import Bundle
from .result import Result
from .specification import BundleError

__all__ = ["Bundle", "BundleError", "Result"]
