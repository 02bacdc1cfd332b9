"""What Loupe's commands set in their own processes, and no import ever sets: a customer's process stays its owner's."""

from __future__ import annotations

import os
import sys
import warnings

_OPENCV = {
    "OPENCV_FOR_THREADS_NUM": "1",  # images are read in threads and processes of ours, which share processors better
    "OPENCV_LOG_LEVEL": "SILENT",  # what it and FFmpeg print of a damaged file is said in our own words, with a remedy
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}


def settle_process() -> None:
    """Let OpenCV and Pillow work quietly and in one thread, here and in processes that this one starts.

    OpenCV reads the environment when it is loaded, and what that says already stays; where it is loaded, it is told.
    """
    for name, value in _OPENCV.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if "cv2" in sys.modules:
        import cv2  # noqa: PLC0415 - help and errors of a command must not wait for it

        cv2.setNumThreads(1)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
